"""A cacher on a chain in memory, with its books in LevelDB and its chunks on disk, as often as a test restarts it.

Alice's pool has deposit 1000 and is for a resource of twenty chunks; Bob sells it at 10, and 20 for a first payment.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from crypto.signature import SigningKey
from ledger.records import Target, target_key
from peers.cacher import Cacher
from peers.chunk_store import ChunkStore
from peers.payment import Payment, Promise
from peers.payment_store import PaymentStore
from peers.price_list import CacherSettings
from peers.refused import STATUS, Refused
from peers.shelf import Shelf
from peers.signers import SignersInPlace
from peers.transfer import open_session
from storage.memory import Faults, MemoryKeyValue
from tests.model.small_chain import ALICE_KEY, BOB, BOB_KEY
from tests.node_bench import NodeBench

from .bench_link import BenchRpc, bench_link
from .manifests import single

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

    from peers.chain_link import ChainLink

Json = dict[str, Any]
CONTENT: Final = bytes(range(200))
FILM: Final = single(CONTENT)
CHUNKS: Final = [CONTENT[start : start + 10] for start in range(0, 200, 10)]
PRICE, FIRST = 10, 20
PATIENCE_S: Final = 30


class SellingWorld:
    """One chain, one folder, one pool; `selling` is a cacher's run, of which there may be several in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = NodeBench()
        self.pool_id = self.new_pool()
        self.link: ChainLink
        self.rpc: BenchRpc
        self.store: PaymentStore
        self.cacher: Cacher
        self.changes = 0

    def new_pool(self, deposit: int = 1000, resource: bytes = FILM.resource_id, duration: int = 45) -> bytes:
        return bytes.fromhex(self.bench.new_pool(deposit, deposit + 111, duration, resource=resource)[2:])

    def put_on_shelf(self, *, empty: bool = False) -> None:
        """Have the film's manifest, and its chunks, on disk."""
        with ChunkStore(self.folder / "chunks" / FILM.resource_id.hex(), FILM) as store:
            for index, data in enumerate([] if empty else CHUNKS):
                store.put(index, FILM.verify_chunk(index, data))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.bench.runner.run(asyncio.wait_for(work, PATIENCE_S))

    @asynccontextmanager
    async def selling(
        self, *, origin: str | None = None, disk: MemoryKeyValue | None = None, **settings: Any
    ) -> AsyncIterator[Cacher]:
        """A run, with `settings` of the cacher; `disk` takes the place of LevelDB."""
        usual: Json = {"margin_blocks": 5, "quiet_seconds": 1000.0, "first_amount": FIRST, "stop_seconds": 20.0}
        async with AsyncExitStack() as stack:
            self.link, self.rpc = bench_link(self.bench, self.folder)
            stack.push_async_callback(self.link.close)
            await self.link.connect()
            genesis_hash = self.bench.domain.genesis_hash
            if disk is None:
                self.store = await asyncio.to_thread(PaymentStore.open, self.folder / "payments", genesis_hash, BOB)
            else:
                self.store = PaymentStore(disk, genesis_hash, BOB)
            stack.push_async_callback(self.store.close)
            session = await stack.enter_async_context(open_session())
            shelf = Shelf(self.folder / "chunks", session, origin, self.link.domain)
            stack.callback(shelf.close)
            self.cacher = Cacher(
                CacherSettings(PRICE, origin, **{**usual, **settings}),
                self.link,
                self.store,
                shelf,
                key=SigningKey(BOB_KEY),
                signers=SignersInPlace(self.link.domain),
                on_change=self._note_change,
            )
            await self.cacher._begin()
            async with self.cacher._selling():
                yield self.cacher

    # What a viewer does

    async def documents(self, pool_id: bytes | None = None) -> Json:
        """The body of a handshake against the newest head."""
        found = await self.link.handshake_documents(self.pool_id if pool_id is None else pool_id, BOB)
        return {"version": 1, "resourceId": f"0x{FILM.resource_id.hex()}", **found}

    async def shake(self, pool_id: bytes | None = None) -> Json:
        return await self.cacher.desk.handshake(await self.documents(pool_id))

    def payment(self, amount: int, seq: int = 1, **changes: Any) -> Payment:
        promise = Promise(BOB, amount, self.pool_id, seq)._replace(**changes)
        return Payment.sign(promise, SigningKey(ALICE_KEY), self.bench.domain)

    def header(self, amount: int, seq: int = 1, **changes: Any) -> str:
        return f"0x{self.payment(amount, seq, **changes).encode().hex()}"

    async def buy(self, index: int, amount: int, seq: int = 1) -> bytes:
        return await self.cacher.desk.chunk(FILM.resource_id, index, self.header(amount, seq))

    async def refused(self, reason: str, asked: Coroutine[Any, Any, Any]) -> Json:
        """The body of a refusal with this reason."""
        with pytest.raises(Refused) as caught:
            await asked
        refused = caught.value
        assert (refused.reason, refused.status) == (reason, STATUS[reason]), refused
        found: Json = json.loads(json.dumps(refused.to_json()))
        return found

    # What is so

    async def until(self, holds: Callable[[], object]) -> None:
        while not holds():  # noqa: ASYNC110  # what is waited for is the code's own state
            await asyncio.sleep(0.005)

    @property
    def row(self) -> Json:
        (found,) = self.cacher.status()["pools"]
        return dict(found)

    @property
    def record(self) -> Target:
        record = self.bench.node.view().get(target_key(self.pool_id, BOB))
        return Target.decode(record) if record else Target(0, 0)

    def _note_change(self) -> None:
        self.changes += 1


@contextmanager
def stocked_world(folder: Path) -> Iterator[SellingWorld]:
    """A world with the film on the shelf."""
    found = SellingWorld(folder)
    found.put_on_shelf()
    yield found
    found.bench.close()


def faulty(**faults: Any) -> MemoryKeyValue:
    """A disk in memory that fails as `storage.memory.Faults` says."""
    return MemoryKeyValue(None, Faults(**faults))

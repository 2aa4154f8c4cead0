"""How many payments a cacher accepts and how many a viewer signs in a second, durable, beside bare recoveries.

Every pool has one payment under way at a time: the next one is sent when the chunk is here. All are signed before the
clock starts. Below HTTP, the cacher's own logic is called in this process; through HTTP, a cacher's process is asked by
a load generator in another one, on the same cores. Afterwards the cacher settles everything, and its balance is
checked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from crypto.eip712 import Domain
from peers.cacher import Cacher
from peers.chunk_store import ChunkStore, cut_path
from peers.manifest import Manifest
from peers.payer_ledger import PayerLedger
from peers.pools_of_viewer import RESERVED_CHUNKS
from peers.price_list import CacherSettings
from peers.purse import Purse
from poolchain import event_loop
from poolchain.payment_signers import PaymentSigners
from tests.functional.cacher_process import CacherProcess
from tests.functional.node_process import NodeProcess

from . import yardstick
from .caller import Caller
from .figures import Goal, Sample, Scale
from .load import Load, drive_elsewhere
from .peer_stage import (
    FEE,
    SELLERS,
    VIEWER,
    balance,
    create_pools,
    domain_of,
    encoded,
    handshake_body,
    http_get,
    http_post,
    sign_all,
    trust_of,
)

BELOW: Final = "payments accepted below HTTP, durable"
THROUGH: Final = "payments accepted through HTTP, durable"
SIGNED: Final = "payments signed, durable"
GOALS: Final = (Goal(BELOW, 0.5, yardstick.ONE_CORE), Goal(THROUGH, 0.25, yardstick.ONE_CORE))
PRICE: Final = 10**13
POOLS: Final = 256
CHUNK_BYTES: Final = 1000
_TARGETS: Final = 3
_SELLER: Final = SELLERS[0]


def part(scale: Scale) -> Iterator[Sample]:
    """Measure one cacher's payments, and one viewer's."""
    chunks = 8 if scale.quick else 100
    for name, measure in ((BELOW, measure_below), (THROUGH, measure_through)):
        folder = scale.folder / name.split()[2]
        folder.mkdir()
        yield Sample(name, "per second", measure(folder, chunks))
    yield Sample(SIGNED, "per second", measure_signed(scale.folder, 1_000 if scale.quick else 10_000))


@dataclass(frozen=True, slots=True)
class Market:
    """A chain with open pools, and the payments for every chunk."""

    node: NodeProcess
    source: Path
    manifest: Manifest
    pools: Sequence[bytes]
    payments: Sequence[Sequence[str]]
    """Of each pool."""

    @property
    def count(self) -> int:
        """How many payments there are."""
        return sum(map(len, self.payments))

    def handshakes(self) -> list[dict[str, object]]:
        """Return the body that opens each pool."""
        return [handshake_body(self.node, self.manifest.resource_id, pool, _SELLER.address) for pool in self.pools]

    def path(self, index: int) -> str:
        """Return where a chunk is asked for."""
        return f"/chunk/0x{self.manifest.resource_id.hex()}/{index}"


@contextmanager
def market(folder: Path, chunks: int) -> Iterator[Market]:
    """Make a market; at the end every payment must have become the seller's."""
    source = folder / "content.bin"
    source.write_bytes(b"".join(index.to_bytes(4, "big") * (CHUNK_BYTES // 4) for index in range(chunks)))
    manifest = cut_path(source, chunk_bytes=CHUNK_BYTES, price_per_chunk=PRICE)
    with NodeProcess(folder) as node:
        # A deposit that keeps the cap on what may stand unsettled away.
        pools = create_pools(node, manifest.resource_id, POOLS, 3 * chunks * PRICE)
        totals = [PRICE * (index + 1) for index in range(chunks)]
        domain = domain_of(node)
        payments = [sign_all(pool, _SELLER.address, totals, domain) for pool in pools]
        before = balance(node, _SELLER.address)
        yield Market(node, source, manifest, pools, payments)
        earned = balance(node, _SELLER.address) - before
        if earned != POOLS * (chunks * PRICE - FEE):
            raise RuntimeError(f"the seller has {earned} instead of {POOLS * (chunks * PRICE - FEE)}")


def measure_below(folder: Path, chunks: int) -> float:
    """Return the rate of: read the header, recover the signer, judge, write, sync, hand the chunk out."""
    with market(folder, chunks) as found:
        return event_loop.run(_sell_all(found, folder / "cacher"))


async def _sell_all(found: Market, folder: Path) -> float:
    content, resource_id = found.source.read_bytes(), found.manifest.resource_id
    with ChunkStore(folder / "chunks" / resource_id.hex(), found.manifest) as store:
        for index in range(found.manifest.chunk_count):
            chunk = content[index * CHUNK_BYTES : (index + 1) * CHUNK_BYTES]
            store.put(index, found.manifest.verify_chunk(index, chunk))
    settings = CacherSettings(PRICE, quiet_seconds=1000)
    async with Cacher.open(
        settings, found.node.url, trust_of(found.node), key=_SELLER, folder=folder, signers_of=PaymentSigners
    ) as cacher:
        for body in found.handshakes():
            await cacher.desk.handshake(body)

        async def view(payments: Sequence[str]) -> None:
            for index, payment in enumerate(payments):
                await cacher.desk.chunk(resource_id, index, payment)

        start = time.perf_counter()
        await asyncio.gather(*map(view, found.payments))
        return found.count / (time.perf_counter() - start)


def measure_through(folder: Path, chunks: int) -> float:
    """Return the rate of whole requests to a cacher's process."""
    with market(folder, chunks) as found:
        cacher = CacherProcess(folder, found.node.url, "--quiet", "1000", price=PRICE)
        content = found.source.read_bytes()
        cacher.resource(
            [content[at : at + CHUNK_BYTES] for at in range(0, len(content), CHUNK_BYTES)], chunk_bytes=CHUNK_BYTES
        )
        with cacher:
            port = urlsplit(cacher.url).port or 0
            with Caller(port) as caller:
                for body in found.handshakes():
                    caller.exchange(http_post("/handshake", encoded(body)))
            lanes = [
                [http_get(found.path(index), Poolchain_Payment=payment) for index, payment in enumerate(payments)]
                for payments in found.payments
            ]
            driven = drive_elsewhere(Load(port, lanes, until_committed=False))
            if driven.failed:
                raise RuntimeError(f"{driven.failed} payments were refused: {driven.errors[0]}")
            if cacher.terminate():
                raise RuntimeError(cacher.errors())
        return found.count / (driven.answered - driven.started)


def measure_signed(folder: Path, count: int) -> float:
    """Return the rate of promises, each on disk before it is signed, to three peers in turn."""
    domain = Domain.of(1, bytes(32))
    deposit = 2 * count * PRICE
    targets = [seller.address for seller in SELLERS[:_TARGETS]]
    with PayerLedger(folder / "ledger", "bench", deposit, reserve_ahead=RESERVED_CHUNKS * PRICE) as ledger:
        purse = Purse(bytes(32), deposit, ledger, VIEWER, domain)
        start = time.perf_counter()
        for number in range(count):
            purse.pay(targets[number % _TARGETS], PRICE * (number // _TARGETS + 1), 1)
        rate = count / (time.perf_counter() - start)
        if ledger.promised < count * PRICE:
            raise RuntimeError("the ledger knows less than was signed")
    return rate

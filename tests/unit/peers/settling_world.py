"""A chain in memory, a disk and a pool, and a cacher's settler that runs on them, as often as a test restarts it.

Alice's pool has deposit 1000 and pays Bob, who sells at 10; the chain's fee is 10 and its reward 100.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from crypto.signature import SigningKey
from ledger.records import Target, target_key
from peers.book import Book, Caps, SettlePolicy
from peers.open_books import Account, Accounts, Stage
from peers.payment import Payment, Promise
from peers.payment_store import PaymentStore
from peers.settler import Settler
from storage.memory import Faults, MemoryDisk, MemoryKeyValue
from tests.model.small_chain import ALICE_KEY, BOB, BOB_KEY
from tests.node_bench import NodeBench

from .bench_link import BenchRpc, bench_link
from .books import TERMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from peers.chain_link import ChainLink

KEY: Final = SigningKey(BOB_KEY)
CAPS: Final = Caps(10_000)
POLICY: Final = SettlePolicy(fee=10, reward=100, quiet_seconds=1000.0, margin_blocks=5)
PATIENCE_S: Final = 20


class World:
    """One chain, one disk, and the pool; `settling` is a cacher's run, of which there may be several in turn."""

    def __init__(self, folder: Path, duration: int = 45) -> None:
        self.folder = folder
        self.bench = NodeBench()
        self.pool_id = bytes.fromhex(self.bench.new_pool(1000, 1111, duration)[2:])
        self.disk = MemoryDisk()
        self.accounts = Accounts()
        self.faults = Faults()
        self.rpc: BenchRpc
        self.link: ChainLink
        self.store: PaymentStore
        self.settler: Settler

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        self.bench.runner.run(asyncio.wait_for(work, PATIENCE_S))

    @asynccontextmanager
    async def settling(self, *, away: bool = False, policy: SettlePolicy = POLICY) -> AsyncIterator[None]:
        """A run: connect, load the books, settle inside, stop without settling what is left."""
        self.link, self.rpc = bench_link(self.bench, self.folder)
        await self.link.connect()
        disk = MemoryKeyValue(self.disk, self.faults)
        self.store = PaymentStore(disk, self.bench.domain.genesis_hash, BOB)
        self.accounts = Accounts()
        for book in self.store.load():
            self.accounts.add(Account(book, TERMS, paid_at=time.monotonic(), is_kept=True))
        self.settler = Settler(self.accounts, self.link, self.store, KEY, policy=policy, caps=CAPS)
        self.rpc.is_away = away
        try:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(self.settler.run())
                following = tasks.create_task(self._follow())
                yield
                running.cancel()
                following.cancel()
        finally:
            await self.store.close()

    async def _follow(self) -> None:
        async with self.link.running():
            await asyncio.Event().wait()

    async def begin(self) -> Account:
        """The account after a handshake."""
        found = await self.link.records(self.pool_id, BOB)
        assert found.pool is not None
        book = Book(self.pool_id, BOB, found.pool, found.target, self.link.height, delivered=found.target.paid)
        account = Account(book, TERMS, paid_at=time.monotonic())
        self.accounts.add(account)
        return account

    def payment(self, amount: int, seq: int) -> Payment:
        return Payment.sign(Promise(BOB, amount, self.pool_id, seq), SigningKey(ALICE_KEY), self.bench.domain)

    async def pay(self, account: Account, amount: int, caps: Caps = CAPS) -> None:
        book = account.book.accept(self.payment(amount, account.book.next_seq), SigningKey(ALICE_KEY).address, caps)
        account.book, account.is_kept = book.deliver(amount - book.delivered), True
        await self.store.save(account.book)
        self.settler.wake()

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds():  # noqa: ASYNC110  # what is waited for is the code's own state
            await asyncio.sleep(0.005)

    async def until_stage(self, account: Account, stage: Stage, seq: int = 1) -> None:
        def holds() -> bool:
            found = account.settlement
            return found is not None and found.stage is stage and found.tgt_seq == seq

        await self.until(holds)

    def kept(self) -> Book:
        """The book that is on the disk."""
        (found,) = self.store.load()
        return found

    @property
    def record(self) -> Target:
        record = self.bench.node.view().get(target_key(self.pool_id, BOB))
        return Target.decode(record) if record else Target(0, 0)

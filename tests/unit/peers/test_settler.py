"""Settling on a real chain in memory: the order on the disk, what fails and what happens next, restarts, double spends.

Alice's pool has deposit 1000 and pays Bob, who sells at 10; the chain's fee is 10 and its reward 100.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from crypto.signature import SigningKey
from ledger.records import PoolStatus, Target, account_key, target_key
from peers.book import Book, Caps, SettlePolicy
from peers.chain_link import ChainLink
from peers.node_rpc import NodeAway, NodeRefused
from peers.open_books import Account, Accounts, Stage
from peers.payment import Payment, Promise
from peers.payment_store import PaymentStore, StoreFailed
from peers.settler import Settler
from storage.kv import StorageFailure
from storage.memory import Fault, Faults, MemoryDisk, MemoryKeyValue
from tests.model.small_chain import ALICE_KEY, BOB, BOB_KEY, CAROL_KEY
from tests.node_bench import NodeBench

from .bench_link import BenchRpc, bench_link
from .books import TERMS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from pathlib import Path

KEY: Final = SigningKey(BOB_KEY)
CAPS: Final = Caps(10_000)
POLICY: Final = SettlePolicy(fee=10, reward=100, quiet_seconds=1000.0, margin_blocks=5)
PATIENCE_S: Final = 20


class World:
    """One chain, one disk, and the pool; `settling` is a cacher's run, of which there may be several in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = NodeBench()
        self.pool_id = bytes.fromhex(self.bench.new_pool(1000, 1111, 45)[2:])
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


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.bench.close()


def refusal(reason: str) -> NodeRefused:
    return NodeRefused({"message": "no", "data": {"reason": reason, "expected": "other", "given": "this"}})


# The ordinary way


def test_the_mark_is_on_disk_before_anything_is_signed_or_sent(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            seen: list[Payment | None] = []
            world.rpc.before_submit = lambda: seen.append(world.kept().settling)
            await world.pay(account, 500)
            await world.until_stage(account, Stage.SETTLED)
            assert seen == [world.payment(500, 1)]
            assert world.record == account.book.record == Target(1, 500)
            assert (account.book.settling, account.book.unsettled, account.book.next_seq) == (None, 0, 2)
            assert world.kept().record == Target(1, 500)
            assert account.settlement is not None
            assert (account.settlement.reason, account.settlement.attempts) == ("the cap is near", 1)

    world.run(work())


def test_while_it_settles_payments_with_the_next_number_are_accepted(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            world.rpc.is_sealing = False
            account = await world.begin()
            await world.pay(account, 495)
            await world.until_stage(account, Stage.SUBMITTED)
            assert account.book.next_seq == 2
            await world.pay(account, 500)
            assert world.kept().settling == world.payment(495, 1)
            assert world.kept().best == world.payment(500, 2)
            world.rpc.is_sealing = True
            await world.until_stage(account, Stage.SETTLED)
            assert account.book.unsettled == 5
            await world.pay(account, 995)
            await world.until_stage(account, Stage.SETTLED, 2)
            assert world.record == Target(2, 995)

    world.run(work())


def test_it_settles_before_the_pool_expires_without_being_asked(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            await world.pay(account, 100)
            await world.rpc.mine(45 - 1 - 5 - 1)
            await world.rpc.mine()
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement is not None
            assert "blocks are left" in account.settlement.reason
            assert world.record == Target(1, 100)

    world.run(work())


def test_it_settles_what_has_gone_quiet(world: World) -> None:
    async def work() -> None:
        async with world.settling(policy=SettlePolicy(10, 100, quiet_seconds=0.2, margin_blocks=5)):
            account = await world.begin()
            await world.pay(account, 200)
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement is not None
            assert account.settlement.reason == "the viewer has gone quiet"

    world.run(work())


def test_the_end_settles_everything_that_is_worth_its_fee(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            await world.pay(account, 100)
            assert await world.settler.close(10)
            assert world.record == Target(1, 100)
        async with world.settling():
            (account,) = world.accounts
            await world.pay(account, 110)
            assert await world.settler.close(10)
            assert world.record == Target(1, 100)  # 10 more are not worth a fee of 10

    world.run(work())


# What fails


def test_a_node_that_is_away_is_tried_again(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.faults = [NodeAway("cannot be reached"), NodeAway("cannot be reached")]
            await world.pay(account, 500)
            await world.until_stage(account, Stage.RETRYING)
            assert account.settlement is not None
            assert account.settlement.error == "cannot be reached; it is tried again"
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement.attempts == 3
            assert world.accounts.get(world.pool_id) is account
            assert len(set(world.rpc.submitted)) == 1

    world.run(work())


def test_a_lost_answer_costs_nothing(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.lost = 1
            await world.pay(account, 500)
            await world.until_stage(account, Stage.SETTLED)
            assert world.record == Target(1, 500)

    world.run(work())


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("BAD_SEQUENCE", "the chain is followed"),
        ("INSUFFICIENT_BALANCE", "it is tried again"),
        ("STORAGE_FAILED", "it is tried again"),
        ("POOL_EXPIRED", "final, once the chain proves it"),
        ("POOL_SLASHED", "final, once the chain proves it"),
        ("TOO_MANY_PENDING", "it is tried again"),
    ],
)
def test_a_refusal_says_why_and_what_happens_next(world: World, reason: str, words: str) -> None:
    """The node's word alone ends nothing: what it claims wrongly is tried again."""

    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.faults = [refusal(reason)]
            await world.pay(account, 500)
            await world.until_stage(account, Stage.RETRYING)
            assert account.settlement is not None
            assert account.settlement.error is not None
            assert reason in account.settlement.error
            assert words in account.settlement.error
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement.error is None

    world.run(work())


@pytest.mark.parametrize("reason", ["FEE_TOO_LOW", "MEMPOOL_FULL"])
def test_a_fee_that_is_too_low_is_raised_for_the_same_payment(world: World, reason: str) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.faults = [refusal(reason)]
            await world.pay(account, 500)
            await world.until_stage(account, Stage.SETTLED)
            first, second = world.rpc.submitted
            assert first != second
            assert first[: 2 + 2 * (1 + 128 + 65)] == second[: 2 + 2 * (1 + 128 + 65)]
            assert account.settlement is not None
            assert account.settlement.fee == 13

    world.run(work())


def test_a_pool_that_others_slash_is_lost(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            world.rpc.is_sealing = False
            account = await world.begin()
            await world.pay(account, 500)
            await world.until_stage(account, Stage.SUBMITTED)
            pool = "0x" + world.pool_id.hex()
            # Carol's evidence, with a higher fee than Bob's settlement, takes everything.
            await world.rpc._answer("tx_submit", raw="0x" + world.bench.payment(CAROL_KEY, pool, 1001, fee=50).hex())
            await world.rpc.mine()
            await world.until_stage(account, Stage.LOST)
            assert account.book.pool.status is PoolStatus.SLASHED
            assert account.book.unsettled == 500
            assert [*world.store.load()] == []
            assert not account.is_kept

    world.run(work())


def test_a_pool_that_expires_first_is_lost(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.faults = [NodeAway("gone")] * 100
            await world.pay(account, 500)
            await world.until_stage(account, Stage.RETRYING)
            await world.rpc.mine(48)
            await world.until_stage(account, Stage.LOST)
            assert account.book.pool.status is PoolStatus.EXPIRED
            assert [*world.store.load()] == []

    world.run(work())


def test_the_end_does_not_wait_for_ever(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            await world.pay(account, 100)
            world.rpc.is_away = True
            assert not await world.settler.close(0.5)
        async with world.settling():
            (account,) = world.accounts
            await world.until_stage(account, Stage.SETTLED)
            assert world.record == Target(1, 100)

    world.run(work())


def test_nothing_is_signed_when_the_mark_cannot_be_written(world: World) -> None:
    async def work() -> None:
        # The identity, the payment, the mark.
        world.faults = Faults(writes={3: Fault(StorageFailure("no space left"))})

        async def sell() -> None:
            async with world.settling():
                await world.pay(await world.begin(), 500)
                await asyncio.Event().wait()

        with pytest.raises(ExceptionGroup) as caught:
            await sell()
        assert caught.group_contains(StoreFailed, match="no space left")
        assert world.rpc.submitted == []

    world.run(work())


# Restarts


@pytest.mark.parametrize("was_committed", [False, True])
def test_a_restart_goes_on_with_the_same_payment(world: World, was_committed: bool) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.lost = 10**6 if was_committed else 0
            world.rpc.faults = [] if was_committed else [NodeAway("gone")] * 100
            if was_committed:
                world.rpc.before_submit = lambda: setattr(world.rpc, "is_away", False)
            await world.pay(account, 500)
            await world.until(lambda: bool(world.rpc.submitted))
            first = world.rpc.submitted[0]
        assert world.disk.contents()
        async with world.settling():
            (account,) = world.accounts
            if not was_committed:
                assert account.book.settling == world.payment(500, 1)
                assert account.book.next_seq == 2
            await world.until(lambda: account.book.record == Target(1, 500))
            assert set(world.rpc.submitted) <= {first}
            await world.until(lambda: account.book.settling is None)

    world.run(work())


def test_a_mark_without_a_submission_is_finished_after_a_restart(world: World) -> None:
    async def work() -> None:
        async with world.settling(policy=SettlePolicy(10, 100, margin_blocks=1)):
            account = await world.begin()
            await world.pay(account, 300)
            await world.store.save(account.book.begin_settlement(10))
        async with world.settling():
            (account,) = world.accounts
            assert account.book.next_seq == 2
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement is not None
            assert account.settlement.reason == "begun before a restart"
            assert world.record == Target(1, 300)

    world.run(work())


# Double spends


def test_a_double_spend_is_published_at_once_and_rewarded(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            await world.pay(account, 400)
            pool = "0x" + world.pool_id.hex()
            await world.rpc._answer("tx_submit", raw="0x" + world.bench.payment(CAROL_KEY, pool, 700).hex())
            before = world.bench.node.view().get(account_key(BOB))
            await world.rpc.mine()
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement is not None
            assert account.settlement.reason == "the creator has promised more than the deposit"
            assert account.book.pool.status is PoolStatus.SLASHED
            after = world.bench.node.view().get(account_key(BOB))
            assert before is not None
            assert after is not None
            # What remained, and the reward of 110 = 1111 - 1000 - 1, less the fee.
            gained = int.from_bytes(after[:16], "big") - int.from_bytes(before[:16], "big")
            assert gained == 300 + 110 - 10

    world.run(work())


def test_evidence_that_bought_nothing_is_published_too(world: World) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            await world.pay(account, 100)
            account.book = account.book.witness(world.payment(1001, 1), SigningKey(ALICE_KEY).address)
            world.settler.wake()
            await world.until_stage(account, Stage.SETTLED)
            assert account.book.pool.status is PoolStatus.SLASHED
            assert world.record == Target(1, 1000)

    world.run(work())

"""Settling on a real chain in memory: the order on the disk, what fails and what happens next.

Alice's pool has deposit 1000 and pays Bob, who sells at 10; the chain's fee is 10 and its reward 100.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ledger.records import PoolStatus, Target
from peers.book import SettlePolicy
from peers.node_rpc import NodeAway, NodeRefused
from peers.open_books import Stage
from peers.payment_store import StoreFailed
from storage.kv import StorageFailure
from storage.memory import Fault, Faults
from tests.model.small_chain import CAROL_KEY

from .settling_world import POLICY, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from peers.payment import Payment


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


def test_a_settlement_that_blocks_leave_out_offers_more_and_near_the_end_all_that_it_is_worth(tmp_path: Path) -> None:
    """Else whoever fills the blocks at a little more than the least fee keeps it out until the pool is over."""
    world = World(tmp_path, duration=50)

    async def work() -> None:
        async with world.settling():
            world.rpc.is_full = True
            account = await world.begin()
            await world.pay(account, 500)
            await world.until(lambda: len(world.rpc.submitted) > 2)
            assert len(set(world.rpc.submitted)) == 1, "no block has come: it is waited for"
            for blocks, fee in ((1, 10), (1, 20), (2, 40), (20, 125)):
                await world.rpc.mine(blocks)
                tried = len(world.rpc.submitted)
                await world.until(lambda: len(world.rpc.submitted) > tried + 2)  # noqa: B023
                assert account.settlement is not None
                assert account.settlement.fee == fee
            assert world.kept().settling_fee == 125
            world.rpc.is_full = False
            await world.until_stage(account, Stage.SETTLED)

    with closing(world.bench):
        world.run(work())


def test_a_fee_that_the_payment_does_not_cover_goes_back_to_the_least(world: World) -> None:
    """Whatever was offered before: else the node would refuse it until the pool is over."""

    async def work() -> None:
        async with world.settling(policy=replace(POLICY, fee=400)):
            account = await world.begin()
            world.rpc.faults = [refusal("INSUFFICIENT_BALANCE")]
            await world.pay(account, 500)
            await world.until_stage(account, Stage.SETTLED)
            assert account.settlement is not None
            assert account.settlement.fee == 10
            assert len(set(world.rpc.submitted)) == 2

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
            assert account.settlement is not None
            assert account.settlement.error is not None
            assert account.settlement.error.startswith(
                "the pool is slashed: 500 base units will not be paid, and nothing more is tried"
            )
            assert "tried again" not in account.settlement.error
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
            assert account.settlement is not None
            assert account.settlement.error == (
                "the pool is expired: 500 base units will not be paid, and nothing more is tried "
                "(the last attempt: gone)"
            )
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

"""What a restart finds of a settlement, and double spends that are published (see settling_world)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto.signature import SigningKey
from ledger.records import PoolStatus, Target, account_key
from peers.book import SettlePolicy
from peers.node_rpc import NodeAway
from peers.open_books import Stage
from tests.model.small_chain import ALICE_KEY, BOB, CAROL_KEY

from .settling_world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    found = World(tmp_path)
    yield found
    found.bench.close()


# Restarts


@pytest.mark.parametrize("was_committed", [False, True])
def test_a_restart_goes_on_with_the_same_payment(world: World, was_committed: bool) -> None:
    async def work() -> None:
        async with world.settling():
            account = await world.begin()
            world.rpc.lost = 10**6 if was_committed else 0
            world.rpc.faults = [] if was_committed else [NodeAway("gone")] * 100
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

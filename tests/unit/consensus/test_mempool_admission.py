"""What a submission is judged on: the committed state at head + 1, and the pending transactions it builds on."""

from __future__ import annotations

import gc
import weakref

import pytest

from ledger.records import account_key, target_key
from tests.model.small_chain import (
    ALICE,
    ALICE_KEY,
    AUTHORITY_KEY,
    BOB,
    BOB_KEY,
    CAROL,
    CAROL_KEY,
    DAVE,
    DAVE_KEY,
)
from tests.unit.consensus.world import World


@pytest.fixture
def world() -> World:
    return World()


def test_lower_nonces_of_the_same_sender_are_built_on(world: World) -> None:
    world.add(*(world.transfer(ALICE_KEY, nonce) for nonce in range(5)))
    assert len(world.mempool) == 5
    assert world.mempool.next_position(account_key(ALICE)) == 5


def test_a_gap_is_not_queued(world: World) -> None:
    world.refuse(world.transfer(ALICE_KEY, 1), "NONCE_GAP")
    world.add(world.transfer(ALICE_KEY, 0))
    world.refuse(world.transfer(ALICE_KEY, 2), "NONCE_GAP")
    assert world.mempool.next_position(account_key(BOB)) is None


def test_a_used_nonce_is_refused(world: World) -> None:
    world.mine(world.transfer(ALICE_KEY, 0), world.transfer(ALICE_KEY, 1))
    world.refuse(world.transfer(ALICE_KEY, 1), "BAD_NONCE")
    world.add(world.transfer(ALICE_KEY, 2))
    world.refuse(world.transfer(ALICE_KEY, 0), "BAD_NONCE")


def test_what_a_sender_has_pending_is_spent(world: World) -> None:
    world.add(world.transfer(BOB_KEY, 0, amount=4000))
    world.refuse(world.transfer(BOB_KEY, 1, amount=981), "INSUFFICIENT_BALANCE")
    world.add(world.transfer(BOB_KEY, 1, amount=980))


def test_what_others_have_pending_for_a_sender_does_not_count(world: World) -> None:
    world.add(world.transfer(ALICE_KEY, 0, to=CAROL, amount=500))
    world.refuse(world.transfer(CAROL_KEY, 0), "INSUFFICIENT_BALANCE")


def test_a_transfer_to_oneself_gives_back_the_amount(world: World) -> None:
    world.add(world.transfer(DAVE_KEY, 0, to=DAVE, amount=90))
    world.add(world.transfer(DAVE_KEY, 1, to=DAVE, amount=80))
    world.refuse(world.transfer(DAVE_KEY, 2, to=DAVE, amount=71), "INSUFFICIENT_BALANCE")


def test_a_settlement_builds_on_its_targets_earlier_ones(world: World) -> None:
    pool = world.pool()
    world.refuse(world.pay(BOB_KEY, pool, 200, seq=2), "BAD_SEQUENCE")
    world.add(world.pay(BOB_KEY, pool, 100, seq=1))
    world.refuse(world.pay(BOB_KEY, pool, 100, seq=2), "AMOUNT_NOT_INCREASED")
    world.refuse(world.pay(BOB_KEY, pool, 300, seq=3), "BAD_SEQUENCE")
    world.add(world.pay(BOB_KEY, pool, 200, seq=2))
    assert world.mempool.next_position(target_key(pool, BOB)) == 3


def test_a_settlement_may_take_its_fee_from_what_earlier_ones_pay(world: World) -> None:
    pool = world.pool()
    world.refuse(world.pay(CAROL_KEY, pool, 20, fee=21), "INSUFFICIENT_BALANCE")
    world.add(world.pay(CAROL_KEY, pool, 60, fee=20))
    world.add(world.pay(CAROL_KEY, pool, 61, seq=2, fee=41))
    world.refuse(world.pay(CAROL_KEY, pool, 71, seq=3, fee=11), "INSUFFICIENT_BALANCE")


def test_an_account_that_a_settlement_would_empty_is_empty_for_the_next(world: World) -> None:
    world.mine(world.transfer(ALICE_KEY, 0, to=CAROL, amount=5))
    pool = world.pool(1)
    world.add(world.pay(CAROL_KEY, pool, 5, fee=10))
    world.refuse(world.pay(CAROL_KEY, pool, 10, 2, fee=10), "INSUFFICIENT_BALANCE")
    world.add(world.pay(CAROL_KEY, pool, 15, 2, fee=10))


def test_a_settlement_does_not_see_what_its_target_sends_or_settles_elsewhere(world: World) -> None:
    pool = world.pool()
    other = world.pool(nonce=1, duration=11)
    world.add(world.transfer(DAVE_KEY, 0, amount=90))
    world.add(world.pay(DAVE_KEY, pool, 1, fee=101))
    world.add(world.pay(DAVE_KEY, other, 1, fee=101))
    world.refuse(world.pay(CAROL_KEY, other, 1, fee=10), "INSUFFICIENT_BALANCE")


def test_what_other_targets_have_pending_never_refuses(world: World) -> None:
    pool = world.pool()
    world.add(world.pay(BOB_KEY, pool, 1000))
    world.add(world.pay(CAROL_KEY, pool, 1000))
    world.add(world.pay(DAVE_KEY, pool, 2000))
    assert [world.mempool.judge(world.pay(key, pool, 1000)).is_double_spend for key in (BOB_KEY, CAROL_KEY)] == [
        False,
        False,
    ]


def test_nothing_follows_the_targets_own_double_spend(world: World) -> None:
    pool = world.pool()
    world.add(world.pay(BOB_KEY, pool, 1001))
    world.refuse(world.pay(BOB_KEY, pool, 1002, seq=2), "POOL_SLASHED")


def test_a_settlement_builds_on_the_pending_creation_of_its_pool(world: World) -> None:
    creation = world.create(nonce=1)
    world.refuse(world.pay(BOB_KEY, creation.hash, 10), "POOL_UNKNOWN")
    world.add(world.transfer(ALICE_KEY, 0), creation)
    world.refuse(world.pay(ALICE_KEY, creation.hash, 10), "SELF_PAYMENT")
    world.refuse(world.pay(BOB_KEY, creation.hash, 10, creator=DAVE_KEY), "NOT_CREATOR")
    world.add(world.pay(BOB_KEY, creation.hash, 10), world.pay(BOB_KEY, creation.hash, 20, seq=2))
    world.add(world.pay(CAROL_KEY, creation.hash, 1001))


def test_settlements_build_on_several_pending_pools(world: World) -> None:
    pools = [world.create(nonce=nonce, duration=duration) for nonce, duration in enumerate((2, 9, 50))]
    world.add(*pools)
    for seq in (1, 2):
        world.add(*(world.pay(key, pool.hash, 100 * seq, seq) for pool in pools for key in (BOB_KEY, CAROL_KEY)))
    assert len(world.mempool) == 3 + 12
    world.mine_pending()
    assert len(world.mempool) == 0


def test_a_hash_that_is_no_pools_is_an_unknown_pool(world: World) -> None:
    transfer = world.transfer(ALICE_KEY, 0)
    world.add(transfer)
    world.refuse(world.pay(BOB_KEY, transfer.hash, 10), "POOL_UNKNOWN")


def test_expiry_is_judged_at_the_next_height(world: World) -> None:
    pool = world.pool(duration=3)
    for seq in (1, 2):
        world.add(world.pay(BOB_KEY, pool, 100 * seq, seq))
        world.mine_pending()
    assert world.height == 3
    world.refuse(world.pay(BOB_KEY, pool, 300, 3), "POOL_EXPIRED")


def test_a_pending_pools_time_lock_begins_with_the_block_that_creates_it(world: World) -> None:
    creation = world.create(duration=2)
    world.add(creation, world.pay(BOB_KEY, creation.hash, 10))
    assert world.mine_empty(5) == []
    world.add(world.pay(BOB_KEY, creation.hash, 20, seq=2), world.pay(CAROL_KEY, creation.hash, 20))
    assert world.mine_empty(1) == []
    world.mine_pending()
    assert len(world.mempool) == 0
    assert world.store.view().location(creation.hash) == (7, 0)


def test_the_hash_comes_before_every_rule(world: World) -> None:
    known = world.transfer(ALICE_KEY, 0)
    world.add(known)
    world.refuse(known, "ALREADY_KNOWN")
    world.refuse(world.transfer(ALICE_KEY, 0, 9, amount=0), "FEE_TOO_LOW")
    world.refuse(world.transfer(ALICE_KEY, 7, amount=0), "ZERO_AMOUNT")


@pytest.mark.parametrize("key", [BOB_KEY, AUTHORITY_KEY], ids=["bob", "authority"])
def test_sixteen_settlements_of_a_target_may_wait(world: World, key: bytes) -> None:
    pool = world.pool(deposit=1_000, collateral=400_000)
    world.add(*(world.pay(key, pool, 10 * seq, seq) for seq in range(1, 17)))
    world.refuse(world.pay(key, pool, 170, 17), "TOO_MANY_PENDING")
    world.refuse(world.pay(key, pool, 1_001, 17), "TOO_MANY_PENDING")
    world.refuse(world.pay(key, pool, 160, 17), "AMOUNT_NOT_INCREASED")
    world.refuse(world.pay(key, pool, 180, 18), "BAD_SEQUENCE")
    world.refuse(world.pay(key, pool, 170, 17, fee=9), "FEE_TOO_LOW")
    world.refuse(world.pay(key, pool, 170, 17, creator=CAROL_KEY), "NOT_CREATOR")
    world.add(world.pay(key, pool, 160, 16, fee=11))
    assert len(world.mempool) == 16
    world.mine_pending()
    world.add(world.pay(key, pool, 170, 17))


def test_no_other_target_is_shut_out(world: World) -> None:
    pool = world.pool(deposit=5_000, collateral=400_000)
    keys = [number.to_bytes(32, "big") for number in range(100, 120)]
    world.add(*(world.pay(key, pool, 20 * seq, seq) for key in keys for seq in range(1, 17)))
    world.add(world.pay(BOB_KEY, pool, 10))
    assert len(world.mempool) == 20 * 16 + 1


def test_transfers_of_a_sender_have_no_such_limit(world: World) -> None:
    world.add(*(world.transfer(ALICE_KEY, nonce) for nonce in range(100)))
    assert len(world.mempool) == 100


def test_what_no_block_can_hold_is_refused() -> None:
    world = World(maxBlockBytes="0x102")
    creation = world.create()
    world.add(creation)
    world.refuse(world.pay(BOB_KEY, creation.hash, 10), "LIMIT")
    world.refuse(world.pay(BOB_KEY, creation.hash, 10, fee=9), "FEE_TOO_LOW")


def test_judging_tells_the_receipt_and_changes_nothing(world: World) -> None:
    creation = world.create()
    world.add(creation, world.pay(BOB_KEY, creation.hash, 10))
    receipt = world.mempool.judge(world.pay(BOB_KEY, creation.hash, 1010, seq=2, fee=20)).receipt
    assert (receipt.outcome.name, receipt.paid, receipt.reward, receipt.fee) == ("SLASHED", 990, 120, 20)
    in_its_place = world.mempool.judge(world.pay(BOB_KEY, creation.hash, 30)).receipt
    assert (in_its_place.outcome.name, in_its_place.paid) == ("SETTLED", 30)
    assert len(world.mempool) == 2


@pytest.mark.interpreted
def test_no_lane_holds_a_former_state() -> None:
    """A view pins space on the disk for as long as it is held."""
    world = World()
    world.add(world.transfer(BOB_KEY, 0))
    former = weakref.ref(world.store.view())
    world.mine(world.transfer(ALICE_KEY, 0))
    gc.collect()
    assert former() is None

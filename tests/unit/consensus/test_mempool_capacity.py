"""A full mempool: who goes, who goes along, and whom nobody may push out."""

from __future__ import annotations

import pytest

from consensus import mempool as mempool_module
from consensus.fee_order import FeeOrder
from consensus.mempool import REMEMBERED_DROPS
from tests.model.signing import address_of, key_of
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, CAROL_KEY, DAVE, DAVE_KEY
from tests.unit.consensus.world import World, funded, hashes, reasons

KEYS = [key_of(number) for number in range(50, 60)]
RICH = funded(ALICE, BOB, DAVE, *map(address_of, KEYS))


def _world(capacity: int, **changes: object) -> World:
    return World(capacity=capacity, alloc=RICH, **changes)


def test_the_lowest_fee_goes_first() -> None:
    world = _world(3)
    waiting = [world.transfer(key, 0, fee) for key, fee in zip(KEYS, (30, 20, 40), strict=False)]
    world.add(*waiting)
    world.refuse(world.transfer(KEYS[5], 0, 19), "MEMPOOL_FULL")
    assert reasons(world.add(world.transfer(KEYS[5], 0, 21))) == {waiting[1].hash: "MEMPOOL_FULL"}
    assert reasons(world.add(world.transfer(KEYS[6], 0, 31))) == {world.transfer(KEYS[5], 0, 21).hash: "MEMPOOL_FULL"}
    assert len(world.mempool) == 3


def test_of_equal_fees_the_youngest_goes() -> None:
    world = _world(3)
    first, second, third = (world.transfer(key, 0, 20) for key in KEYS[:3])
    world.add(first, second, third)
    world.refuse(world.transfer(KEYS[5], 0, 20), "MEMPOOL_FULL")
    assert reasons(world.add(world.transfer(KEYS[5], 0, 21))) == {third.hash: "MEMPOOL_FULL"}
    assert reasons(world.add(world.transfer(KEYS[6], 0, 21))) == {second.hash: "MEMPOOL_FULL"}
    assert world.mempool.get(first.hash) == first


def test_rules_come_before_the_limit() -> None:
    world = _world(1)
    world.add(world.transfer(ALICE_KEY, 0, 20))
    world.refuse(world.transfer(BOB_KEY, 0, 9), "FEE_TOO_LOW")
    world.refuse(world.transfer(BOB_KEY, 1, 10), "NONCE_GAP")
    world.refuse(world.transfer(BOB_KEY, 0, 10), "MEMPOOL_FULL")


def test_what_builds_on_the_one_that_goes_goes_along() -> None:
    world = _world(6)
    creation = world.create(1, 10)
    dependents = [
        world.transfer(ALICE_KEY, 2, 99),
        world.pay(BOB_KEY, creation.hash, 100, fee=99),
        world.pay(BOB_KEY, creation.hash, 200, 2, fee=99),
    ]
    world.add(world.transfer(ALICE_KEY, 0, 99), creation, *dependents, world.transfer(KEYS[0], 0, 50))
    dropped = reasons(world.add(world.transfer(KEYS[1], 0, 11)))
    assert dropped.pop(creation.hash) == "MEMPOOL_FULL"
    assert dropped == dict(zip(hashes(dependents), ("NONCE_GAP", "POOL_UNKNOWN", "POOL_UNKNOWN"), strict=True))
    assert len(world.mempool) == 3


def test_what_a_newcomer_builds_on_is_never_pushed_out_for_it() -> None:
    world = _world(3)
    world.add(world.transfer(ALICE_KEY, 0, 10), world.create(1, 30), world.transfer(BOB_KEY, 0, 20))
    world.refuse(world.transfer(ALICE_KEY, 2, 1_000), "MEMPOOL_FULL")
    world.refuse(world.pay(CAROL_KEY, world.create(1, 30).hash, 500, fee=400), "MEMPOOL_FULL")
    world.add(world.transfer(KEYS[0], 0, 21))
    assert len(world.mempool) == 2


def test_what_waits_behind_a_pending_pool_does_not_protect_itself_by_it() -> None:
    """A creator could otherwise keep settlements of its own pool out with one cheap transaction behind it."""
    world = _world(3)
    creation, cheap = world.create(0, 30), world.transfer(ALICE_KEY, 1, 10)
    world.add(creation, cheap, world.transfer(BOB_KEY, 0, 20))
    assert reasons(world.add(world.pay(CAROL_KEY, creation.hash, 100, fee=11))) == {cheap.hash: "MEMPOOL_FULL"}


def test_a_replacement_needs_no_room() -> None:
    world = _world(2)
    world.add(world.transfer(ALICE_KEY, 0, 10), world.transfer(BOB_KEY, 0, 100))
    assert len(world.add(world.transfer(ALICE_KEY, 0, 11))) == 1
    assert len(world.mempool) == 2


def test_a_better_double_spend_needs_no_room() -> None:
    world = _world(2)
    creation = world.create()
    world.mine(creation)
    first = world.pay(BOB_KEY, creation.hash, 1_001, fee=50)
    world.add(first, world.transfer(KEYS[0], 0, 10))
    assert reasons(world.add(world.pay(CAROL_KEY, creation.hash, 1_001, fee=55))) == {first.hash: "REPLACED"}


def test_a_double_spend_is_ranked_by_what_can_be_collected() -> None:
    """Nothing remains and the collateral gives no reward: a million is stated, nothing would be collected."""
    world = _world(2, reward="0x0")
    creation = world.create(collateral=1_001)
    world.mine(creation)
    world.mine(world.pay(BOB_KEY, creation.hash, 1_000))
    report = world.pay(CAROL_KEY, creation.hash, 1, fee=10**6)
    world.add(report, world.transfer(KEYS[0], 0, 10))
    assert reasons(world.add(world.transfer(KEYS[1], 0, 10))) == {report.hash: "MEMPOOL_FULL"}


def test_a_fee_that_can_no_longer_be_collected_ranks_lower() -> None:
    world = _world(3, reward="0x0")
    creation = world.create(collateral=1_001)
    world.mine(creation)
    settlement = world.pay(DAVE_KEY, creation.hash, 500, fee=400)
    world.add(settlement, world.transfer(KEYS[0], 0, 20), world.transfer(KEYS[1], 0, 30))
    world.mine(world.pay(BOB_KEY, creation.hash, 985))
    assert world.mempool.judge(world.pay(CAROL_KEY, creation.hash, 500, fee=400)).fee == 15
    assert reasons(world.add(world.transfer(KEYS[2], 0, 16))) == {settlement.hash: "MEMPOOL_FULL"}


def test_room_of_nothing_takes_nothing() -> None:
    world = _world(0)
    world.refuse(world.transfer(ALICE_KEY, 0, 10**5), "MEMPOOL_FULL")


def test_the_order_of_fees_does_not_grow_with_what_has_gone() -> None:
    world = _world(4)
    fee = 10
    world.add(*(world.transfer(key, 0, fee) for key in KEYS[:4]))
    for _ in range(100):
        fee = -(-fee * 11 // 10)
        if fee > 10**5:
            break
        world.add(*(world.transfer(key, 0, fee) for key in KEYS[:4]))
    assert len(world.mempool._lanes.fees) <= 2 * 4 + 64
    cheapest = world.mempool._lanes.fees.cheapest()
    assert cheapest is not None
    assert cheapest.transaction.sender == address_of(KEYS[3])


def test_an_empty_order_has_no_cheapest() -> None:
    assert FeeOrder({}).cheapest() is None


def test_how_a_transaction_went_is_remembered_until_it_comes_back() -> None:
    world = _world(1)
    gone = world.transfer(ALICE_KEY, 0, 10)
    assert world.mempool.dropped(gone.hash) is None
    world.add(gone, world.transfer(BOB_KEY, 0, 20))
    dropped = world.mempool.dropped(gone.hash)
    assert dropped is not None
    assert (dropped.transaction, dropped.refusal.reason) == (gone, "MEMPOOL_FULL")
    world.refuse(gone, "MEMPOOL_FULL")
    assert world.mempool.dropped(gone.hash) is not None
    world.mine(world.transfer(BOB_KEY, 0, 20))
    world.add(gone)
    assert world.mempool.dropped(gone.hash) is None


@pytest.mark.interpreted
def test_the_last_ten_thousand_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert REMEMBERED_DROPS == 10_000
    monkeypatch.setattr(mempool_module, "REMEMBERED_DROPS", 5)
    world = _world(1)
    sent = [world.transfer(key, 0, 10 + at) for at, key in enumerate(KEYS)]
    world.add(*sent)
    assert [world.mempool.dropped(found.hash) is not None for found in sent] == [False] * 4 + [True] * 5 + [False]

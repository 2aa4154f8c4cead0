"""One pending transaction for each place, and what it takes to push it out of it."""

from __future__ import annotations

import pytest

from tests.model.small_chain import ALICE_KEY, BOB_KEY, CAROL, CAROL_KEY, DAVE_KEY
from tests.unit.consensus.world import World, contents, hashes, reasons


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("old", "refused", "enough"),
    [(10, 10, 11), (100, 109, 110), (101, 111, 112), (10**30, 11 * 10**29 - 1, 11 * 10**29)],
)
def test_a_replacement_pays_ten_percent_more(old: int, refused: int, enough: int) -> None:
    world = World(alloc={"0x7e5f4552091a69125d5dfcb7b8c2659029395bdf": hex(10**31)})
    first, better = world.transfer(ALICE_KEY, 0, old), world.transfer(ALICE_KEY, 0, enough)
    world.add(first)
    world.refuse(world.transfer(ALICE_KEY, 0, refused, to=CAROL, amount=2), "REPLACEMENT_UNDERPRICED")
    assert reasons(world.add(better)) == {first.hash: "REPLACED"}
    assert world.mempool.get(first.hash) is None
    assert world.mempool.get(better.hash) == better
    assert len(world.mempool) == 1


def test_nothing_is_replaced_for_no_more_than_before() -> None:
    """Ten percent more than nothing must be something, or one content could be replaced without end for nothing."""
    world = World(minFee="0x0")
    free = world.transfer(ALICE_KEY, 0, 0)
    world.add(free)
    world.refuse(world.again(ALICE_KEY, free), "REPLACEMENT_UNDERPRICED")
    assert reasons(world.add(world.transfer(ALICE_KEY, 0, 1))) == {free.hash: "REPLACED"}


def test_rules_come_before_the_price_of_a_replacement(world: World) -> None:
    world.add(world.transfer(BOB_KEY, 0), world.transfer(BOB_KEY, 1))
    world.refuse(world.transfer(BOB_KEY, 0, amount=4_991), "INSUFFICIENT_BALANCE")
    world.refuse(world.transfer(BOB_KEY, 1, amount=4_980), "INSUFFICIENT_BALANCE")
    world.refuse(world.transfer(BOB_KEY, 1, amount=0), "ZERO_AMOUNT")
    world.refuse(world.transfer(BOB_KEY, 1, amount=4_979), "REPLACEMENT_UNDERPRICED")


def test_what_follows_a_replaced_transaction_stays_if_it_can(world: World) -> None:
    first, second, third = (world.transfer(BOB_KEY, nonce, amount=1_000) for nonce in range(3))
    world.add(first, second, third)
    dear = world.transfer(BOB_KEY, 0, 11, amount=2_969)
    assert reasons(world.add(dear)) == {first.hash: "REPLACED"}
    dearer = world.transfer(BOB_KEY, 0, 13, amount=2_968)
    assert reasons(world.add(dearer)) == {dear.hash: "REPLACED", third.hash: "INSUFFICIENT_BALANCE"}
    assert len(world.mempool) == 2
    world.mine_pending()
    assert len(world.mempool) == 0


def test_settlements_go_with_the_creation_of_their_pool(world: World) -> None:
    creation = world.create()
    settlements = [world.pay(key, creation.hash, 100 * seq, seq) for key in (BOB_KEY, CAROL_KEY) for seq in (1, 2)]
    world.add(creation, *settlements)
    dropped = reasons(world.add(world.transfer(ALICE_KEY, 0, 11)))
    assert dropped.pop(creation.hash) == "REPLACED"
    assert dropped == dict.fromkeys(hashes(settlements), "POOL_UNKNOWN")
    assert len(world.mempool) == 1


def test_a_pool_whose_creator_can_no_longer_pay_goes_with_its_settlements(world: World) -> None:
    world.add(world.transfer(BOB_KEY, 0))
    creation = world.create(1, key=BOB_KEY, deposit=2_000, collateral=2_500)
    settlement = world.pay(CAROL_KEY, creation.hash, 100, creator=BOB_KEY)
    world.add(creation, settlement)
    dropped = reasons(world.add(world.transfer(BOB_KEY, 0, 11, amount=480)))
    assert dropped.pop(creation.hash) == "INSUFFICIENT_BALANCE"
    assert dropped.pop(settlement.hash) == "POOL_UNKNOWN"
    assert len(world.mempool) == 1


def test_settlements_outlive_a_replacement_in_front_of_their_pool(world: World) -> None:
    creation = world.create(1)
    world.add(world.transfer(ALICE_KEY, 0), creation, world.pay(BOB_KEY, creation.hash, 100))
    assert len(world.add(world.transfer(ALICE_KEY, 0, 11))) == 1
    assert len(world.mempool) == 3


def test_a_settlement_in_the_same_place_may_not_lower_its_amount(world: World) -> None:
    pool = world.pool()
    old = world.pay(BOB_KEY, pool, 500, fee=100)
    world.add(old)
    world.refuse(world.pay(BOB_KEY, pool, 499, fee=200), "REPLACEMENT_UNDERPRICED")
    world.refuse(world.pay(BOB_KEY, pool, 600, fee=109), "REPLACEMENT_UNDERPRICED")
    same = world.pay(BOB_KEY, pool, 500, fee=110)
    assert reasons(world.add(same)) == {old.hash: "REPLACED"}
    assert reasons(world.add(world.pay(BOB_KEY, pool, 600, fee=121))) == {same.hash: "REPLACED"}


def test_a_settlement_that_grows_drops_later_ones_that_no_longer_do(world: World) -> None:
    pool = world.pool()
    first, second, third = (world.pay(BOB_KEY, pool, 100 * seq, seq) for seq in (1, 2, 3))
    world.add(first, second, third)
    dropped = reasons(world.add(world.pay(BOB_KEY, pool, 200, fee=11)))
    assert dropped == {first.hash: "REPLACED", second.hash: "AMOUNT_NOT_INCREASED", third.hash: "BAD_SEQUENCE"}


def test_the_same_settlement_signed_twice_is_one_place(world: World) -> None:
    pool = world.pool()
    settlement = world.pay(BOB_KEY, pool, 500)
    twin = world.again(BOB_KEY, settlement)
    assert twin.hash != settlement.hash
    world.add(settlement)
    world.refuse(twin, "REPLACEMENT_UNDERPRICED")


def test_one_double_spend_of_a_pool_waits(world: World) -> None:
    pool = world.pool()
    first = world.pay(BOB_KEY, pool, 1_001, fee=100)
    world.add(first)
    world.refuse(world.pay(CAROL_KEY, pool, 5_000, fee=109), "REPLACEMENT_UNDERPRICED")
    second = world.pay(CAROL_KEY, pool, 1_001, fee=110)
    assert reasons(world.add(second)) == {first.hash: "REPLACED"}
    assert len(world.mempool) == 1
    world.mine_pending()
    assert world.store.view().location(second.hash) is not None


def test_double_spends_of_two_pools_wait_side_by_side(world: World) -> None:
    pools = world.pool(), world.pool(nonce=1)
    world.add(*(world.pay(BOB_KEY, pool, 1_001) for pool in pools))
    assert len(world.mempool) == 2


def test_a_double_spend_pays_what_can_be_collected_of_its_fee(world: World) -> None:
    """Remaining 1,000 and a reward of min(fee + 100, 1,500 - 1,000 - 1) = 499: 1,499 whatever is stated."""
    pool = world.pool()
    first = world.pay(BOB_KEY, pool, 1_001, fee=10**9)
    world.add(first)
    assert world.mempool.judge(world.pay(DAVE_KEY, pool, 1_001, fee=10**9)).fee == 1_499
    world.refuse(world.pay(CAROL_KEY, pool, 1_001, fee=10**12), "REPLACEMENT_UNDERPRICED")
    world.refuse(world.pay(BOB_KEY, pool, 1_002, fee=10**12), "REPLACEMENT_UNDERPRICED")


def test_a_replacement_that_is_a_double_spend_needs_both_places(world: World) -> None:
    pool = world.pool()
    own, rival = world.pay(BOB_KEY, pool, 100, fee=20), world.pay(CAROL_KEY, pool, 1_001, fee=100)
    world.add(own, rival)
    world.refuse(world.pay(BOB_KEY, pool, 1_001, fee=109), "REPLACEMENT_UNDERPRICED")
    assert reasons(world.add(world.pay(BOB_KEY, pool, 1_001, fee=110))) == {
        own.hash: "REPLACED",
        rival.hash: "REPLACED",
    }


def test_a_double_spend_in_front_of_the_targets_own_needs_its_price_and_amount(world: World) -> None:
    pool = world.pool()
    settlement, report = world.pay(BOB_KEY, pool, 100, fee=20), world.pay(BOB_KEY, pool, 1_100, seq=2, fee=100)
    world.add(settlement, report)
    world.refuse(world.pay(BOB_KEY, pool, 1_100, fee=21), "REPLACEMENT_UNDERPRICED")
    world.refuse(world.pay(BOB_KEY, pool, 1_099, fee=110), "REPLACEMENT_UNDERPRICED")
    dropped = reasons(world.add(world.pay(BOB_KEY, pool, 1_100, fee=22)))
    assert dropped == {settlement.hash: "REPLACED", report.hash: "POOL_SLASHED"}
    assert len(world.mempool) == 1


def test_dust_in_front_of_a_well_paid_report_does_not_keep_the_victims_out(world: World) -> None:
    """A friend of the creator queues dust and, behind it, a report that pays all that can be collected."""
    pool = world.pool()
    dust, shield = world.pay(BOB_KEY, pool, 900, fee=10), world.pay(BOB_KEY, pool, 5_000, seq=2, fee=10**9)
    world.add(dust, shield)
    world.refuse(world.pay(CAROL_KEY, pool, 1_001, fee=10), "REPLACEMENT_UNDERPRICED")
    victim = world.pay(CAROL_KEY, pool, 1_001, fee=11)
    assert reasons(world.add(victim)) == {shield.hash: "REPLACED"}
    assert world.mempool.get(dust.hash) == dust


def test_a_replaced_double_spend_leaves_its_targets_earlier_settlements(world: World) -> None:
    pool = world.pool()
    settlement, report = world.pay(BOB_KEY, pool, 100), world.pay(BOB_KEY, pool, 1_100, seq=2)
    world.add(settlement, report)
    assert reasons(world.add(world.pay(CAROL_KEY, pool, 1_001, fee=11))) == {report.hash: "REPLACED"}
    assert world.mempool.get(settlement.hash) == settlement


def test_refused_replacements_leave_no_trace(world: World) -> None:
    pool = world.pool()
    world.add(*(world.pay(BOB_KEY, pool, 10 * seq, seq, 100) for seq in range(1, 9)))
    before = contents(world.mempool)
    for seq in range(1, 9):
        world.refuse(world.pay(BOB_KEY, pool, 10 * seq, seq, 109), "REPLACEMENT_UNDERPRICED")
    assert contents(world.mempool) == before

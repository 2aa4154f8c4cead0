"""After every block what is left is judged again, whoever made the block and whatever is in it."""

from __future__ import annotations

import gc
import weakref

import pytest

from ledger.records import account_key, pool_key
from tests.model.signing import key_of
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY_KEY, BOB, BOB_KEY, CAROL, CAROL_KEY, DAVE, DAVE_KEY
from tests.unit.consensus.world import START, World, contents, judgements, reasons

KEYS = [key_of(number) for number in range(50, 60)]


@pytest.fixture
def world() -> World:
    return World()


def test_what_was_included_is_no_longer_pending(world: World) -> None:
    pool = world.pool()
    sent = [world.transfer(ALICE_KEY, 1), world.transfer(ALICE_KEY, 2), world.pay(BOB_KEY, pool, 100)]
    world.add(*sent)
    assert world.mine(sent[0], sent[2]) == []
    assert len(world.mempool) == 1
    assert [world.mempool.get(found.hash) for found in sent] == [None, sent[1], None]
    assert all(world.mempool.dropped(found.hash) is None for found in sent)
    world.add(world.transfer(ALICE_KEY, 3), world.pay(BOB_KEY, pool, 200, 2))


def test_the_rest_of_a_lane_that_went_as_foreseen_keeps_its_judgement(world: World) -> None:
    world.add(*(world.transfer(ALICE_KEY, nonce) for nonce in range(6)))
    (before,) = judgements(world.mempool)
    world.mine(*(world.transfer(ALICE_KEY, nonce) for nonce in range(4)))
    (after,) = judgements(world.mempool)
    assert [entry is former for entry, former in zip(after, before[4:], strict=True)] == [True, True]


def test_what_others_take_out_of_a_pool_calls_for_no_judgement_while_enough_remains(world: World) -> None:
    pool = world.pool(deposit=1000)
    world.add(world.pay(BOB_KEY, pool, 300), world.pay(BOB_KEY, pool, 400, 2))
    (before,) = judgements(world.mempool)
    world.mine(world.pay(CAROL_KEY, pool, 600))
    (after,) = judgements(world.mempool)
    assert [entry is former for entry, former in zip(after, before, strict=True)] == [True, True]
    # The next in the lane is judged on what remains now: nothing.
    assert world.mempool.judge(world.pay(BOB_KEY, pool, 401, 3)).is_double_spend
    world.mine(world.pay(DAVE_KEY, pool, 1))
    assert [[entry.is_double_spend for entry in lane] for lane in judgements(world.mempool)] == [[False, True]]


def test_tokens_that_come_call_for_no_judgement_and_those_that_go_do(world: World) -> None:
    world.add(world.transfer(ALICE_KEY, 0), world.transfer(ALICE_KEY, 1))
    (before,) = judgements(world.mempool)
    world.mine(world.transfer(BOB_KEY, 0, to=ALICE))
    (after,) = judgements(world.mempool)
    assert [entry is former for entry, former in zip(after, before, strict=True)] == [True, True]
    assert after[0].before != (world.store.view().get(b"a" + ALICE),)
    world.add(world.transfer(ALICE_KEY, 2))
    (fresh,) = judgements(world.mempool)
    assert fresh[0].before == (world.store.view().get(b"a" + ALICE),)


def test_others_transactions_of_the_same_sender_take_its_nonces(world: World) -> None:
    """A wallet that speaks to two nodes: the block has other transactions with the nonces that wait here."""
    waiting = [world.transfer(ALICE_KEY, nonce) for nonce in range(4)]
    world.add(*waiting)
    elsewhere = [world.transfer(ALICE_KEY, nonce, to=BOB) for nonce in range(2)]
    assert reasons(world.mine(*elsewhere)) == {found.hash: "BAD_NONCE" for found in waiting[:2]}
    assert len(world.mempool) == 2
    world.mine_pending()
    assert len(world.mempool) == 0


def test_what_is_judged_again_can_be_looked_up_all_the_time(world: World) -> None:
    """A node answers between the steps: what it has acknowledged must not seem to be gone."""
    waiting = [world.transfer(key, nonce) for key in (ALICE_KEY, BOB_KEY) for nonce in range(3)]
    world.add(*waiting)
    elsewhere = [world.transfer(key, 0, to=DAVE) for key in (ALICE_KEY, BOB_KEY)]
    built = world.authority.produce(elsewhere, START).executed
    world.chain.state.advance()
    steps = world.mempool.steps_on_block(
        world.chain.state, world.height, built.result.changes, built.transaction_hashes
    )
    dropped: set[bytes] = set()
    counted = []
    for drops in steps:
        dropped |= {drop.transaction.hash for drop in drops}
        assert all(world.mempool.get(found.hash) for found in waiting if found.hash not in dropped)
        assert all(world.mempool.next_position(account_key(address)) == 3 for address in (ALICE, BOB))
        counted.append(len(world.mempool))
    assert dropped == {found.hash for found in waiting[::3]}
    assert counted[:2] == [6, 6]
    assert counted[-1] == len(world.mempool) == 4


def test_what_they_cost_is_gone_too(world: World) -> None:
    waiting = [world.transfer(BOB_KEY, nonce, amount=1_000) for nonce in range(4)]
    world.add(*waiting)
    dropped = reasons(world.mine(world.transfer(BOB_KEY, 0, amount=2_500)))
    assert dropped == {waiting[0].hash: "BAD_NONCE", waiting[3].hash: "INSUFFICIENT_BALANCE"}


def test_the_same_settlement_with_another_hash_takes_the_place(world: World) -> None:
    pool = world.pool()
    first, second = world.pay(BOB_KEY, pool, 100), world.pay(BOB_KEY, pool, 200, 2)
    world.add(first, second)
    assert reasons(world.mine(world.again(BOB_KEY, first))) == {first.hash: "BAD_SEQUENCE"}
    assert len(world.mempool) == 1
    world.mine_pending()
    assert len(world.mempool) == 0


def test_a_bigger_settlement_elsewhere_overtakes_smaller_ones(world: World) -> None:
    pool = world.pool()
    first, second, third = (world.pay(BOB_KEY, pool, 100 * seq, seq) for seq in (1, 2, 3))
    world.add(first, second, third)
    dropped = reasons(world.mine(world.pay(BOB_KEY, pool, 200)))
    assert dropped == {first.hash: "BAD_SEQUENCE", second.hash: "AMOUNT_NOT_INCREASED", third.hash: "BAD_SEQUENCE"}


def test_money_received_is_seen(world: World) -> None:
    world.refuse(world.transfer(CAROL_KEY, 0), "INSUFFICIENT_BALANCE")
    world.mine(world.transfer(ALICE_KEY, 0, to=CAROL, amount=30))
    world.add(world.transfer(CAROL_KEY, 0))
    world.mine(world.transfer(ALICE_KEY, 1, to=CAROL, amount=30))
    world.add(world.transfer(CAROL_KEY, 1), world.transfer(CAROL_KEY, 2), world.transfer(CAROL_KEY, 3))
    world.mine_pending()
    assert world.store.view().location(world.transfer(CAROL_KEY, 3).hash) is not None


def test_fees_that_the_authority_earns_are_seen(world: World) -> None:
    world.mine(world.transfer(ALICE_KEY, 0, 30))
    world.add(world.transfer(AUTHORITY_KEY, 0))
    world.mine(world.transfer(ALICE_KEY, 1, 30))
    world.refuse(world.transfer(AUTHORITY_KEY, 1, amount=50), "INSUFFICIENT_BALANCE")
    world.add(world.transfer(AUTHORITY_KEY, 1, amount=49))
    world.refuse(world.transfer(AUTHORITY_KEY, 2, amount=1), "INSUFFICIENT_BALANCE")
    world.mine_pending()
    assert len(world.mempool) == 0


def test_another_targets_settlement_makes_a_double_spend_of_what_waits(world: World) -> None:
    pool = world.pool()
    waiting = world.pay(CAROL_KEY, pool, 600)
    world.add(waiting)
    assert world.mempool._lanes.double_spend(pool) is None
    assert world.mine(world.pay(BOB_KEY, pool, 500)) == []
    entry = world.mempool._lanes.double_spend(pool)
    assert entry is not None
    assert (entry.hash, entry.receipt.paid, entry.receipt.reward) == (waiting.hash, 500, 110)
    world.mine_pending()
    receipt = world.store.view().receipts(world.height)[0]
    assert (receipt.outcome.name, receipt.paid, receipt.reward) == ("SLASHED", 500, 110)


def test_of_several_that_become_double_spends_the_best_paying_stays(world: World) -> None:
    pool = world.pool()
    waiting = [
        world.pay(key, pool, 600, fee=fee)
        for key, fee in ((CAROL_KEY, 20), (DAVE_KEY, 30), (KEYS[0], 30), (KEYS[1], 29))
    ]
    world.add(*waiting)
    dropped = reasons(world.mine(world.pay(BOB_KEY, pool, 500)))
    assert dropped == {waiting[at].hash: "REPLACED" for at in (0, 2, 3)}
    entry = world.mempool._lanes.double_spend(pool)
    assert entry is not None
    assert entry.hash == waiting[1].hash


@pytest.mark.parametrize("order", [1, -1])
def test_a_double_spend_that_waited_gives_way_to_one_that_pays_more_now(world: World, order: int) -> None:
    pool = world.pool()
    keys = sorted((CAROL_KEY, DAVE_KEY, KEYS[0]), reverse=order < 0)
    report = world.pay(keys[1], pool, 1_001, fee=25)
    others = [world.pay(key, pool, 600, fee=30) for key in (keys[0], keys[2])]
    world.add(report, *others)
    dropped = reasons(world.mine(world.pay(BOB_KEY, pool, 500)))
    assert dropped == {report.hash: "REPLACED", others[1].hash: "REPLACED"}


def test_a_slashed_pool_drops_every_settlement(world: World) -> None:
    pool = world.pool()
    waiting = [world.pay(key, pool, 100 * seq, seq) for key in (CAROL_KEY, DAVE_KEY) for seq in (1, 2)]
    world.add(*waiting)
    dropped = reasons(world.mine(world.pay(BOB_KEY, pool, 5_000)))
    assert set(dropped.values()) == {"POOL_SLASHED"}
    assert len(dropped) == 4
    assert len(world.mempool) == 0


def test_settlements_go_before_their_pool_expires(world: World) -> None:
    pool = world.pool(duration=4)
    waiting = world.pay(BOB_KEY, pool, 100)
    world.add(waiting)
    assert world.mine_empty(2) == []
    assert world.height == 3
    assert reasons(world.mine_empty(1)) == {waiting.hash: "POOL_EXPIRED"}
    assert world.height == 4


def test_settlements_go_with_their_pool_also_when_all_went_as_foreseen(world: World) -> None:
    pool = world.pool(duration=3)
    sent = [world.pay(BOB_KEY, pool, 100 * seq, seq) for seq in (1, 2, 3)]
    world.add(*sent)
    assert world.mine(sent[0]) == []
    assert reasons(world.mine(sent[1])) == {sent[2].hash: "POOL_EXPIRED"}


def test_settlements_of_a_pool_that_waits_to_be_closed_have_gone(world: World) -> None:
    """Two expiries in one block: the third pool is open for one block more, and still takes nothing."""
    creations = [world.create(nonce, duration=2) for nonce in range(3)]
    world.mine(*creations)
    waiting = [world.pay(BOB_KEY, creation.hash, 100) for creation in creations]
    world.add(*waiting)
    assert set(reasons(world.mine_empty(1)).values()) == {"POOL_EXPIRED"}
    world.mine_empty(1)
    assert len(world.store.view().expired(world.height)) == 2
    assert len(world.mempool) == 0


def test_a_group_of_empty_blocks_is_one_step(world: World) -> None:
    pool = world.pool(duration=50)
    short = world.pool(nonce=1, duration=20)
    kept, gone = world.pay(BOB_KEY, pool, 100), world.pay(BOB_KEY, short, 100)
    world.add(kept, gone, world.transfer(ALICE_KEY, 2))
    blocks = world.authority.produce_empty(500, 0)
    assert len(blocks) == 20
    assert reasons(world.follow(blocks)) == {gone.hash: "POOL_EXPIRED"}
    assert len(world.mempool) == 2


def test_the_end_of_a_pool_pays_its_creator(world: World) -> None:
    world.pool(deposit=400_000, collateral=500_000, duration=2)
    world.refuse(world.transfer(ALICE_KEY, 1, amount=200_000), "INSUFFICIENT_BALANCE")
    world.add(world.transfer(ALICE_KEY, 1))
    world.mine_empty(2)
    world.add(world.transfer(ALICE_KEY, 2, amount=900_000))
    world.mine_pending()
    assert len(world.mempool) == 0


def test_a_creation_that_cannot_come_any_more_takes_its_settlements_along(world: World) -> None:
    creation = world.create()
    settlement = world.pay(BOB_KEY, creation.hash, 100)
    world.add(creation, settlement)
    dropped = reasons(world.mine(world.transfer(ALICE_KEY, 0, to=DAVE), world.transfer(ALICE_KEY, 1, to=BOB)))
    assert dropped == {creation.hash: "BAD_NONCE", settlement.hash: "POOL_UNKNOWN"}
    assert len(world.mempool) == 0


def test_a_committed_creation_is_built_on_like_before(world: World) -> None:
    creation = world.create(duration=3)
    world.add(creation, world.pay(BOB_KEY, creation.hash, 100), world.pay(BOB_KEY, creation.hash, 200, 2))
    world.mine_empty(4)
    world.mine(creation)
    assert len(world.mempool) == 2
    world.mine_empty(1)
    assert len(world.mempool) == 2
    assert set(reasons(world.mine_empty(1)).values()) == {"POOL_EXPIRED"}


def test_indexes_hold_what_waits_and_nothing_more(world: World) -> None:
    pool = world.pool(duration=50, collateral=200_000)
    index = world.mempool._lanes._index
    for seq in range(1, 21):
        world.add(world.pay(BOB_KEY, pool, 10 * seq, seq), world.pay(DAVE_KEY, pool, 10 * seq, seq))
        world.mine(world.pay(BOB_KEY, pool, 10 * seq, seq))
        world.mine_pending()
        assert len(index) == 0
        assert len(world.mempool._lanes.fees) <= 64
    world.add(world.pay(BOB_KEY, pool, 400, 21))
    assert index.watching(pool_key(pool)) != []
    assert len(index) == 2 + 2


@pytest.mark.interpreted
def test_the_memory_of_what_was_dropped_holds_no_former_state(world: World) -> None:
    waiting = world.transfer(ALICE_KEY, 0)
    world.add(waiting)
    former = weakref.ref(world.store.view())
    assert len(world.mine(world.transfer(ALICE_KEY, 0, to=DAVE))) == 1
    at_the_drop = weakref.ref(world.store.view())
    world.mine_empty(1)
    gc.collect()
    assert world.mempool.dropped(waiting.hash) is not None
    assert (former(), at_the_drop()) == (None, None)


def test_a_block_that_concerns_nobody_drops_nobody(world: World) -> None:
    world.add(world.transfer(ALICE_KEY, 0), world.transfer(BOB_KEY, 0))
    before = contents(world.mempool)
    assert world.mine(world.transfer(DAVE_KEY, 0, to=CAROL)) == []
    assert contents(world.mempool) == before
    assert world.mempool.judge(world.transfer(ALICE_KEY, 1, to=ALICE)).receipt.fee == 10

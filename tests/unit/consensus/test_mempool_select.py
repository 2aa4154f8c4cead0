"""The next block's candidates: the best paying first, but never before what they build on."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from consensus.lanes import Lanes
from crypto.hashing import keccak256
from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.records import pool_key
from ledger.state import State
from ledger.transaction import AnyTransaction, Context, Lane, Transaction
from tests.model.signing import address_of, key_of
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, CAROL_KEY, DAVE, DAVE_KEY
from tests.unit.consensus.world import START, World, funded, hashes

KEYS = [key_of(number) for number in range(50, 60)]
ALL = (10**6, 10**9)


@pytest.fixture
def world() -> World:
    return World(alloc=funded(ALICE, BOB, DAVE, *map(address_of, KEYS)))


def test_the_best_fee_comes_first_and_of_equals_the_oldest(world: World) -> None:
    sent = [world.transfer(key, 0, fee) for key, fee in zip(KEYS, (10, 30, 20, 30, 10), strict=False)]
    world.add(*sent)
    assert world.mempool.select(*ALL) == [sent[at] for at in (1, 3, 2, 0, 4)]


def test_nothing_comes_before_what_it_builds_on(world: World) -> None:
    low, high, middle = (
        world.transfer(ALICE_KEY, 0, 10),
        world.transfer(ALICE_KEY, 1, 90),
        world.transfer(BOB_KEY, 0, 50),
    )
    world.add(low, high, middle)
    assert world.mempool.select(*ALL) == [middle, low, high]


def test_settlements_come_after_the_pending_creation_of_their_pool(world: World) -> None:
    creation = world.create(1, 15)
    settlements = [world.pay(CAROL_KEY, creation.hash, 100 * seq, seq, 90 - seq) for seq in (1, 2)]
    other = world.pay(DAVE_KEY, creation.hash, 100, 1, 95)
    first, last = world.transfer(ALICE_KEY, 0, 20), world.transfer(ALICE_KEY, 2, 99)
    world.add(first, creation, last, *settlements, other, world.transfer(BOB_KEY, 0, 17))
    assert world.mempool.select(*ALL) == [
        first,
        world.transfer(BOB_KEY, 0, 17),
        creation,
        last,
        other,
        *settlements,
    ]


def test_a_settlement_of_a_committed_pool_waits_for_nobody(world: World) -> None:
    creation = world.create()
    world.mine(creation)
    settlement = world.pay(CAROL_KEY, creation.hash, 100, fee=90)
    world.add(world.transfer(ALICE_KEY, 1, 50), settlement)
    assert world.mempool.select(*ALL)[0] == settlement


def test_a_double_spend_is_ranked_by_what_can_be_collected(world: World) -> None:
    creation = world.create(collateral=1_001)
    world.mine(creation)
    report, transfer = world.pay(CAROL_KEY, creation.hash, 2_000, fee=10**9), world.transfer(BOB_KEY, 0, 1_001)
    world.add(report, transfer)
    assert world.mempool.select(*ALL) == [transfer, report]


def test_the_number_of_transactions_is_limited(world: World) -> None:
    world.add(*(world.transfer(key, 0) for key in KEYS))
    assert [len(world.mempool.select(count, 10**6)) for count in (0, 1, 9, 10, 11)] == [0, 1, 9, 10, 10]


def test_their_bytes_are_limited(world: World) -> None:
    world.add(*(world.transfer(key, 0) for key in KEYS))
    assert [len(world.mempool.select(100, size)) for size in (0, 193, 194, 387, 388, 1939, 1940)] == [
        0,
        0,
        1,
        1,
        2,
        9,
        10,
    ]


def test_what_does_not_fit_keeps_nobody_else_out(world: World) -> None:
    creation = world.create(0, 99)
    world.add(
        creation, world.transfer(ALICE_KEY, 1, 98), world.transfer(BOB_KEY, 0, 10), world.transfer(DAVE_KEY, 0, 10)
    )
    assert world.mempool.select(100, 257) == [world.transfer(BOB_KEY, 0, 10)]
    assert world.mempool.select(100, 258 + 194) == [creation, world.transfer(ALICE_KEY, 1, 98)]


def test_selecting_changes_nothing_and_is_repeatable(world: World) -> None:
    creation = world.create()
    world.add(creation, *(world.pay(key, creation.hash, 100) for key in KEYS))
    assert world.mempool.select(*ALL) == world.mempool.select(*ALL)
    assert len(world.mempool) == 11


@pytest.mark.parametrize("seed", range(5))
def test_the_choice_follows_from_arrivals_alone(seed: int) -> None:
    """The same transactions in the same order give the same candidates, whatever came and went in between."""
    chooser = random.Random(seed)
    worlds = [World(alloc=funded(ALICE, *map(address_of, KEYS))) for _ in range(2)]
    for nonce in range(4):
        for key in chooser.sample(KEYS, len(KEYS)):
            fee = chooser.choice((10, 20, 30))
            for world in worlds:
                world.add(world.transfer(key, nonce, fee))
        worlds[1].add(worlds[1].transfer(ALICE_KEY, 0, 10 * 2**nonce))
    worlds[0].add(worlds[0].transfer(ALICE_KEY, 0, 80))
    first, second = (hashes(world.mempool.select(*ALL)) for world in worlds)
    dropped = worlds[0].transfer(ALICE_KEY, 0, 80).hash
    assert [found for found in first if found != dropped] == [found for found in second if found != dropped]


def test_a_block_of_what_was_selected_skips_nothing_it_need_not(world: World) -> None:
    creations = [world.create(nonce, 10 + nonce) for nonce in range(5)]
    world.add(*creations, *(world.pay(key, creation.hash, 50) for creation in creations for key in KEYS))
    built = world.authority.produce(world.mempool.select(*ALL), START)
    assert built.skipped == ()
    assert len(built.executed.block.transactions) == 55


def test_the_builder_leaves_out_what_an_earlier_one_made_invalid(world: World) -> None:
    """Two targets want what one deposit has: the second is included as the double spend, a third comes too late."""
    creation = world.create()
    world.mine(creation)
    sent = [world.pay(key, creation.hash, 600, fee=fee) for key, fee in zip(KEYS, (90, 80, 70), strict=False)]
    world.add(*sent)
    built = world.authority.produce(world.mempool.select(*ALL), START)
    assert [receipt.outcome.name for receipt in built.executed.result.receipts] == ["SETTLED", "SLASHED"]
    assert [(skipped, refusal.reason) for skipped, refusal in built.skipped] == [(sent[2], "POOL_SLASHED")]
    assert [drop.transaction for drop in world.follow([built.executed])] == [sent[2]]


@dataclass(frozen=True)
class _BatchFields:
    fee: int
    pools: tuple[bytes, ...]


class _Batch:
    """A made-up kind of transaction that draws on several pools at once."""

    code, name, layout, documents = 0x7F, "Batch", (), ()

    def lane(self, transaction: AnyTransaction) -> Lane:
        pools = transaction.fields.pools
        return Lane(b"z" + transaction.hash, 0, tuple(map(pool_key, pools)), pools)

    def stands(self, *_: object) -> bool:
        return False

    def apply(self, state: State, transaction: AnyTransaction, context: Context) -> Receipt:
        for cptx_hash in transaction.fields.pools:
            pool = state.pool(cptx_hash)
            if pool is None or context.height >= pool.expires_at:
                raise Refusal("POOL_UNKNOWN", "a pool", "none")
        return Receipt(transaction.hash, Outcome.SETTLED, transaction.fields.fee)


def _batch(number: int, fee: int, *pools: bytes) -> AnyTransaction:
    raw = bytes([0x7F, number])
    kind: object = _Batch()
    return Transaction(kind, raw, keccak256(raw), _BatchFields(fee, pools), (bytes(20),))  # type: ignore[arg-type]


def test_what_draws_on_several_pending_pools_waits_for_all_of_them_and_comes_once(world: World) -> None:
    pools = [world.create(0, 50), world.create(0, 20, key=BOB_KEY), world.create(0, 30, key=DAVE_KEY)]
    ids = hashes(pools)
    batch, pair = _batch(1, 99, *ids), _batch(2, 98, ids[0], ids[2])
    world.add(*pools, batch, pair)
    assert world.mempool.select(*ALL) == [pools[0], pools[2], pair, pools[1], batch]
    world.mine(pools[0], pools[2])
    assert world.mempool.select(*ALL) == [pair, pools[1], batch]
    gone = world.add(world.transfer(BOB_KEY, 0, 22))
    assert [drop.transaction for drop in gone] == [pools[1], batch]
    assert world.mempool.select(*ALL) == [pair, world.transfer(BOB_KEY, 0, 22)]


def test_the_first_pool_that_ends_calls_for_a_new_judgement(world: World) -> None:
    pools = [world.create(nonce, duration=duration) for nonce, duration in enumerate((9, 4, 6))]
    world.mine(*pools)
    batch = _batch(1, 10, *hashes(pools))
    lanes: Lanes = world.mempool._lanes
    world.add(batch)
    assert lanes._index.concerned((), (), 4) == []
    assert lanes._index.concerned((), (), 5) == [b"z" + batch.hash]

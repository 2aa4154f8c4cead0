"""Lanes: behind what a pending transaction queues, and which records decide whether it stays valid."""

from __future__ import annotations

from ledger.records import account_key, pool_key, target_key
from ledger.transaction import Lane, watched_keys
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, CAROL, CAROL_KEY
from tests.workbench import Workbench

POOL = b"\x77" * 32


def lane_of(bench: Workbench, raw: bytes) -> Lane:
    transaction = bench.decode(raw)
    return transaction.kind.lane(transaction)


def test_transfers_and_pools_of_one_sender_share_a_lane(bench: Workbench) -> None:
    transfer = lane_of(bench, bench.transfer(ALICE_KEY, BOB, 5, nonce=3))
    assert transfer == Lane(account_key(ALICE), 3, (account_key(ALICE),), pools=(), promise=0)
    assert lane_of(bench, bench.create(nonce=4)) == Lane(account_key(ALICE), 4, (account_key(ALICE),))
    assert lane_of(bench, bench.create(nonce=4, key=CAROL_KEY)).key == account_key(CAROL)


def test_settlements_queue_by_pool_and_target(bench: Workbench) -> None:
    key = target_key(POOL, CAROL)
    lane = lane_of(bench, bench.payment(CAROL_KEY, POOL, 900, seq=7))
    assert lane == Lane(key, 7, (pool_key(POOL), key, account_key(CAROL)), pools=(POOL,), promise=900)


def test_settlement_changes_nothing_that_its_lane_does_not_watch_but_the_authority(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.next_block()
    raw = bench.payment(CAROL_KEY, pool, 400)
    bench.accept(raw)
    watched = {*lane_of(bench, raw).watches, account_key(bench.genesis.authority)}
    assert set(bench.result().changes) == watched


def test_watched_keys_are_in_order_and_each_is_there_once(bench: Workbench) -> None:
    raws = [bench.payment(CAROL_KEY, POOL, 900), bench.transfer(ALICE_KEY, BOB, 5), bench.payment(CAROL_KEY, POOL, 901)]
    key = target_key(POOL, CAROL)
    expected = sorted([account_key(ALICE), account_key(CAROL), pool_key(POOL), key])
    assert watched_keys(map(bench.decode, raws)) == expected

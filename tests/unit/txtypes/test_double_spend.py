"""ServicePayment beyond the deposit: detection, payment of the rest, reward, burning and fee, all in one transition."""

from __future__ import annotations

import pytest

from ledger.receipt import Outcome, Receipt
from ledger.records import BURNED_KEY, Account, PoolStatus, Target, account_key, pool_key, target_key
from tests.model import signing
from tests.model.small_chain import (
    ALICE,
    ALICE_KEY,
    AUTHORITY,
    AUTHORITY_KEY,
    BOB,
    BOB_KEY,
    CAROL,
    CAROL_KEY,
    DAVE,
    DAVE_KEY,
)
from tests.workbench import LARGEST, REWARD, Workbench


def drained_pool(bench: Workbench, deposit: int = 1000, collateral: int = 1500) -> bytes:
    """A pool of Alice's whose whole deposit Bob has had."""
    pool = bench.new_pool(deposit, collateral)
    bench.accept(bench.payment(BOB_KEY, pool, deposit))
    return pool


@pytest.mark.parametrize("amount", [1001, 1002, LARGEST])
def test_more_than_remains_slashes_the_pool(bench: Workbench, amount: int) -> None:
    pool = bench.new_pool()
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, amount))
    assert receipt == Receipt(receipt.transaction_hash, Outcome.SLASHED, 10, pool, paid=1000, burned=1390, reward=110)
    assert bench.account(CAROL) == Account(1100, 0)
    assert bench.account(AUTHORITY) == Account(20, 0)
    assert bench.account(ALICE) == Account(997_490, 1)
    assert bench.target(pool, CAROL) == Target(1, 1000)
    assert (bench.pool(pool).status, bench.pool(pool).spent) == (PoolStatus.SLASHED, 1000)
    assert (bench.pool(pool).collateral, bench.pool(pool).locked) == (1500, 0)
    assert bench.burned == 1390


def test_one_less_is_an_honest_settlement(bench: Workbench) -> None:
    pool = bench.new_pool()
    assert bench.accept(bench.payment(CAROL_KEY, pool, 1000)).outcome is Outcome.SETTLED
    assert (bench.pool(pool).status, bench.burned) == (PoolStatus.OPEN, 0)


def test_writes_the_pool_the_target_two_accounts_and_burned(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.next_block()
    bench.accept(bench.payment(CAROL_KEY, pool, 1001))
    accounts = {account_key(CAROL), account_key(AUTHORITY)}
    assert set(bench.result().changes) == accounts | {pool_key(pool), target_key(pool, CAROL), BURNED_KEY}


@pytest.mark.parametrize(("others", "amount", "slashed"), [(999, 1, False), (999, 2, True), (1000, 1, True)])
def test_what_others_had_counts(bench: Workbench, others: int, amount: int, slashed: bool) -> None:
    pool = bench.new_pool()
    bench.accept(bench.payment(BOB_KEY, pool, others))
    receipt = bench.accept(bench.payment(DAVE_KEY, pool, amount))
    assert receipt.outcome is (Outcome.SLASHED if slashed else Outcome.SETTLED)
    assert receipt.paid == 1000 - others
    assert bench.target(pool, DAVE) == Target(1, 1000 - others)


def test_what_the_target_had_before_counts_once(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.accept(bench.payment(CAROL_KEY, pool, 400))
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 1001, seq=2))
    assert (receipt.outcome, receipt.paid) == (Outcome.SLASHED, 600)
    assert bench.target(pool, CAROL) == Target(2, 1000)
    assert bench.balance(CAROL) == 400 - 10 + 600 + 110 - 10


@pytest.mark.parametrize(
    ("collateral", "reward", "burned"),
    [(1001, 0, 1001), (1002, 1, 1001), (1110, 109, 1001), (1111, 110, 1001), (1112, 110, 1002), (5000, 110, 4890)],
)
def test_reward_is_fee_and_genesis_reward_up_to_its_cap(
    bench: Workbench, collateral: int, reward: int, burned: int
) -> None:
    pool = bench.new_pool(1000, collateral)
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 1001))
    assert (receipt.paid, receipt.reward, receipt.burned, receipt.fee) == (1000, reward, burned, 10)
    assert bench.balance(CAROL) == 1000 + reward - 10
    assert bench.burned == burned > 1000


@pytest.mark.parametrize(("fee", "reward"), [(10, 110), (50, 150), (398, 498), (399, 499), (400, 499), (1499, 499)])
def test_reward_refunds_the_fee_as_stated(bench: Workbench, fee: int, reward: int) -> None:
    pool = bench.new_pool()
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 1001, fee=fee))
    assert (receipt.reward, receipt.burned, receipt.fee) == (reward, 1500 - reward, fee)
    assert bench.balance(CAROL) == 1000 + reward - fee
    assert bench.balance(AUTHORITY) == 10 + fee


def test_chain_without_a_reward_refunds_the_fee_only() -> None:
    bench = Workbench(reward="0x0")
    pool = drained_pool(bench)
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 1, fee=70))
    assert (receipt.reward, receipt.burned, receipt.fee) == (70, 1430, 70)
    assert account_key(CAROL) not in bench.now().all


def test_genesis_reward_beyond_every_collateral_is_capped() -> None:
    bench = Workbench(reward=hex(LARGEST))
    pool = bench.new_pool()
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, LARGEST, fee=LARGEST))
    assert (receipt.reward, receipt.burned, receipt.fee) == (499, 1001, 1499)


@pytest.mark.parametrize(("fee", "taken"), [(499, 499), (500, 499), (5000, 499), (LARGEST, 499)])
@pytest.mark.parametrize(("key", "own"), [(CAROL_KEY, 0), (DAVE_KEY, 100)])
def test_fee_is_never_more_than_the_report_brings(bench: Workbench, key: bytes, own: int, fee: int, taken: int) -> None:
    pool = drained_pool(bench)
    receipt = bench.accept(bench.payment(key, pool, 5, fee=fee))
    assert (receipt.paid, receipt.reward, receipt.fee, receipt.burned) == (0, 499, taken, 1001)
    assert bench.balance(signing.address_of(key)) == own
    assert bench.balance(AUTHORITY) == 20 + taken


@pytest.mark.parametrize(("fee", "taken"), [(10, 10), (300, 300), (301, 300)])
def test_fee_may_eat_the_payment_of_a_pool_with_the_least_collateral(bench: Workbench, fee: int, taken: int) -> None:
    pool = bench.new_pool(1000, 1001)
    bench.accept(bench.payment(BOB_KEY, pool, 700))
    receipt = bench.accept(bench.payment(DAVE_KEY, pool, 301, fee=fee))
    assert (receipt.paid, receipt.reward, receipt.burned, receipt.fee) == (300, 0, 1001, taken)
    assert bench.balance(DAVE) == 100 + 300 - taken


def test_evidence_is_not_refused_for_want_of_a_fee(bench: Workbench) -> None:
    pool = drained_pool(bench, 1000, 1001)
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 1))
    assert receipt == Receipt(receipt.transaction_hash, Outcome.SLASHED, 0, pool, paid=0, burned=1001, reward=0)
    assert bench.target(pool, CAROL) == Target(1, 0)
    assert account_key(CAROL) not in bench.now().all
    assert bench.balance(AUTHORITY) == 20


def test_evidence_states_the_minimum_fee_all_the_same(bench: Workbench) -> None:
    pool = drained_pool(bench)
    bench.refuse(bench.payment(CAROL_KEY, pool, 1, fee=9), "FEE_TOO_LOW")
    bench.accept(bench.payment(CAROL_KEY, pool, 1, fee=10))


def test_second_slash_finds_the_pool_slashed(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.accept(bench.payment(CAROL_KEY, pool, 1001))
    for raw in (
        bench.payment(CAROL_KEY, pool, 1002, seq=2),
        bench.payment(BOB_KEY, pool, 1),
        bench.payment(BOB_KEY, pool, LARGEST),
        bench.payment(ALICE_KEY, pool, 1),
    ):
        bench.refuse(raw, "POOL_SLASHED")
    bench.next_block()
    bench.refuse(bench.payment(BOB_KEY, pool, 1), "POOL_SLASHED")
    assert bench.burned == 1390


def test_slashed_pool_neither_expires_nor_returns_anything(bench: Workbench) -> None:
    pool = bench.new_pool(duration=10)
    bench.accept(bench.payment(CAROL_KEY, pool, 1001))
    assert bench.next_block(height=11) == []
    assert bench.balance(ALICE) == 997_490
    bench.refuse(bench.payment(BOB_KEY, pool, 1), "POOL_SLASHED")


def test_last_height_before_expiry_still_slashes(bench: Workbench) -> None:
    pool = bench.new_pool(duration=10)
    bench.next_block(height=10)
    assert bench.accept(bench.payment(CAROL_KEY, pool, 1001)).outcome is Outcome.SLASHED


def test_expired_pool_cannot_be_slashed(bench: Workbench) -> None:
    pool = bench.new_pool(duration=10)
    bench.next_block(height=11)
    bench.refuse(bench.payment(CAROL_KEY, pool, 1001), "POOL_EXPIRED")
    assert (bench.burned, bench.balance(ALICE)) == (0, 999_990)


def test_authority_as_target_of_a_slash(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.accept(bench.payment(AUTHORITY_KEY, pool, 1001, fee=50))
    assert bench.account(AUTHORITY) == Account(10 + 1000 + 150, 0)
    assert bench.burned == 1350


def test_authority_as_slashed_creator_gets_no_more_than_fees(bench: Workbench) -> None:
    bench.fund(AUTHORITY, 2500)
    pool = bench.accept(bench.create(key=AUTHORITY_KEY)).cptx_hash
    bench.accept(bench.payment(BOB_KEY, pool, 1000, creator=AUTHORITY_KEY))
    bench.accept(bench.payment(CAROL_KEY, pool, 1, fee=LARGEST, creator=AUTHORITY_KEY))
    # 2,500 and a fee of 10, then the pool; back come its own fee of 10, Bob's, and the whole reward as Carol's fee.
    assert bench.balance(AUTHORITY) == 2500 + 10 - 2510 + 10 + 10 + 499
    assert (bench.balance(CAROL), bench.burned) == (0, 1001)


def test_burned_adds_up_over_pools(bench: Workbench) -> None:
    for count in (1, 2, 3):
        bench.accept(bench.payment(CAROL_KEY, bench.new_pool(), 1001))
        assert bench.burned == 1390 * count
        bench.next_block()
    assert bench.balance(BOB) == 5000
    assert bench.balance(DAVE) == 100


def test_slash_of_one_pool_leaves_the_others_open(bench: Workbench) -> None:
    first, second = bench.new_pool(), bench.new_pool()
    bench.accept(bench.payment(CAROL_KEY, first, 1001))
    bench.accept(bench.payment(CAROL_KEY, second, 1000))
    assert bench.next_block(height=11) == [second]
    assert bench.balance(ALICE) == 1_000_000 - 2 * 2510 + 1500


def test_first_failure_wins_over_the_evidence(bench: Workbench) -> None:
    pool = bench.new_pool()
    words = signing.payment_words(CAROL, LARGEST, pool, 1)
    by_bob = signing.sign_payment(BOB_KEY, bench.signing, words)
    by_alice = signing.sign_payment(ALICE_KEY, bench.signing, words)
    bench.refuse(signing.settle(CAROL_KEY, bench.signing, words, by_bob, 10), "NOT_CREATOR")
    bench.refuse(signing.settle(BOB_KEY, bench.signing, words, by_alice, 10), "NOT_TARGET")
    bench.refuse(bench.payment(CAROL_KEY, pool, LARGEST, seq=2), "BAD_SEQUENCE")
    bench.accept(signing.settle(CAROL_KEY, bench.signing, words, by_alice, 10))
    assert bench.burned == 1500 - 10 - REWARD
    assert bench.balance(ALICE) == 997_490

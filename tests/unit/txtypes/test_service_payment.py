"""ServicePayment within the deposit: each rule of protocol section 5 with its accepted and its refused twin."""

from __future__ import annotations

import pytest

from ledger.receipt import Outcome, Receipt
from ledger.records import Account, PoolStatus, Target, account_key, pool_key, target_key
from tests.model import signing
from tests.model.encoding import PAYMENT_TYPE, signing_digest
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
from tests.workbench import LARGEST, Workbench

UNKNOWN = b"\x33" * 32


def published_by(
    bench: Workbench,
    pool: bytes,
    signers: tuple[bytes, bytes],
    *,
    target: bytes = CAROL,
    amount: int = 100,
    seq: int = 1,
    fee: int = 10,
) -> bytes:
    """A payment to `target` with any two signers: the first for the creator, the second for the target."""
    words = signing.payment_words(target, amount, pool, seq)
    return signing.settle(signers[1], bench.signing, words, signing.sign_payment(signers[0], bench.signing, words), fee)


def test_pays_what_is_due_and_takes_the_fee_from_it(bench: Workbench) -> None:
    pool = bench.new_pool()
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 400, fee=15))
    assert receipt == Receipt(receipt.transaction_hash, Outcome.SETTLED, 15, pool, paid=400, burned=0, reward=0)
    assert bench.account(CAROL) == Account(385, 0)
    assert bench.account(AUTHORITY) == Account(25, 0)
    assert bench.account(ALICE) == Account(997_490, 1)
    assert bench.target(pool, CAROL) == Target(1, 400)
    assert (bench.pool(pool).spent, bench.pool(pool).status) == (400, PoolStatus.OPEN)
    assert bench.burned == 0


def test_writes_the_pool_the_target_and_two_accounts(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.next_block()
    bench.accept(bench.payment(CAROL_KEY, pool, 400))
    changed = {pool_key(pool), target_key(pool, CAROL), account_key(CAROL), account_key(AUTHORITY)}
    assert set(bench.result().changes) == changed


def test_amount_is_a_total_that_never_restarts(bench: Workbench) -> None:
    pool = bench.new_pool()
    assert bench.accept(bench.payment(CAROL_KEY, pool, 400)).paid == 400
    assert bench.accept(bench.payment(CAROL_KEY, pool, 401, seq=2)).paid == 1
    bench.next_block()
    assert bench.accept(bench.payment(CAROL_KEY, pool, 1000, seq=3)).paid == 599
    assert bench.target(pool, CAROL) == Target(3, 1000)
    assert bench.pool(pool).remaining == 0
    assert bench.balance(CAROL) == 1000 - 30


def test_targets_have_their_own_sequences_and_totals(bench: Workbench) -> None:
    first, second = bench.new_pool(), bench.new_pool()
    bench.accept(bench.payment(CAROL_KEY, first, 400))
    bench.accept(bench.payment(BOB_KEY, first, 300))
    bench.accept(bench.payment(CAROL_KEY, second, 50))
    assert bench.target(first, CAROL) == Target(1, 400)
    assert bench.target(first, BOB) == Target(1, 300)
    assert bench.target(second, CAROL) == Target(1, 50)
    assert (bench.pool(first).spent, bench.pool(second).spent) == (700, 50)


def test_unknown_pool(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(CAROL_KEY, UNKNOWN, 400), "POOL_UNKNOWN")
    bench.refuse(bench.payment(CAROL_KEY, bytes(32), 400), "POOL_UNKNOWN")
    bench.accept(bench.payment(CAROL_KEY, pool, 400))


def test_pool_serves_from_the_block_that_creates_it(bench: Workbench) -> None:
    raw = bench.create()
    payment = bench.payment(CAROL_KEY, bench.decode(raw).hash, 400)
    bench.refuse(payment, "POOL_UNKNOWN")
    bench.accept(raw)
    bench.accept(payment)


def test_last_height_before_expiry_is_accepted(bench: Workbench) -> None:
    pool = bench.new_pool(duration=10)
    assert bench.next_block(height=10) == []
    bench.accept(bench.payment(CAROL_KEY, pool, 400))


@pytest.mark.parametrize("height", [11, 12, 2**63])
def test_from_expires_at_on_it_is_refused(bench: Workbench, height: int) -> None:
    pool = bench.new_pool(duration=10)
    assert bench.next_block(height=height) == [pool]
    bench.refuse(bench.payment(CAROL_KEY, pool, 400), "POOL_EXPIRED")
    assert bench.pool(pool).status is PoolStatus.EXPIRED


def test_waiting_pool_is_expired_for_settlements_and_over_signing(bench: Workbench) -> None:
    pools = sorted(bench.new_pool(duration=10) for _ in range(3))
    assert bench.next_block(height=11) == pools[:2]
    waiting = pools[2]
    assert bench.pool(waiting).status is PoolStatus.OPEN
    bench.refuse(bench.payment(CAROL_KEY, waiting, 400), "POOL_EXPIRED")
    bench.refuse(bench.payment(CAROL_KEY, waiting, LARGEST), "POOL_EXPIRED")
    assert bench.next_block() == [waiting]
    bench.refuse(bench.payment(CAROL_KEY, waiting, 400), "POOL_EXPIRED")


def test_target_is_not_the_creator(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(ALICE_KEY, pool, 100), "SELF_PAYMENT")
    bench.refuse(published_by(bench, pool, (BOB_KEY, CAROL_KEY), target=ALICE), "SELF_PAYMENT")
    bench.refuse(bench.payment(ALICE_KEY, pool, LARGEST), "SELF_PAYMENT")


def test_first_signature_is_the_creators(bench: Workbench) -> None:
    pool = bench.new_pool()
    for other in (BOB_KEY, CAROL_KEY, AUTHORITY_KEY):
        bench.refuse(published_by(bench, pool, (other, CAROL_KEY)), "NOT_CREATOR")
        bench.refuse(published_by(bench, pool, (other, CAROL_KEY), amount=LARGEST), "NOT_CREATOR")
    bench.accept(published_by(bench, pool, (ALICE_KEY, CAROL_KEY)))


def test_second_signature_is_the_targets(bench: Workbench) -> None:
    pool = bench.new_pool()
    for other in (ALICE_KEY, BOB_KEY, AUTHORITY_KEY):
        bench.refuse(published_by(bench, pool, (ALICE_KEY, other)), "NOT_TARGET")
        bench.refuse(published_by(bench, pool, (ALICE_KEY, other), amount=LARGEST), "NOT_TARGET")
    bench.accept(published_by(bench, pool, (ALICE_KEY, CAROL_KEY)))


def test_swapped_signers_and_swapped_signatures(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(published_by(bench, pool, (CAROL_KEY, ALICE_KEY)), "NOT_CREATOR")
    raw = bench.payment(CAROL_KEY, pool, 100)
    swapped = raw[:129] + raw[226:] + raw[194:226] + raw[129:194]
    bench.refuse(swapped, "NOT_CREATOR")
    doubled = raw[:226] + raw[129:194]
    bench.refuse(doubled, "NOT_TARGET")
    bench.accept(raw)


def test_nobody_else_can_change_the_fee(bench: Workbench) -> None:
    pool = bench.new_pool()
    raw = bench.payment(CAROL_KEY, pool, 100, fee=11)
    bench.refuse(raw[:225] + b"\x0c" + raw[226:], "NOT_TARGET")
    assert bench.accept(raw).fee == 11


def test_sequence_is_exactly_the_next(bench: Workbench) -> None:
    pool = bench.new_pool()
    for wrong in (0, 2, 2**64 - 1):
        bench.refuse(bench.payment(CAROL_KEY, pool, 100, seq=wrong), "BAD_SEQUENCE")
        bench.refuse(bench.payment(CAROL_KEY, pool, LARGEST, seq=wrong), "BAD_SEQUENCE")
    bench.accept(bench.payment(CAROL_KEY, pool, 100, seq=1))
    for wrong in (0, 1, 3):
        bench.refuse(bench.payment(CAROL_KEY, pool, 200, seq=wrong), "BAD_SEQUENCE")
    bench.accept(bench.payment(CAROL_KEY, pool, 200, seq=2))


def test_settlement_published_twice(bench: Workbench) -> None:
    pool = bench.new_pool()
    raw = bench.payment(CAROL_KEY, pool, 100)
    bench.accept(raw)
    bench.refuse(raw, "BAD_SEQUENCE")
    bench.refuse(bench.payment(CAROL_KEY, pool, 100, fee=11), "BAD_SEQUENCE")
    digest = signing_digest(bench.signing.separator, PAYMENT_TYPE, raw[1:129])
    again = signing.sign_with_nonce(ALICE_KEY, digest, 777)
    bench.refuse(raw[:129] + again + raw[194:], "BAD_SEQUENCE")


def test_amount_grows(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(CAROL_KEY, pool, 0), "AMOUNT_NOT_INCREASED")
    bench.accept(bench.payment(CAROL_KEY, pool, 100))
    for wrong in (0, 1, 99, 100):
        bench.refuse(bench.payment(CAROL_KEY, pool, wrong, seq=2), "AMOUNT_NOT_INCREASED")
    assert bench.accept(bench.payment(CAROL_KEY, pool, 101, seq=2)).paid == 1


def test_drained_pool_refuses_an_amount_that_does_not_grow(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.accept(bench.payment(BOB_KEY, pool, 1000))
    bench.refuse(bench.payment(CAROL_KEY, pool, 0), "AMOUNT_NOT_INCREASED")
    bench.refuse(bench.payment(BOB_KEY, pool, 1000, seq=2), "AMOUNT_NOT_INCREASED")


@pytest.mark.parametrize("before", [0, 400, 990])
def test_due_of_all_that_remains_is_honest(bench: Workbench, before: int) -> None:
    pool = bench.new_pool()
    if before:
        bench.accept(bench.payment(BOB_KEY, pool, before))
    receipt = bench.accept(bench.payment(CAROL_KEY, pool, 1000 - before))
    assert (receipt.outcome, receipt.paid) == (Outcome.SETTLED, 1000 - before)
    assert (bench.pool(pool).remaining, bench.pool(pool).status) == (0, PoolStatus.OPEN)
    assert bench.next_block(height=11) == [pool]
    assert bench.balance(ALICE) == 1_000_000 - 10 - 1000


def test_fee_is_at_least_the_minimum(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(CAROL_KEY, pool, 100, fee=0), "FEE_TOO_LOW")
    bench.refuse(bench.payment(CAROL_KEY, pool, 100, fee=9), "FEE_TOO_LOW")
    bench.accept(bench.payment(CAROL_KEY, pool, 100, fee=10))


def test_payee_with_an_empty_account_pays_out_of_what_it_is_paid(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(CAROL_KEY, pool, 9), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.payment(CAROL_KEY, pool, 10, fee=11), "INSUFFICIENT_BALANCE")
    bench.accept(bench.payment(CAROL_KEY, pool, 10))
    assert account_key(CAROL) not in bench.now().all
    assert bench.target(pool, CAROL) == Target(1, 10)


def test_payee_may_add_to_the_fee_out_of_its_own(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(DAVE_KEY, pool, 1, fee=102), "INSUFFICIENT_BALANCE")
    bench.accept(bench.payment(DAVE_KEY, pool, 1, fee=101))
    assert account_key(DAVE) not in bench.now().all
    assert bench.balance(AUTHORITY) == 111


def test_changes_no_nonce(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.accept(bench.transfer(DAVE_KEY, BOB, 1))
    bench.accept(bench.payment(DAVE_KEY, pool, 100))
    assert bench.account(DAVE) == Account(100 - 11 + 90, 1)
    assert bench.account(ALICE).nonce == 1


def test_authority_as_target_needs_the_fee_it_gets_back(bench: Workbench) -> None:
    pool = bench.new_pool()
    bench.refuse(bench.payment(AUTHORITY_KEY, pool, 5, fee=16), "INSUFFICIENT_BALANCE")
    bench.accept(bench.payment(AUTHORITY_KEY, pool, 5, fee=15))
    assert bench.account(AUTHORITY) == Account(15, 0)
    bench.accept(bench.payment(AUTHORITY_KEY, pool, 405, seq=2))
    assert bench.account(AUTHORITY) == Account(415, 0)


def test_authority_as_creator(bench: Workbench) -> None:
    bench.fund(AUTHORITY, 5000)
    pool = bench.accept(bench.create(key=AUTHORITY_KEY)).cptx_hash
    bench.accept(bench.payment(CAROL_KEY, pool, 400, creator=AUTHORITY_KEY))
    assert bench.balance(CAROL) == 390
    assert bench.balance(AUTHORITY) == 5000 + 10 - 2500 + 10


def test_payment_is_for_one_pool_and_one_chain(bench: Workbench) -> None:
    first, second = bench.new_pool(), bench.new_pool()
    raw = bench.payment(CAROL_KEY, first, 100)
    moved = signing.payment_words(CAROL, 100, second, 1)
    bench.refuse(signing.settle(CAROL_KEY, bench.signing, moved, raw[129:194], 10), "NOT_CREATOR")
    other = signing.Domain(bench.signing.chain_id, bytes(32))
    bench.refuse(signing.service_payment(ALICE_KEY, CAROL_KEY, other, 100, first, 1, 10), "NOT_CREATOR")
    foreign = signing.settle(CAROL_KEY, other, raw[1:129], raw[129:194], 10)
    bench.refuse(foreign, "NOT_TARGET")


def test_payment_to_one_target_is_nothing_to_another(bench: Workbench) -> None:
    pool = bench.new_pool()
    raw = bench.payment(CAROL_KEY, pool, 100)
    words = signing.payment_words(BOB, 100, pool, 1)
    bench.refuse(signing.settle(BOB_KEY, bench.signing, words, raw[129:194], 10), "NOT_CREATOR")


def test_first_failure_wins(bench: Workbench) -> None:
    pool = bench.new_pool()
    worst = (BOB_KEY, BOB_KEY)
    bench.refuse(published_by(bench, UNKNOWN, worst, target=ALICE, amount=0, seq=9, fee=9), "FEE_TOO_LOW")
    bench.refuse(published_by(bench, UNKNOWN, worst, target=ALICE, amount=0, seq=9), "POOL_UNKNOWN")
    bench.refuse(published_by(bench, pool, worst, target=ALICE, amount=0, seq=9), "SELF_PAYMENT")
    bench.refuse(published_by(bench, pool, worst, amount=0, seq=9), "NOT_CREATOR")
    bench.refuse(published_by(bench, pool, (ALICE_KEY, BOB_KEY), amount=0, seq=9), "NOT_TARGET")
    good = (ALICE_KEY, CAROL_KEY)
    bench.refuse(published_by(bench, pool, good, amount=0, seq=9, fee=5000), "BAD_SEQUENCE")
    bench.refuse(published_by(bench, pool, good, amount=0, fee=5000), "AMOUNT_NOT_INCREASED")
    bench.refuse(published_by(bench, pool, good, amount=1, fee=5000), "INSUFFICIENT_BALANCE")
    bench.next_block(height=11)
    bench.refuse(published_by(bench, pool, worst, target=ALICE, amount=0, seq=9), "POOL_EXPIRED")

"""Transfer: each rule of protocol section 5 with its accepted and its refused twin."""

from __future__ import annotations

import pytest

from ledger.receipt import Outcome, Receipt
from ledger.records import Account, account_key
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
from tests.workbench import LARGEST, Workbench
from txtypes.table import decode

EVE = b"\xee" * 20


def test_moves_amount_and_fee_and_raises_the_nonce(bench: Workbench) -> None:
    raw = bench.transfer(ALICE_KEY, EVE, 250, fee=12)
    receipt = bench.accept(raw)
    assert receipt == Receipt(receipt.transaction_hash, Outcome.TRANSFERRED, 12, bytes(32), 0, 0, 0)
    assert bench.account(ALICE) == Account(1_000_000 - 262, 1)
    assert bench.account(EVE) == Account(250, 0)
    assert bench.account(AUTHORITY) == Account(12, 0)
    assert bench.account(BOB) == Account(5000, 0)


def test_nothing_else_is_written(bench: Workbench) -> None:
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))
    assert set(bench.result().changes) == {account_key(who) for who in (ALICE, BOB, AUTHORITY)}


def test_smallest_amount_is_one(bench: Workbench) -> None:
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 0), "ZERO_AMOUNT")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))
    assert bench.balance(BOB) == 5001


def test_fee_is_at_least_the_minimum(bench: Workbench) -> None:
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, fee=0), "FEE_TOO_LOW")
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, fee=9), "FEE_TOO_LOW")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1, fee=10))
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1, fee=11))
    assert bench.balance(AUTHORITY) == 21


def test_chain_without_a_minimum_fee_takes_none() -> None:
    bench = Workbench(minFee="0x0")
    assert bench.accept(bench.transfer(ALICE_KEY, BOB, 1, fee=0)).fee == 0
    assert account_key(AUTHORITY) not in bench.now().all


def test_nonce_is_exactly_the_senders(bench: Workbench) -> None:
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, nonce=1), "NONCE_GAP")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1, nonce=0))
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, nonce=0), "BAD_NONCE")
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, nonce=2), "NONCE_GAP")
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, nonce=2**64 - 1), "NONCE_GAP")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1, nonce=1))
    assert bench.account(ALICE).nonce == 2


def test_nonces_are_the_senders_own(bench: Workbench) -> None:
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))
    bench.accept(bench.transfer(BOB_KEY, ALICE, 1, nonce=0))
    assert (bench.account(ALICE).nonce, bench.account(BOB).nonce) == (1, 1)


def test_balance_covers_amount_and_fee_exactly(bench: Workbench) -> None:
    bench.refuse(bench.transfer(DAVE_KEY, BOB, 91), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.transfer(DAVE_KEY, BOB, 90, fee=11), "INSUFFICIENT_BALANCE")
    bench.accept(bench.transfer(DAVE_KEY, BOB, 90))
    assert bench.account(DAVE) == Account(0, 1)
    assert account_key(DAVE) in bench.now().all


def test_empty_account_cannot_send(bench: Workbench) -> None:
    bench.refuse(bench.transfer(CAROL_KEY, BOB, 1), "INSUFFICIENT_BALANCE")


def test_sums_do_not_wrap(bench: Workbench) -> None:
    bench.refuse(bench.transfer(ALICE_KEY, BOB, LARGEST, fee=LARGEST), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, fee=LARGEST), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.transfer(ALICE_KEY, BOB, LARGEST - 9), "INSUFFICIENT_BALANCE")


def test_whole_supply_of_the_largest_chain_moves() -> None:
    bench = Workbench(alloc={"0x" + ALICE.hex(): hex(LARGEST)})
    bench.accept(bench.transfer(ALICE_KEY, BOB, LARGEST - 10))
    assert bench.account(BOB) == Account(LARGEST - 10, 0)


def test_to_oneself_costs_the_fee(bench: Workbench) -> None:
    bench.accept(bench.transfer(ALICE_KEY, ALICE, 5000))
    assert bench.account(ALICE) == Account(999_990, 1)


def test_to_oneself_is_debited_before_it_is_credited(bench: Workbench) -> None:
    bench.refuse(bench.transfer(DAVE_KEY, DAVE, 91), "INSUFFICIENT_BALANCE")
    bench.accept(bench.transfer(DAVE_KEY, DAVE, 90))
    assert bench.account(DAVE) == Account(90, 1)


def test_authority_as_receiver_gets_amount_and_fee(bench: Workbench) -> None:
    bench.accept(bench.transfer(ALICE_KEY, AUTHORITY, 500))
    assert bench.account(AUTHORITY) == Account(510, 0)


def test_authority_as_sender_needs_the_fee_it_gets_back(bench: Workbench) -> None:
    bench.fund(AUTHORITY, 490)
    bench.refuse(bench.transfer(AUTHORITY_KEY, BOB, 491), "INSUFFICIENT_BALANCE")
    bench.accept(bench.transfer(AUTHORITY_KEY, BOB, 490))
    assert bench.account(AUTHORITY) == Account(10, 1)


def test_authority_to_itself_changes_its_nonce_only(bench: Workbench) -> None:
    bench.fund(AUTHORITY, 490)
    bench.accept(bench.transfer(AUTHORITY_KEY, AUTHORITY, 1))
    assert bench.account(AUTHORITY) == Account(500, 1)


def test_to_the_zero_address(bench: Workbench) -> None:
    bench.accept(bench.transfer(ALICE_KEY, bytes(20), 3))
    assert bench.account(bytes(20)) == Account(3, 0)


def test_fee_can_be_spent_in_the_same_block(bench: Workbench) -> None:
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1, fee=30))
    bench.accept(bench.transfer(AUTHORITY_KEY, BOB, 20))
    assert bench.account(AUTHORITY) == Account(10, 1)


def test_signature_of_another_content_is_somebody_elses(bench: Workbench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 7)
    changed = bytearray(raw)
    changed[64] ^= 1
    assert bench.decode(raw).signers == (ALICE,)
    assert bench.decode(bytes(changed)).signers != (ALICE,)
    bench.refuse(bytes(changed), "INSUFFICIENT_BALANCE")


@pytest.mark.parametrize(("member", "value"), [("chainId", "0x5008"), ("extra", "0x" + "22" * 32)])
def test_signature_for_another_chain_is_somebody_elses(bench: Workbench, member: str, value: str) -> None:
    other = Workbench(1, **{member: value})
    raw = other.transfer(ALICE_KEY, BOB, 7)
    assert decode(raw, other.domain).sender == ALICE
    assert decode(raw, bench.domain).sender != ALICE
    bench.refuse(raw, "INSUFFICIENT_BALANCE")


def test_second_signature_of_one_content_is_refused_by_its_nonce(bench: Workbench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 7)
    digest = bench.decode(raw).kind.digests(raw, bench.domain)[0]
    again = raw[:129] + signing.sign_with_nonce(ALICE_KEY, digest, 12345)
    assert bench.decode(again).sender == ALICE
    assert bench.decode(again).hash != bench.decode(raw).hash
    bench.accept(raw)
    bench.refuse(again, "BAD_NONCE")


def test_first_failure_wins(bench: Workbench) -> None:
    bench.refuse(bench.transfer(CAROL_KEY, BOB, 0, fee=9, nonce=7), "FEE_TOO_LOW")
    bench.refuse(bench.transfer(CAROL_KEY, BOB, 0, nonce=7), "ZERO_AMOUNT")
    bench.refuse(bench.transfer(CAROL_KEY, BOB, 1, nonce=7), "NONCE_GAP")
    bench.refuse(bench.transfer(CAROL_KEY, BOB, 1, nonce=0), "INSUFFICIENT_BALANCE")
    bench.accept(bench.transfer(DAVE_KEY, CAROL, 90))
    bench.refuse(bench.transfer(DAVE_KEY, CAROL, 90, nonce=0), "BAD_NONCE")


def test_receiver_need_not_exist_and_sender_may_stay_with_nothing(bench: Workbench) -> None:
    bench.accept(bench.transfer(DAVE_KEY, CAROL, 90))
    bench.accept(bench.transfer(CAROL_KEY, DAVE, 80))
    assert bench.account(CAROL) == Account(0, 1)
    assert bench.account(DAVE) == Account(80, 1)

"""What a payment buys, and the exact answer when it buys nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ledger.records import PoolStatus, Target
from peers.book import Book, Declined
from peers.handshake import last_payment
from peers.payment import Payment
from peers.refused import Refused
from peers.till import charge, expect_sellable, read_payment, refuse

from .books import CAPS, CREATOR, POOL, STRANGER, TERMS, book, pay, taken


def sell(found: Book, payment: Payment, signer: bytes = CREATOR.address, *, was_paid: bool = False) -> Book:
    return charge(found, payment, signer, TERMS, caps=CAPS, was_paid=was_paid)


def refused(reason: str, found: Book, payment: Payment, *, was_paid: bool = False) -> dict[str, Any]:
    with pytest.raises(Refused) as caught:
        sell(found, payment, was_paid=was_paid)
    assert caught.value.reason == reason
    return caught.value.to_json()


# What sells


def test_each_chunk_costs_its_price() -> None:
    found = sell(book(), pay(20))
    assert (found.delivered, found.promised) == (10, 20)
    found = sell(found, pay(20))
    assert found.delivered == 20
    assert sell(found, pay(30)).delivered == 30


def test_credit_is_used_up_first() -> None:
    found = sell(book(), pay(50))
    for delivered in (20, 30, 40, 50):
        found = sell(found, pay(50))
        assert found.delivered == delivered
    assert refused("PAYMENT_REQUIRED", found, pay(50))["amount"] == hex(60)


def test_a_payment_that_was_overtaken_uses_the_newest_ones_credit() -> None:
    found = sell(sell(book(), pay(20)), pay(40))
    assert (found.delivered, found.promised) == (20, 40)
    after = sell(found, pay(30))
    assert (after.delivered, after.best) == (30, pay(40))


def test_credit_lasts_over_a_settlement() -> None:
    settling = sell(book(), pay(20)).begin_settlement(5)
    after = sell(settling, pay(20))
    assert (after.delivered, after.best, after.settling) == (20, pay(20), pay(20))


def test_a_chunk_that_was_paid_for_costs_nothing() -> None:
    found = taken(book(), 100)
    assert sell(found, pay(100), was_paid=True) is found
    assert sell(found, pay(20), was_paid=True) is found
    more = sell(found, pay(110), was_paid=True)
    assert (more.delivered, more.best) == (100, pay(110))


# What does not


def test_too_little_is_answered_with_what_is_missing() -> None:
    found = taken(book(), 100)
    answer = refused("PAYMENT_REQUIRED", found, pay(109))
    assert (answer["amount"], answer["tgtSeq"], answer["lastPayment"]) == (hex(110), "0x1", last_payment(found))
    assert answer["given"] == "109 with tgtSeq 1"
    assert refused("PAYMENT_REQUIRED", book(), pay(19))["amount"] == hex(20)
    assert refused("PAYMENT_REQUIRED", book(), pay(0))["lastPayment"] is None


def test_a_refused_payment_is_not_kept() -> None:
    found = taken(book(), 100)
    refused("PAYMENT_REQUIRED", found, pay(109))
    assert found.best == pay(100)


def test_a_spent_sequence_is_answered_with_the_next_one() -> None:
    settling = taken(book(), 100).begin_settlement(5)
    answer = refused("WRONG_SEQUENCE", settling, pay(110))
    assert (answer["tgtSeq"], answer["amount"]) == ("0x2", hex(110))
    assert sell(settling, pay(110, 2)).delivered == 110
    done = settling.follow(replace(POOL, spent=100), Target(1, 100), 2)
    assert refused("WRONG_SEQUENCE", done, pay(110))["tgtSeq"] == "0x2"
    assert refused("WRONG_SEQUENCE", done, pay(110, 3))["tgtSeq"] == "0x2"


def test_too_much_unsettled_has_to_wait() -> None:
    answer = refused("CAP_REACHED", taken(book(), 500), pay(510))
    assert answer["retryAfterBlocks"] == "0x1"


def test_less_remaining_than_promised_is_declined_and_never_sold() -> None:
    drained = taken(book(), 100).follow(replace(POOL, spent=900), Target(0, 0), 2)
    with pytest.raises(Declined) as caught:
        sell(drained, pay(110))
    assert caught.value.reason == "DEPOSIT_DRAINED"
    answer = refuse(caught.value, drained, 110).to_json()
    assert (answer["retryAfterBlocks"], answer["amount"]) == (None, hex(110))


@pytest.mark.parametrize("was_paid", [False, True])
def test_only_promises_of_the_creator_to_this_cacher(was_paid: bool) -> None:
    found = taken(book(), 100)
    for payment in (pay(200, target=STRANGER.address), pay(200, cptx_hash=bytes(32))):
        refused("BAD_PAYMENT", found, payment, was_paid=was_paid)
    with pytest.raises(Refused, match="BAD_PAYMENT"):
        sell(found, pay(200, key=STRANGER), STRANGER.address, was_paid=was_paid)


@pytest.mark.parametrize(("height", "is_sold"), [(449, True), (450, False), (600, False)])
def test_nothing_is_sold_within_the_margin(height: int, is_sold: bool) -> None:
    if is_sold:
        expect_sellable(book(), height, TERMS)
        return
    with pytest.raises(Refused, match="POOL_CLOSED"):
        expect_sellable(book(), height, TERMS)


def test_nothing_is_sold_to_a_closed_pool() -> None:
    with pytest.raises(Refused, match="slashed"):
        expect_sellable(book(status=PoolStatus.SLASHED), 1, TERMS)


# The header


def test_a_payment_is_read_from_lower_case_hex() -> None:
    assert read_payment("0x" + pay(20).encode().hex(), TERMS) == pay(20)


def test_no_payment_is_answered_with_the_first_amount() -> None:
    with pytest.raises(Refused) as caught:
        read_payment(None, TERMS)
    answer = caught.value.to_json()
    assert (caught.value.status, answer["amount"], answer["tgtSeq"]) == (402, hex(20), "0x1")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0x",
        pay(20).encode().hex(),
        "0x" + pay(20).encode().hex()[2:],
        "0x" + pay(20).encode().hex() + "00",
        "0x" + pay(20).encode().hex().upper(),
        "0x" + " " + pay(20).encode().hex()[1:],
        "0x" + "ff" * 193,
        "0x" + "é" * 386,
    ],
)
def test_another_form_is_no_payment(header: str) -> None:
    with pytest.raises(Refused) as caught:
        read_payment(header, TERMS)
    assert (caught.value.reason, caught.value.status) == ("BAD_PAYMENT", 403)


def test_terms_of_a_price_above_the_first_amount() -> None:
    dear = replace(TERMS, first_amount=10)
    assert charge(book(), pay(10), CREATOR.address, dear, caps=CAPS, was_paid=False).delivered == 10

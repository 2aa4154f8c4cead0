"""Transactions and payments are signed byte for byte as the independent model signs them."""

from __future__ import annotations

from typing import Any

import pytest

from crypto.eip712 import Domain
from crypto.signature import SigningKey, recover
from poolchain.signing import payment_digest, sign_payment, sign_settlement, sign_transaction
from tests.model import signing as model
from txtypes.table import decode

CHAIN_ID, GENESIS = 20487, bytes(range(32))
DOMAIN = Domain.of(CHAIN_ID, GENESIS)
MODEL_DOMAIN = model.Domain(CHAIN_ID, GENESIS)
ALICE, BOB = model.key_of(1), model.key_of(2)
BOB_ADDRESS = model.address_of(BOB)
POOL = bytes([0xAB] * 32)
LARGEST = 2**128 - 1
PAYMENT: dict[str, Any] = {"target": BOB_ADDRESS, "amount": 5, "cptxHash": POOL, "tgtSeq": 3}


@pytest.mark.parametrize("amount", [0, 1, LARGEST])
def test_transfer(amount: int) -> None:
    fields = {"to": BOB_ADDRESS, "amount": amount, "fee": 7, "nonce": 2**64 - 1}
    expected = model.transfer(ALICE, MODEL_DOMAIN, BOB_ADDRESS, amount, 7, 2**64 - 1)
    assert sign_transaction("Transfer", fields, SigningKey(ALICE), DOMAIN) == expected


def test_create_pool() -> None:
    fields = {"resourceId": POOL, "deposit": 10, "collateral": LARGEST, "duration": 99, "fee": 1, "nonce": 0}
    expected = model.create_pool(ALICE, MODEL_DOMAIN, POOL, 10, LARGEST, 99, 1, 0)
    assert sign_transaction("CreatePool", fields, SigningKey(ALICE), DOMAIN) == expected


def test_payment_and_settlement() -> None:
    words = model.payment_words(BOB_ADDRESS, 5, POOL, 3)
    signature = sign_payment(PAYMENT, SigningKey(ALICE), DOMAIN)
    assert signature == model.sign_payment(ALICE, MODEL_DOMAIN, words)
    raw = sign_settlement({**PAYMENT, "fee": 9}, signature, SigningKey(BOB), DOMAIN)
    assert raw == model.settle(BOB, MODEL_DOMAIN, words, signature, 9)
    assert decode(raw, DOMAIN).signers == (model.address_of(ALICE), BOB_ADDRESS)


def test_payment_digest_is_what_is_signed_and_has_no_fee_in_it() -> None:
    digest = payment_digest(PAYMENT, DOMAIN)
    assert digest == payment_digest({**PAYMENT, "fee": 123}, DOMAIN)
    assert recover(digest, sign_payment(PAYMENT, SigningKey(ALICE), DOMAIN)) == model.address_of(ALICE)


@pytest.mark.parametrize("domain", [Domain.of(CHAIN_ID + 1, GENESIS), Domain.of(CHAIN_ID, bytes(32))])
def test_signature_is_worth_nothing_on_another_chain(domain: Domain) -> None:
    signature = sign_payment(PAYMENT, SigningKey(ALICE), DOMAIN)
    assert recover(payment_digest(PAYMENT, domain), signature) != model.address_of(ALICE)

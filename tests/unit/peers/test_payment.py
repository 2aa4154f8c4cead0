"""The 193 bytes of a payment: one form, one signer, no confusion with any other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.eip712 import Domain
from crypto.signature import CURVE_ORDER
from peers.payment import PAYMENT_BYTES, BadPayment, Payment, Promise
from poolchain.signing import payment_digest
from tests.model import signing

from .books import CREATOR, DOMAIN, POOL_ID, SELLER, pay


@given(
    target=st.binary(min_size=20, max_size=20),
    amount=st.integers(0, 2**128 - 1),
    cptx_hash=st.binary(min_size=32, max_size=32),
    tgt_seq=st.integers(0, 2**64 - 1),
    signature=st.binary(min_size=65, max_size=65),
)
def test_decoding_undoes_encoding(target: bytes, amount: int, cptx_hash: bytes, tgt_seq: int, signature: bytes) -> None:
    payment = Payment(Promise(target, amount, cptx_hash, tgt_seq), signature)
    assert len(payment.encode()) == PAYMENT_BYTES == 193
    assert Payment.decode(payment.encode()) == payment


def test_what_is_signed_is_what_the_chain_checks() -> None:
    payment = pay(123, 4)
    fields = {"target": SELLER.address, "amount": 123, "cptxHash": POOL_ID, "tgtSeq": 4}
    assert payment.promise.digest(DOMAIN) == payment_digest(fields, DOMAIN)
    words = signing.payment_words(SELLER.address, 123, POOL_ID, 4)
    model = signing.Domain(DOMAIN.chain_id, DOMAIN.genesis_hash)
    assert payment.encode() == words + signing.sign_payment(CREATOR.secret, model, words)


def test_the_same_promise_is_the_same_payment() -> None:
    assert pay(5) == pay(5)
    assert pay(5).encode() != pay(6).encode()


def test_the_signer_is_recovered_under_its_chain_only() -> None:
    assert pay(5).signer(DOMAIN) == CREATOR.address
    assert pay(5).signer(Domain.of(DOMAIN.chain_id + 1, DOMAIN.genesis_hash)) != CREATOR.address
    assert pay(5).signer(Domain.of(DOMAIN.chain_id, b"\x01" * 32)) != CREATOR.address


@pytest.mark.parametrize("length", [0, 1, PAYMENT_BYTES - 1, PAYMENT_BYTES + 1, 2 * PAYMENT_BYTES])
def test_another_length_is_no_payment(length: int) -> None:
    with pytest.raises(BadPayment, match="193 bytes"):
        Payment.decode((pay(5).encode() * 2)[:length])


@pytest.mark.parametrize(("start", "stop"), [(0, 12), (32, 48), (96, 120)])
def test_bits_outside_a_word_are_refused(start: int, stop: int) -> None:
    for at in (start, stop - 1):
        data = bytearray(pay(5).encode())
        data[at] = 1
        with pytest.raises(BadPayment, match="out of range"):
            Payment.decode(bytes(data))


def test_the_mirrored_signature_is_refused() -> None:
    payment = pay(5)
    s = CURVE_ORDER - int.from_bytes(payment.signature[32:64], "big")
    mirrored = payment.signature[:32] + s.to_bytes(32, "big") + bytes([55 - payment.signature[64]])
    with pytest.raises(BadPayment, match="s <="):
        Payment(payment.promise, mirrored).signer(DOMAIN)


@pytest.mark.parametrize("signature", [bytes(65), b"\xff" * 65, bytes(64) + b"\x1b"])
def test_no_signature_has_no_signer(signature: bytes) -> None:
    with pytest.raises(BadPayment):
        Payment(pay(5).promise, signature).signer(DOMAIN)

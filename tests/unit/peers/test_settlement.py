"""The transaction that publishes a payment: what a node makes of it."""

from __future__ import annotations

from peers.payment import Payment, Promise
from peers.settlement import sign_settlement
from txtypes.service_payment import SERVICE_PAYMENT
from txtypes.table import decode

from .books import CREATOR, DOMAIN, POOL_ID, SELLER, pay


def test_a_node_reads_the_target_and_every_field() -> None:
    raw = sign_settlement(pay(300, 2), 7, SELLER, DOMAIN)
    assert len(raw) == 291
    found = decode(raw, DOMAIN)
    assert found.kind is SERVICE_PAYMENT
    assert found.sender == SELLER.address
    fields = found.fields
    assert {name: getattr(fields, name) for name in ("target", "amount", "cptx_hash", "tgt_seq", "fee")} == {
        "target": SELLER.address,
        "amount": 300,
        "cptx_hash": POOL_ID,
        "tgt_seq": 2,
        "fee": 7,
    }


def test_the_payment_stands_in_it_as_the_creator_signed_it() -> None:
    payment = pay(300)
    raw = sign_settlement(payment, 7, SELLER, DOMAIN)
    assert raw[1 : 1 + 193] == payment.encode()
    assert Payment.decode(raw[1 : 1 + 193]).signer(DOMAIN) == CREATOR.address


def test_the_same_payment_and_fee_become_the_same_bytes() -> None:
    assert sign_settlement(pay(300), 7, SELLER, DOMAIN) == sign_settlement(pay(300), 7, SELLER, DOMAIN)
    assert sign_settlement(pay(300), 8, SELLER, DOMAIN) != sign_settlement(pay(300), 7, SELLER, DOMAIN)
    other = Payment.sign(Promise(SELLER.address, 301, POOL_ID, 1), CREATOR, DOMAIN)
    assert sign_settlement(other, 7, SELLER, DOMAIN)[:194] != sign_settlement(pay(300), 7, SELLER, DOMAIN)[:194]

"""The transaction by which a target publishes a payment (protocol.md, section 3)."""

from __future__ import annotations

from crypto.eip712 import Domain
from crypto.signature import SIGNATURE_BYTES, SigningKey
from txtypes.service_payment import SERVICE_PAYMENT
from txtypes.wire import SIGNATURE, encode

from .payment import Payment


def sign_settlement(payment: Payment, fee: int, key: SigningKey, domain: Domain) -> bytes:
    """Return the raw ServicePayment. Deterministic: the same payment and fee always become the same bytes."""
    promise = payment.promise
    fields = {
        "target": promise.target,
        "amount": promise.amount,
        "cptxHash": promise.cptx_hash,
        "tgtSeq": promise.tgt_seq,
        "fee": fee,
    }
    signed = {"paymentSignature": payment.signature, SIGNATURE: bytes(SIGNATURE_BYTES)}
    _, digest = SERVICE_PAYMENT.digests(encode(SERVICE_PAYMENT, fields, signed), domain)
    return encode(SERVICE_PAYMENT, fields, signed | {SIGNATURE: key.sign(digest)})

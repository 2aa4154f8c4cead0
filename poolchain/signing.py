"""Making signed transactions and payments from fields: for the command line, the demo and the faucet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crypto.eip712 import Domain
from crypto.signature import SIGNATURE_BYTES, SigningKey
from txtypes.service_payment import SERVICE_PAYMENT
from txtypes.table import KINDS_BY_NAME
from txtypes.wire import SIGNATURE, encode

_UNSIGNED = bytes(SIGNATURE_BYTES)


def sign_transaction(name: str, fields: Mapping[str, Any], key: SigningKey, domain: Domain) -> bytes:
    """Return the raw transaction of a type with one signature; `fields` by their names on the wire."""
    kind = KINDS_BY_NAME[name]
    (digest,) = kind.digests(encode(kind, fields, {SIGNATURE: _UNSIGNED}), domain)
    return encode(kind, fields, {SIGNATURE: key.sign(digest)})


def sign_payment(fields: Mapping[str, Any], key: SigningKey, domain: Domain) -> bytes:
    """Return the creator's signature of a ServicePayment (target, amount, cptxHash, tgtSeq)."""
    return key.sign(payment_digest(fields, domain))


def payment_digest(fields: Mapping[str, Any], domain: Domain) -> bytes:
    """Return the digest that a pool's creator signs for a ServicePayment."""
    return _digests({**fields, "fee": 0}, domain)[0]


def sign_settlement(fields: Mapping[str, Any], payment_signature: bytes, key: SigningKey, domain: Domain) -> bytes:
    """Return the raw ServicePayment by which its target publishes a payment; `fields` include the fee."""
    _, settlement_digest = _digests(fields, domain)
    signed = {"paymentSignature": payment_signature, SIGNATURE: key.sign(settlement_digest)}
    return encode(SERVICE_PAYMENT, fields, signed)


def _digests(fields: Mapping[str, Any], domain: Domain) -> tuple[bytes, ...]:
    unsigned = encode(SERVICE_PAYMENT, fields, {"paymentSignature": _UNSIGNED, SIGNATURE: _UNSIGNED})
    return SERVICE_PAYMENT.digests(unsigned, domain)

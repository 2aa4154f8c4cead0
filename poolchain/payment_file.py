"""A payment between peers: the JSON document that a pool's creator signs and gives to a target (protocol section 2).

{version: 1, kind: "payment", chainId, genesisHash, payment: {target, amount, cptxHash, tgtSeq}, signature}, spelled as
everything is in the JSON-RPC. `amount` is the total promised so far, so the newest document replaces all older ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from crypto.address import checksum_address
from crypto.eip712 import CHAIN_ID_MAX, Domain
from crypto.signature import InvalidSignature, SigningKey, recover
from rpc.strict_json import NotJson, TooManyValues, decode
from rpc.values import ADDRESS, AMOUNT, HASH, SIGNATURE, UINT64, BadValue, one_of, quantity, record

from .chain_client import hex_text
from .failure import Failure
from .signing import payment_digest, sign_payment

VERSION: Final = 1
KIND: Final = "payment"
BYTES_MAX: Final = 64 * 1024
_PAYMENT: Final = record({"target": ADDRESS, "amount": AMOUNT, "cptxHash": HASH, "tgtSeq": UINT64})
_MEMBERS: Final = record(
    {
        "kind": one_of(KIND),
        "chainId": quantity(1, CHAIN_ID_MAX),
        "genesisHash": HASH,
        "payment": _PAYMENT,
        "signature": SIGNATURE,
    }
)


@dataclass(frozen=True, slots=True)
class Payment:
    """What the creator promises: `amount` base units in total to `target`, from one pool."""

    target: bytes
    amount: int
    cptx_hash: bytes
    tgt_seq: int

    def fields(self) -> dict[str, Any]:
        """Return the fields by their names on the wire."""
        return {"target": self.target, "amount": self.amount, "cptxHash": self.cptx_hash, "tgtSeq": self.tgt_seq}


@dataclass(frozen=True, slots=True)
class SignedPayment:
    """A payment with its signature and the chain it was made for."""

    chain_id: int
    genesis_hash: bytes
    payment: Payment
    signature: bytes

    def signer(self) -> bytes:
        """Return the address that signed it; raises Failure BAD_SIGNATURE."""
        domain = Domain.of(self.chain_id, self.genesis_hash)
        try:
            return recover(payment_digest(self.payment.fields(), domain), self.signature)
        except InvalidSignature as error:
            raise Failure(f"the payment's signature is not valid: {error}.", reason="BAD_SIGNATURE") from error

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        payment = self.payment
        return {
            "version": VERSION,
            "kind": KIND,
            "chainId": hex(self.chain_id),
            "genesisHash": hex_text(self.genesis_hash),
            "payment": {
                "target": checksum_address(payment.target),
                "amount": hex(payment.amount),
                "cptxHash": hex_text(payment.cptx_hash),
                "tgtSeq": hex(payment.tgt_seq),
            },
            "signature": hex_text(self.signature),
        }


def make_payment(payment: Payment, key: SigningKey, domain: Domain) -> SignedPayment:
    """Sign a payment; whoever calls this has made sure that it does not promise too much."""
    signature = sign_payment(payment.fields(), key, domain)
    return SignedPayment(domain.chain_id, domain.genesis_hash, payment, signature)


def encode_payment(signed: SignedPayment) -> bytes:
    """Return the bytes of a payment file."""
    return json.dumps(signed.to_json(), indent=2).encode() + b"\n"


def parse_payment(data: bytes) -> SignedPayment:
    """Return the payment of a file's bytes; raises Failure MALFORMED, saying what was expected. Checks no signature."""
    try:
        document = decode(data[: BYTES_MAX + 1], values_max=100)
    except NotJson as error:
        raise _malformed(f"it is not JSON: {error}") from error
    except TooManyValues as error:
        raise _malformed("it is too large") from error
    # As in proof documents, the version is the one JSON number.
    if not isinstance(document, dict) or document.pop("version", None) is not VERSION:
        raise _malformed(f"expected an object with version {VERSION}")
    try:
        found = _MEMBERS.read(document)
    except BadValue as error:
        raise _malformed(f"expected{error.path} {error.expected}") from error
    inner = found["payment"]
    payment = Payment(inner["target"], inner["amount"], inner["cptxHash"], inner["tgtSeq"])
    return SignedPayment(found["chainId"], found["genesisHash"], payment, found["signature"])


def _malformed(detail: str) -> Failure:
    return Failure(f"this is not a payment file: {detail}.", reason="MALFORMED")

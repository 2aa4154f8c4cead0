"""The table of transaction types and the way from raw bytes to a checked transaction.

A new type is one new file and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.signature import InvalidSignature, recover
from ledger.errors import Refusal
from ledger.transaction import AnyKind, AnyTransaction, Transaction

from .create_pool import CREATE_POOL
from .service_payment import SERVICE_PAYMENT
from .transfer import TRANSFER

KINDS: Final[Mapping[int, AnyKind]] = MappingProxyType(
    {kind.code: kind for kind in (TRANSFER, CREATE_POOL, SERVICE_PAYMENT)}
)
"""Type byte -> transaction type."""

KINDS_BY_NAME: Final[Mapping[str, AnyKind]] = MappingProxyType({kind.name: kind for kind in KINDS.values()})


def decode(raw: bytes, domain: Domain) -> AnyTransaction:
    """Return the transaction of these bytes with its signers recovered.

    Raises Refusal: MALFORMED for bytes that are not the one encoding of a transaction, BAD_SIGNATURE for a signature
    that is not canonical or gives no key.
    """
    kind = kind_of(raw)
    fields = kind.decode(raw)
    return Transaction(kind, raw, keccak256(raw), fields, signers_of(kind, raw, domain))


def kind_of(raw: bytes) -> AnyKind:
    """Return the type of these bytes; raises Refusal MALFORMED."""
    kind = KINDS.get(raw[0]) if raw else None
    if kind is None:
        codes = ", ".join(f"0x{code:02x}" for code in KINDS)
        raise Refusal("MALFORMED", f"a type byte of {codes}", f"0x{raw[:1].hex()}")
    return kind


def signers_of(kind: AnyKind, raw: bytes, domain: Domain) -> tuple[bytes, ...]:
    """Return who signed bytes of this type, whether or not they are well formed; raises Refusal BAD_SIGNATURE."""
    try:
        return tuple(map(recover, kind.digests(raw, domain), kind.signatures(raw)))
    except InvalidSignature as error:
        raise Refusal("BAD_SIGNATURE", "canonical, recoverable signatures", error) from error

"""A signed transaction given as a JSON object, turned into its one encoding (docs/rpc.md).

{type, fields, signature, paymentSignature} and optionally `from`. Members of another name are
refused, for a typing error in a signed object must not pass silently. Generic over the layouts.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crypto.address import checksum_address
from ledger.errors import Refusal
from txtypes.table import KINDS_BY_NAME
from txtypes.wire import encode

from .fields import SIGNATURE_NAMES, field_kinds, signature_names
from .values import ADDRESS, SIGNATURE, BadValue, Kind, nullable, one_of, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.transaction import AnyKind, AnyTransaction

_ETHEREUM_V: Final = 27


class GivenTransaction(NamedTuple):
    """The encoding of a transaction, and who is said to have sent it, if that was given."""

    raw: bytes
    sender: bytes | None


def check_sender(given: GivenTransaction, transaction: AnyTransaction) -> None:
    """Raise Refusal BAD_SIGNATURE when `from` was given and the signature is another's."""
    if given.sender is not None and given.sender != transaction.sender:
        raise Refusal(
            "BAD_SIGNATURE",
            f"a signature of {checksum_address(given.sender)} for this chain",
            checksum_address(transaction.sender),
        )


def _read_signature(value: object) -> bytes:
    """Read 65 bytes; v 0 or 1, as some signers write it, becomes 27 or 28."""
    signature = SIGNATURE.read(value)
    v = signature[64]
    return signature[:64] + bytes([v + _ETHEREUM_V]) if v < 2 else signature


def _read_null(value: object) -> None:
    if value is not None:
        raise BadValue(_NO_SIGNATURE.expected, value)


_SIGNATURE: Final = Kind("a signature of 65 bytes, v 0, 1, 27 or 28", SIGNATURE.schema, _read_signature)
_NO_SIGNATURE: Final = Kind("null: this type has no such signature", MappingProxyType({"type": "null"}), _read_null)


def _record(kind: AnyKind) -> Kind[dict[str, Any]]:
    """Return how the object form of one transaction type is read."""
    own = signature_names(kind)
    members: dict[str, Kind[Any]] = {"type": one_of(kind.name), "fields": record(field_kinds(kind))}
    members |= {name: _SIGNATURE if name in own else _NO_SIGNATURE for name in SIGNATURE_NAMES}
    members["from"] = nullable(ADDRESS)
    absent = (name for name in SIGNATURE_NAMES if name not in own)
    return record(members, optional=("from", *absent))


_RECORDS: Final[Mapping[str, Kind[dict[str, Any]]]] = MappingProxyType(
    {name: _record(kind) for name, kind in KINDS_BY_NAME.items()}
)
_TYPE: Final = one_of(*KINDS_BY_NAME)


def _read(value: object) -> GivenTransaction:
    if not isinstance(value, dict):
        raise BadValue(TRANSACTION.expected, value)
    try:
        name = _TYPE.read(value.get("type"))
    except BadValue as bad:
        bad.path = ".type"
        raise
    members = _RECORDS[name].read(value)
    return GivenTransaction(encode(KINDS_BY_NAME[name], members["fields"], members), members["from"])


TRANSACTION: Final = Kind(
    "a transaction object {type, fields, signature, paymentSignature}, optionally with from",
    MappingProxyType({"oneOf": [dict(kind.schema) for kind in _RECORDS.values()]}),
    _read,
)

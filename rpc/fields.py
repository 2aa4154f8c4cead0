"""The fields of transactions as JSON, by their ABI types: one table for reading and for writing.

Everything follows from the layouts in `txtypes`, so a new transaction type needs no change here.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from crypto.address import checksum_address
from txtypes.table import KINDS
from txtypes.wire import SIGNATURE as SIGNATURE_ABI

from .values import ADDRESS, AMOUNT, HASH, UINT64, Kind, bytes_text, quantity_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.transaction import AnyKind

_KIND_OF_ABI: Final[Mapping[str, Kind[Any]]] = MappingProxyType(
    {"address": ADDRESS, "uint256": AMOUNT, "uint64": UINT64, "bytes32": HASH}
)
SIGNATURE_NAMES: Final = tuple(
    dict.fromkeys(part.name for kind in KINDS.values() for part in kind.layout if part.abi == SIGNATURE_ABI)
)
"""The members of a transaction object that hold signatures: null where a type has none of this name."""


def field_types(kind: AnyKind) -> dict[str, str]:
    """Return name -> ABI type of the fields of one transaction type, in their order on the wire."""
    return {part.name: part.abi for part in kind.layout if part.abi != SIGNATURE_ABI}


def signature_names(kind: AnyKind) -> tuple[str, ...]:
    """Return the names of the signatures of one transaction type, in their order on the wire."""
    return tuple(part.name for part in kind.layout if part.abi == SIGNATURE_ABI)


def field_kinds(kind: AnyKind) -> dict[str, Kind[Any]]:
    """Return how each field of one transaction type is read."""
    return {name: _KIND_OF_ABI[abi] for name, abi in field_types(kind).items()}


def fields_json(kind: AnyKind, raw: bytes) -> dict[str, str]:
    """Return the fields of a raw transaction of this type: quantities, checksummed addresses, hex."""
    values = kind.decode(raw)
    return {name: _field_json(value, abi) for (name, abi), value in zip(field_types(kind).items(), values, strict=True)}


def signatures_json(kind: AnyKind, raw: bytes) -> dict[str, str | None]:
    """Return all `SIGNATURE_NAMES` with the signatures of a raw transaction, or null."""
    found = dict(zip(signature_names(kind), kind.signatures(raw), strict=True))
    return {name: bytes_text(found[name]) if name in found else None for name in SIGNATURE_NAMES}


def _field_json(value: Any, abi: str) -> str:
    match abi:
        case "address":
            return checksum_address(value)
        case "bytes32":
            return bytes_text(value)
        case _:
            return quantity_text(value)

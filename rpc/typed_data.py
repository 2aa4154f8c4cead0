"""What a wallet is asked to sign: EIP-712 documents for the fields of a transaction (protocol section 2).

The form is that of eth_signTypedData_v4: `types` with EIP712Domain and the structs reachable from
the primary type, and no others (eth-account and ethers refuse strangers). Integers of the message
are decimal strings, for JavaScript loses JSON numbers above 2^53; domain.chainId is a number.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crypto.address import checksum_address
from crypto.eip712 import DOMAIN_NAME, DOMAIN_TYPE, DOMAIN_VERSION, Domain, StructType
from txtypes.table import KINDS

from .fields import field_kinds
from .values import Kind, bytes_text, read, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Document(NamedTuple):
    """One thing that is signed: its struct, and how the flat fields of its transaction type are read."""

    struct: StructType
    fields: Kind[dict[str, Any]]


def typed_data(domain: Domain, name: str, fields: object) -> dict[str, Any]:
    """Return {types, primaryType, domain, message} for the document `name` of `DOCUMENTS`.

    `fields` are those of the transaction, flat, as JSON; ones that the document does not show may
    be left out. Raises RpcError INVALID_PARAMS.
    """
    struct, kind = DOCUMENTS[name]
    values: dict[str, Any] = read(kind, fields, "fields")
    return {
        "types": {each.name: _members(each) for each in (DOMAIN_TYPE, struct, *struct.references)},
        "primaryType": struct.name,
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": domain.chain_id,
            "salt": bytes_text(domain.genesis_hash),
        },
        "message": _message(struct, values),
    }


def _members(struct: StructType) -> list[dict[str, str]]:
    return [{"name": name, "type": abi} for name, abi in struct.members]


def _message(struct: StructType, values: Mapping[str, Any]) -> dict[str, Any]:
    nested = {each.name: each for each in struct.references}
    return {
        name: _message(nested[abi], values) if abi in nested else _value(values[name], abi)
        for name, abi in struct.members
    }


def _value(value: Any, abi: str) -> str:
    match abi:
        case "address":
            return checksum_address(value)
        case "bytes32":
            return bytes_text(value)
        case _:
            return str(value)


def _shown(struct: StructType) -> Iterator[str]:
    """Yield the names of the fields that a document shows, also in nested structs."""
    nested = {each.name: each for each in struct.references}
    for name, abi in struct.members:
        if abi in nested:
            yield from _shown(nested[abi])
        else:
            yield name


def _documents() -> Iterator[tuple[str, Document]]:
    for kind in KINDS.values():
        kinds = field_kinds(kind)
        for struct in kind.documents:
            hidden = kinds.keys() - set(_shown(struct))
            yield struct.name, Document(struct, record(kinds, optional=tuple(sorted(hidden))))


DOCUMENTS: Final[Mapping[str, Document]] = MappingProxyType(dict(_documents()))
"""Name -> document, for everything that senders, creators and targets sign."""

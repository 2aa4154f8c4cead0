"""Proof documents as typed values, read from JSON strictly: every member, no other, one form each (docs/protocol.md).

A document is read completely before anything in it is believed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crypto.address import parse_address
from crypto.eip712 import CHAIN_ID_MAX
from crypto.signature import SIGNATURE_BYTES
from crypto.state_proof import StateProof, StateProofError
from crypto.words import UINT64_LIMIT
from ledger.header import HEADER_BYTES, Header, MalformedHeader
from ledger.records import BURNED_KEY, account_key, pool_key, target_key

from .errors import ProofRefused

VERSION: Final = 1
SEAL_KIND: Final = "authority"
PATH_MAX: Final = 64
"""No tree of fewer than 2^64 leaves has a longer path."""
_HEX = re.compile(r"0x[0-9a-f]*\Z", re.ASCII)
_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class SealedHeader:
    """A header with its seal; block 0 has none."""

    header: Header
    header_bytes: bytes
    seal: bytes | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Path:
    """Where a leaf is in an RFC 9162 tree, and the way from it to the root."""

    leaf_index: int
    tree_size: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Which chain a document says that it is of."""

    chain_id: int
    genesis_hash: bytes


@dataclass(frozen=True, slots=True)
class TransactionProof:
    """A transaction is in a block, and the block in the history of a head."""

    origin: Origin
    transaction: bytes
    transaction_hash: bytes
    inclusion: Path
    block: SealedHeader
    head: SealedHeader
    history: Path | None


@dataclass(frozen=True, slots=True)
class HeaderProof:
    """A block is in the history of a head."""

    origin: Origin
    block: SealedHeader
    head: SealedHeader
    history: Path | None


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Two heads belong to one history."""

    origin: Origin
    first: SealedHeader
    second: SealedHeader
    path: tuple[bytes, ...]
    history: Path | None


@dataclass(frozen=True, slots=True)
class StateDocument:
    """A record, or its absence, in the state after a block."""

    origin: Origin
    key: bytes
    """The state key (ledger.records)."""
    record: Mapping[str, Any] | None
    """The record as an object, which must say the same as `record_bytes`."""
    record_bytes: bytes | None
    proof: StateProof
    block: SealedHeader


@dataclass(frozen=True, slots=True)
class EquivocationProof:
    """The authority has sealed two blocks of one height. Our own kind: no node serves it, a light client keeps it."""

    origin: Origin
    first: SealedHeader
    second: SealedHeader


Document = TransactionProof | HeaderProof | ConsistencyProof | StateDocument | EquivocationProof


def read_document(value: object) -> Document:
    """Return the document of a parsed JSON value; raises ProofRefused MALFORMED."""
    found = _object(value, "the document")
    kind = found.get("kind")
    version = found.get("version")
    if type(version) is not int or version != VERSION:  # neither true nor 1.0
        raise _malformed("version", f"{VERSION}")
    if found.get("sealKind") != SEAL_KIND:
        raise _malformed("sealKind", SEAL_KIND)
    match kind:
        case "transaction":
            return _transaction(found)
        case "header":
            return _header(found)
        case "consistency":
            return _consistency(found)
        case "state":
            return _state(found)
        case "equivocation":
            return _equivocation(found)
        case _:
            raise _malformed("kind", "transaction, header, consistency, state or equivocation")


def _transaction(found: dict[str, Any]) -> TransactionProof:
    _expect_members(found, "transaction", "transactionHash", "inclusion", "header", "seal", "head", "history")
    return TransactionProof(
        origin=_origin(found),
        transaction=_bytes(found["transaction"], "transaction"),
        transaction_hash=_bytes(found["transactionHash"], "transactionHash", 32),
        inclusion=_path(found["inclusion"], "inclusion"),
        block=read_sealed(found["header"], found["seal"]),
        head=_sealed_object(found["head"], "head"),
        history=_optional_path(found["history"]),
    )


def _header(found: dict[str, Any]) -> HeaderProof:
    _expect_members(found, "header", "seal", "head", "history")
    return HeaderProof(
        origin=_origin(found),
        block=read_sealed(found["header"], found["seal"]),
        head=_sealed_object(found["head"], "head"),
        history=_optional_path(found["history"]),
    )


def _consistency(found: dict[str, Any]) -> ConsistencyProof:
    _expect_members(found, "first", "second", "path", "history")
    return ConsistencyProof(
        origin=_origin(found),
        first=_sealed_object(found["first"], "first"),
        second=_sealed_object(found["second"], "second"),
        path=_hashes(found["path"], "path"),
        history=_optional_path(found["history"]),
    )


def _state(found: dict[str, Any]) -> StateDocument:
    _expect_members(found, "key", "record", "recordBytes", "proof", "header", "seal")
    record, record_bytes = found["record"], found["recordBytes"]
    if (record is None) != (record_bytes is None):
        raise _malformed("recordBytes", "null exactly where record is null")
    try:
        proof = StateProof.decode(_bytes(found["proof"], "proof"))
    except StateProofError as error:
        raise ProofRefused("MALFORMED", f"proof: {error}") from error
    return StateDocument(
        origin=_origin(found),
        key=_state_key(found["key"]),
        record=None if record is None else _object(record, "record"),
        record_bytes=None if record_bytes is None else _bytes(record_bytes, "recordBytes"),
        proof=proof,
        block=read_sealed(found["header"], found["seal"]),
    )


def _equivocation(found: dict[str, Any]) -> EquivocationProof:
    _expect_members(found, "first", "second")
    return EquivocationProof(
        _origin(found), _sealed_object(found["first"], "first"), _sealed_object(found["second"], "second")
    )


def _state_key(value: object) -> bytes:
    found = _object(value, "key")
    members = frozenset(found)
    if members == {"burned"} and found["burned"] is True:
        return BURNED_KEY
    if members == {"account"}:
        return account_key(_address(found["account"], "key.account"))
    if members == {"cptxHash"}:
        return pool_key(_bytes(found["cptxHash"], "key.cptxHash", 32))
    if members == {"cptxHash", "target"}:
        target = _address(found["target"], "key.target")
        return target_key(_bytes(found["cptxHash"], "key.cptxHash", 32), target)
    raise _malformed("key", "{account}, {cptxHash}, {cptxHash, target} or {burned: true}")


def _origin(found: dict[str, Any]) -> Origin:
    chain_id = found["chainId"]
    if not isinstance(chain_id, str) or not _QUANTITY.match(chain_id) or not 1 <= int(chain_id, 16) <= CHAIN_ID_MAX:
        raise _malformed("chainId", f"a quantity from 0x1 to {CHAIN_ID_MAX:#x}")
    return Origin(int(chain_id, 16), _bytes(found["genesisHash"], "genesisHash", 32))


def _sealed_object(value: object, name: str) -> SealedHeader:
    found = _object(value, name)
    if frozenset(found) != {"header", "seal"}:
        raise _malformed(name, "{header, seal}")
    return read_sealed(found["header"], found["seal"])


def read_sealed(header: object, seal: object) -> SealedHeader:
    """Return the header of 0x-hex and its seal (or None); raises ProofRefused MALFORMED."""
    data = _bytes(header, "header", HEADER_BYTES)
    try:
        decoded = Header.decode(data)
    except MalformedHeader as error:
        raise ProofRefused("MALFORMED", f"header: {error}") from error
    return SealedHeader(decoded, data, None if seal is None else _bytes(seal, "seal", SIGNATURE_BYTES), decoded.hash())


def sealed_json(sealed: SealedHeader) -> dict[str, str | None]:
    """Return {header, seal} as in the documents."""
    return {
        "header": "0x" + sealed.header_bytes.hex(),
        "seal": None if sealed.seal is None else "0x" + sealed.seal.hex(),
    }


def equivocation_json(origin: Origin, first: SealedHeader, second: SealedHeader) -> dict[str, Any]:
    """Return the document of two sealed blocks of one height."""
    return {
        "version": VERSION,
        "kind": "equivocation",
        "sealKind": SEAL_KIND,
        "chainId": hex(origin.chain_id),
        "genesisHash": "0x" + origin.genesis_hash.hex(),
        "first": sealed_json(first),
        "second": sealed_json(second),
    }


def _optional_path(value: object) -> Path | None:
    return None if value is None else _path(value, "history")


def _path(value: object, name: str) -> Path:
    found = _object(value, name)
    if frozenset(found) != {"leafIndex", "treeSize", "path"}:
        raise _malformed(name, "{leafIndex, treeSize, path}")
    index = _quantity(found["leafIndex"], f"{name}.leafIndex")
    return Path(index, _quantity(found["treeSize"], f"{name}.treeSize"), _hashes(found["path"], f"{name}.path"))


def _hashes(value: object, name: str) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > 2 * PATH_MAX:
        raise _malformed(name, "an array of hashes")
    return tuple(_bytes(item, name, 32) for item in value)


def _quantity(value: object, name: str) -> int:
    if not isinstance(value, str) or not _QUANTITY.match(value) or int(value, 16) >= UINT64_LIMIT:
        raise _malformed(name, "a quantity below 2^64")
    return int(value, 16)


def _bytes(value: object, name: str, length: int | None = None) -> bytes:
    if not isinstance(value, str) or not _HEX.match(value) or len(value) % 2:
        raise _malformed(name, "lower-case 0x-hex of even length")
    if length is not None and len(value) != 2 + 2 * length:
        raise _malformed(name, f"lower-case 0x-hex of {length} bytes")
    return bytes.fromhex(value[2:])


def _address(value: object, name: str) -> bytes:
    try:
        return parse_address(value if isinstance(value, str) else "")
    except ValueError as error:
        raise _malformed(name, str(error)) from error


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(name, "an object")
    return value


def _expect_members(found: dict[str, Any], *names: str) -> None:
    expected = {"version", "kind", "sealKind", "chainId", "genesisHash", *names}
    if found.keys() != expected:
        # The names of unknown members are a stranger's: shown in ASCII, whatever they are.
        missing, unknown = sorted(expected - found.keys()), sorted(ascii(name) for name in found.keys() - expected)
        raise ProofRefused(
            "MALFORMED", f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}"
        )


def _malformed(name: str, expected: str) -> ProofRefused:
    return ProofRefused("MALFORMED", f"{name}: expected {expected}")

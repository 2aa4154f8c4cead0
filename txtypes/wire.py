"""The one encoding of transactions: a type byte, ABI words, 65-byte signatures (protocol section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crypto.signature import SIGNATURE_BYTES
from crypto.words import (
    AMOUNT_LIMIT,
    UINT64_LIMIT,
    WORD_BYTES,
    WordOutOfRange,
    decode_address,
    decode_uint,
    encode_address,
    encode_uint,
)
from ledger.errors import Refusal
from ledger.transaction import AnyKind, Part

SIGNATURE = "signature"
"""The `abi` of a part that is a signature."""


def wire_bytes(layout: Sequence[Part]) -> int:
    """Return the exact length of a transaction with this layout."""
    return 1 + sum(SIGNATURE_BYTES if part.abi == SIGNATURE else WORD_BYTES for part in layout)


def decode_fields(raw: bytes, layout: Sequence[Part]) -> list[Any]:
    """Return the values of the fields (bytes and ints) in wire order; raises Refusal MALFORMED."""
    if len(raw) != (length := wire_bytes(layout)):
        raise Refusal("MALFORMED", f"{length} bytes", f"{len(raw)} bytes")
    values, at = [], 1
    for part in layout:
        if part.abi == SIGNATURE:
            at += SIGNATURE_BYTES
            continue
        try:
            values.append(_decode_word(raw[at : at + WORD_BYTES], part.abi))
        except WordOutOfRange as error:
            raise Refusal("MALFORMED", f"{part.name} within the range of its type", error) from error
        at += WORD_BYTES
    return values


def signatures(raw: bytes, layout: Sequence[Part]) -> tuple[bytes, ...]:
    """Return the signatures in the order in which they stand on the wire."""
    found, at = [], 1
    for part in layout:
        if part.abi == SIGNATURE:
            found.append(raw[at : at + SIGNATURE_BYTES])
            at += SIGNATURE_BYTES
        else:
            at += WORD_BYTES
    return tuple(found)


def encode(kind: AnyKind, values: Mapping[str, Any], signed: Mapping[str, bytes]) -> bytes:
    """Return the raw transaction with these field values and signatures, both by their names on the wire.

    Values must be in the range of their types; signatures are taken as they are.
    """
    parts = [bytes([kind.code])]
    for part in kind.layout:
        if part.abi == SIGNATURE:
            parts.append(signed[part.name])
        else:
            parts.append(encode_word(values[part.name], part.abi))
    return b"".join(parts)


def encode_word(value: Any, abi: str) -> bytes:
    """Return one field as the word that is signed and sent."""
    match abi:
        case "address":
            return encode_address(value)
        case "bytes32":
            return bytes(value)
        case _:
            return encode_uint(value)


def _decode_word(word: bytes, abi: str) -> bytes | int:
    match abi:
        case "address":
            return decode_address(word)
        case "bytes32":
            return word
        case "uint64":
            return decode_uint(word, UINT64_LIMIT)
        case _:
            return decode_uint(word, AMOUNT_LIMIT)

"""The one encoding of transactions: a type byte, ABI words, 65-byte signatures (protocol section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

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

SIGNATURE: Final = "signature"
"""The `abi` of a part that is a signature."""


class Wire:
    """Takes transactions of one layout apart; where everything stands is worked out once."""

    __slots__ = ("_fields", "_signatures", "wire_bytes")

    def __init__(self, layout: Sequence[Part]) -> None:
        """Lay the parts behind the type byte, in order."""
        fields: list[tuple[str, int, Callable[[bytes], Any]]] = []
        signatures: list[int] = []
        at = 1
        for part in layout:
            if part.abi == SIGNATURE:
                signatures.append(at)
                at += SIGNATURE_BYTES
            else:
                fields.append((part.name, at, _READERS[part.abi]))
                at += WORD_BYTES
        self._fields, self._signatures = tuple(fields), tuple(signatures)
        self.wire_bytes: Final = at
        """The exact length of a transaction with this layout."""

    def fields(self, raw: bytes) -> list[Any]:
        """Return the values of the fields (bytes and ints) in wire order; raises Refusal MALFORMED."""
        if len(raw) != self.wire_bytes:
            raise Refusal("MALFORMED", f"{self.wire_bytes} bytes", f"{len(raw)} bytes")
        values = []
        for name, at, read in self._fields:
            try:
                values.append(read(raw[at : at + WORD_BYTES]))
            except WordOutOfRange as error:
                raise Refusal("MALFORMED", f"{name} within the range of its type", error) from error
        return values

    def signatures(self, raw: bytes) -> tuple[bytes, ...]:
        """Return the signatures in the order in which they stand on the wire."""
        return tuple([raw[at : at + SIGNATURE_BYTES] for at in self._signatures])


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


def _read_uint64(word: bytes) -> int:
    return decode_uint(word, UINT64_LIMIT)


def _read_amount(word: bytes) -> int:
    return decode_uint(word, AMOUNT_LIMIT)


_READERS: Final[Mapping[str, Callable[[bytes], Any]]] = MappingProxyType(
    {"address": decode_address, "bytes32": bytes, "uint64": _read_uint64, "uint256": _read_amount}
)

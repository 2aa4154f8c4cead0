"""ABI words: 32-byte big-endian values (protocol section 1).

A word that has bits set outside the range of its type is refused, so that everything made of words has exactly one
encoding.
"""

from __future__ import annotations

from typing import Final

WORD_BYTES: Final = 32
AMOUNT_LIMIT: Final = 1 << 128
"""Every amount and balance, in base units, is below this."""
UINT64_LIMIT: Final = 1 << 64
ADDRESS_LIMIT: Final = 1 << 160


class WordOutOfRange(ValueError):
    """A word has bits set outside the range of its type."""


def encode_uint(value: int) -> bytes:
    """Return `value` as one word; raises OverflowError when it is negative or 256 bits are too few."""
    return value.to_bytes(WORD_BYTES, "big")


def encode_address(address: bytes) -> bytes:
    """Return a 20-byte address as one word (left-padded with zeros)."""
    return address.rjust(WORD_BYTES, b"\x00")


def decode_uint(word: bytes, limit: int) -> int:
    """Return the integer in `word`; raises WordOutOfRange unless it is below `limit`."""
    value = int.from_bytes(word, "big")
    if value >= limit:
        raise WordOutOfRange(f"0x{word.hex()}")
    return value


def decode_address(word: bytes) -> bytes:
    """Return the 20-byte address in `word`; raises WordOutOfRange when its upper 12 bytes are not zero."""
    if word[:12] != bytes(12):
        raise WordOutOfRange(f"0x{word.hex()}")
    return word[12:]


def split_words(data: bytes) -> list[bytes]:
    """Cut `data` (a multiple of 32 bytes) into words."""
    return [data[at : at + WORD_BYTES] for at in range(0, len(data), WORD_BYTES)]

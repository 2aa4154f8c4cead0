"""ABI words: one encoding for each value, none outside its range."""

from __future__ import annotations

import pytest

from crypto.words import (
    ADDRESS_LIMIT,
    AMOUNT_LIMIT,
    UINT64_LIMIT,
    WORD_BYTES,
    WordOutOfRange,
    decode_address,
    decode_uint,
    encode_address,
    encode_uint,
    split_words,
)

ADDRESS = bytes(range(0xE0, 0xF4))


def test_limits() -> None:
    assert (WORD_BYTES, AMOUNT_LIMIT, UINT64_LIMIT, ADDRESS_LIMIT) == (32, 2**128, 2**64, 2**160)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "00" * 32), (1, "00" * 31 + "01"), (0x1234, "00" * 30 + "1234"), (2**256 - 1, "ff" * 32)],
)
def test_integers_are_big_endian(value: int, text: str) -> None:
    assert encode_uint(value).hex() == text
    assert decode_uint(bytes.fromhex(text), 2**256) == value


@pytest.mark.parametrize("value", [-1, 2**256])
def test_what_fits_in_no_word_is_not_encoded(value: int) -> None:
    with pytest.raises(OverflowError):
        encode_uint(value)


@pytest.mark.parametrize("limit", [1, 256, UINT64_LIMIT, AMOUNT_LIMIT])
def test_integer_is_below_its_limit(limit: int) -> None:
    assert decode_uint(encode_uint(limit - 1), limit) == limit - 1
    for wrong in (limit, limit + 1, 2**255, 2**256 - 1):
        with pytest.raises(WordOutOfRange, match=encode_uint(wrong).hex()):
            decode_uint(encode_uint(wrong), limit)


def test_address_is_padded_on_the_left() -> None:
    assert encode_address(ADDRESS) == bytes(12) + ADDRESS
    assert decode_address(bytes(12) + ADDRESS) == ADDRESS
    assert decode_address(bytes(32)) == bytes(20)


@pytest.mark.parametrize("at", range(12))
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_address_with_a_bit_in_its_padding(at: int, bit: int) -> None:
    word = bytearray(encode_address(ADDRESS))
    word[at] = bit
    with pytest.raises(WordOutOfRange, match=bytes(word).hex()):
        decode_address(bytes(word))


def test_split_words() -> None:
    words = [bytes([count]) * 32 for count in range(5)]
    assert split_words(b"".join(words)) == words
    assert split_words(b"") == []

"""Blocks: one encoding, nothing more and nothing less is read."""

from __future__ import annotations

import random

import pytest

from crypto.merkle import EMPTY_ROOT
from ledger.block import Block, MalformedBlock, SealedHeader
from tests.model.encoding import merkle_root

from .test_header import HEADER

SEAL = bytes(range(65))
RAWS = (b"\x01" * 194, b"\x02" * 258, b"\x03" * 291)
FULL = Block(HEADER, RAWS, SEAL)


def test_layout_written_out() -> None:
    expected = HEADER.encode() + bytes.fromhex("00000041") + SEAL + bytes.fromhex("00000003")
    for length, raw in zip(("000000c2", "00000102", "00000123"), RAWS, strict=True):
        expected += bytes.fromhex(length) + raw
    assert FULL.encode() == expected


@pytest.mark.parametrize(
    "block",
    [
        FULL,
        Block(HEADER, (), None),
        Block(HEADER, (), SEAL),
        Block(HEADER, RAWS, None),
        Block(HEADER, (b"",), SEAL),
        Block(HEADER, RAWS[:1] * 300, b"\x00" * 300),
    ],
    ids=["full", "empty", "sealed", "unsealed", "empty transaction", "long seal"],
)
def test_round_trip(block: Block) -> None:
    assert Block.decode(block.encode()) == block
    sealed = block.sealed_header
    assert SealedHeader.decode(sealed.encode()) == sealed
    assert sealed.encode() + block.encode_transactions() == block.encode()


def test_every_shorter_byte_string_is_refused() -> None:
    data = FULL.encode()
    for length in range(len(data)):
        with pytest.raises(MalformedBlock):
            Block.decode(data[:length])


@pytest.mark.parametrize("more", [b"\x00", bytes(4), FULL.encode()])
def test_anything_behind_is_refused(more: bytes) -> None:
    with pytest.raises(MalformedBlock, match=f"{len(more)} bytes too many"):
        Block.decode(FULL.encode() + more)


def test_malformed_header_is_a_malformed_block() -> None:
    with pytest.raises(MalformedBlock, match="out of range"):
        Block.decode(b"\x01" + FULL.encode()[1:])


@pytest.mark.parametrize("at", [320, 389])
def test_enormous_counts_end_at_once(at: int) -> None:
    data = FULL.encode()
    with pytest.raises(MalformedBlock, match="more bytes"):
        Block.decode(data[:at] + b"\xff" * 4 + data[at + 4 :])


def test_damaged_bytes_are_refused_or_another_block() -> None:
    data, source = FULL.encode(), random.Random(5)
    for _ in range(500):
        at = source.randrange(len(data))
        damaged = data[:at] + bytes([data[at] ^ 1 << source.randrange(8)]) + data[at + 1 :]
        try:
            block = Block.decode(damaged)
        except MalformedBlock:
            continue
        assert block != FULL
        assert block.encode() == damaged


def test_sealed_changes_the_seal_only() -> None:
    unsealed = Block(HEADER, RAWS, None)
    assert unsealed.sealed(SEAL) == FULL
    assert unsealed.seal is None


def test_body_bytes_and_tx_root() -> None:
    assert FULL.body_bytes() == 194 + 258 + 291
    assert FULL.tx_root() == merkle_root(RAWS)
    assert Block(HEADER, (), None).tx_root() == EMPTY_ROOT
    assert Block(HEADER, (), None).body_bytes() == 0


def test_a_sealed_header_has_no_more_and_no_less() -> None:
    data = FULL.sealed_header.encode()
    for wrong in (data + b"\x00", data[:-1], data[:300], b""):
        with pytest.raises(MalformedBlock):
            SealedHeader.decode(wrong)

"""Headers: ten words, one encoding, the model's hash."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from crypto.hashing import keccak256
from ledger.header import HEADER_BYTES, Header, MalformedHeader
from tests.model import encoding

HEADER = Header(
    chain_id=20487,
    height=5,
    timestamp=1767225600,
    parent_hash=b"\x01" * 32,
    tx_root=b"\x02" * 32,
    tx_count=3,
    receipts_root=b"\x03" * 32,
    state_root=b"\x04" * 32,
    history_root=b"\x05" * 32,
    authority=b"\x06" * 20,
)
NUMBERS = ("chain_id", "height", "timestamp", "tx_count")
HASHES = ("parent_hash", "tx_root", "receipts_root", "state_root", "history_root")
LARGEST = replace(
    HEADER,
    chain_id=2**64 - 1,
    height=2**64 - 1,
    timestamp=2**64 - 1,
    tx_count=2**64 - 1,
    authority=b"\xff" * 20,
)


def test_ten_words_written_out() -> None:
    expected = (
        f"{20487:064x}{5:064x}{1767225600:064x}"
        + "01" * 32
        + "02" * 32
        + f"{3:064x}"
        + "03" * 32
        + "04" * 32
        + "05" * 32
        + "00" * 12
        + "06" * 20
    )
    assert HEADER.encode().hex() == expected
    assert len(HEADER.encode()) == HEADER_BYTES == 320


@pytest.mark.parametrize("header", [HEADER, LARGEST])
def test_round_trip_and_the_models_bytes(header: Header) -> None:
    model: encoding.Header = {
        "chainId": header.chain_id,
        "height": header.height,
        "timestamp": header.timestamp,
        "parentHash": header.parent_hash,
        "txRoot": header.tx_root,
        "txCount": header.tx_count,
        "receiptsRoot": header.receipts_root,
        "stateRoot": header.state_root,
        "historyRoot": header.history_root,
        "authority": header.authority,
    }
    assert Header.decode(header.encode()) == header
    assert header.encode() == encoding.encode_header(model)
    assert header.hash() == encoding.block_hash(model)


def test_hash_is_keccak_of_the_bytes_and_depends_on_every_word() -> None:
    assert HEADER.hash() == keccak256(HEADER.encode())
    assert len(fields(Header)) == 10
    changes: dict[str, Any] = {
        **dict.fromkeys(NUMBERS, 9),
        **dict.fromkeys(HASHES, b"\x99" * 32),
        "authority": b"\x07" * 20,
    }
    changed = [replace(HEADER, **{name: value}) for name, value in changes.items()]
    assert len({header.hash() for header in (HEADER, *changed)}) == 11


@pytest.mark.parametrize("length", [0, 1, 288, 319, 321, 352])
def test_length_is_exact(length: int) -> None:
    with pytest.raises(MalformedHeader, match=f"expected 320 bytes, given {length}"):
        Header.decode((HEADER.encode() * 2)[:length])


@pytest.mark.parametrize("word", [0, 1, 2, 5])
@pytest.mark.parametrize("bit", [64, 65, 128, 255])
def test_numbers_are_uint64(word: int, bit: int) -> None:
    data = HEADER.encode()
    wrong = (1 << bit).to_bytes(32, "big")
    with pytest.raises(MalformedHeader, match=wrong.hex()):
        Header.decode(data[: 32 * word] + wrong + data[32 * word + 32 :])


@pytest.mark.parametrize("bit", [160, 161, 255])
def test_authority_is_an_address(bit: int) -> None:
    with pytest.raises(MalformedHeader, match="out of range"):
        Header.decode(HEADER.encode()[:288] + (1 << bit).to_bytes(32, "big"))


@pytest.mark.parametrize("name", NUMBERS)
def test_number_that_fits_no_word_is_not_encoded(name: str) -> None:
    wrong: dict[str, Any] = {name: -1}
    with pytest.raises(OverflowError):
        replace(HEADER, **wrong).encode()

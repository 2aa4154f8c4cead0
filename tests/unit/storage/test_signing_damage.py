"""A signing record cut, zeroed or flipped at every byte: a torn tail is dropped, damage never is."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from storage import signing_record
from storage.kv import StorageDamaged
from storage.signing_record import MAGIC, Signed


@pytest.fixture
def path(fast_folder: Path) -> Path:
    path = fast_folder / "signing-record"
    path.unlink(missing_ok=True)
    return path


def _last(path: Path) -> Signed | None:
    record = signing_record.open_existing(path)
    record.close()
    return record.last()


HEIGHTS = (3, 4, 9)
PAYLOADS = (b"the block of height three", bytes(40) + b"\x01", b"last block, with a zero at its end\0")


@pytest.fixture
def written(path: Path) -> bytes:
    """The bytes of a record with three entries; opening once more would keep the last only."""
    record = signing_record.create(path)
    for height, payload in zip(HEIGHTS, PAYLOADS, strict=True):
        record.write(height, payload)
    record.close()
    return path.read_bytes()


def _ends(content: bytes) -> list[int]:
    ends = [len(MAGIC)]
    for payload in PAYLOADS:
        ends.append(ends[-1] + 16 + len(payload) + 12)
    assert ends[-1] == len(content)
    return ends


def _expected(ends: list[int], offset: int) -> Signed | None:
    complete = sum(end <= offset for end in ends) - 1
    return Signed(HEIGHTS[complete - 1], PAYLOADS[complete - 1]) if complete else None


def test_cut_at_every_byte_gives_the_last_complete_record(path: Path, written: bytes) -> None:
    ends = _ends(written)
    for offset in range(len(MAGIC), len(written) + 1):
        path.write_bytes(written[:offset])
        assert _last(path) == _expected(ends, offset), offset
        # And it can be continued.
        record = signing_record.open_existing(path)
        record.write(10, b"ten")
        record.close()
        assert _last(path) == (10, b"ten")


def test_cut_inside_the_first_line_is_damage(path: Path, written: bytes) -> None:
    for offset in range(len(MAGIC)):
        path.write_bytes(written[:offset])
        with pytest.raises(StorageDamaged):
            signing_record.open_existing(path)


@pytest.mark.parametrize("more", [0, 1, 4096])
def test_zeros_from_every_byte_give_the_last_complete_record(path: Path, written: bytes, more: int) -> None:
    """Of a record whose end mark alone is zero everything is there, so it counts."""
    ends = _ends(written)
    marks = {offset for end in ends[1:] for offset in range(end - 4, end)}
    for offset in range(len(MAGIC), len(written)):
        path.write_bytes(written[:offset] + bytes(len(written) - offset + more))
        expected = _expected(ends, offset + 4 if offset in marks else offset)
        assert _last(path) == expected, offset


def test_a_flipped_bit_anywhere_never_changes_the_answer_silently(path: Path, written: bytes) -> None:
    ends = _ends(written)
    marks = {offset for end in ends[1:] for offset in range(end - 4, end)}
    for offset in range(len(written)):
        damaged = bytearray(written)
        damaged[offset] ^= 1 << offset % 8
        path.write_bytes(damaged)
        if offset in marks:
            assert _last(path) == (HEIGHTS[-1], PAYLOADS[-1])
            continue
        with pytest.raises(StorageDamaged):
            signing_record.open_existing(path)
        assert path.read_bytes() == damaged


def test_every_bit_of_the_last_record(path: Path, written: bytes) -> None:
    start, end = _ends(written)[-2:]
    for bit in range(start * 8, (end - 4) * 8):
        damaged = bytearray(written)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(StorageDamaged):
            signing_record.open_existing(path)


def test_rubbish_behind_the_last_record_is_damage(path: Path, written: bytes) -> None:
    chance = random.Random(20260105)
    for length in range(16, 80):
        path.write_bytes(written + chance.randbytes(length))
        with pytest.raises(StorageDamaged):
            signing_record.open_existing(path)


@pytest.mark.parametrize("which", [0, 2])
def test_a_record_out_of_order_is_damage(path: Path, written: bytes, which: int) -> None:
    ends = _ends(written)
    path.write_bytes(written + written[ends[which] : ends[which + 1]])
    with pytest.raises(StorageDamaged, match="do not rise"):
        signing_record.open_existing(path)


@pytest.mark.usefixtures("written")
def test_a_torn_rotation_leaves_the_old_file(path: Path) -> None:
    (path.parent / f"{path.name}.new").write_bytes(MAGIC + b"half")
    assert _last(path) == (HEIGHTS[-1], PAYLOADS[-1])

"""The in-memory twins: faults at chosen calls, lost batches, and what a reopened disk shows."""

from __future__ import annotations

from itertools import count

import pytest

from storage.kv import StorageDamaged, StorageFailure, StorageRefused
from storage.memory import Fault, Faults, MemoryDisk, MemoryKeyValue
from storage.memory_signing import MemorySigningFile, MemorySigningRecord

ALL = (b"", b"\xff" * 9)
FULL = StorageFailure("no space left on device")


class Died(BaseException):
    """A simulated death of the process."""


def test_contents_survive_reopening() -> None:
    disk = MemoryDisk()
    store = MemoryKeyValue(disk)
    store.write([(b"a", b"1")])
    with pytest.raises(StorageRefused, match="in use"):
        MemoryKeyValue(disk)
    store.close()
    assert MemoryKeyValue(disk).get(b"a") == b"1"


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        (0, {b"a": b"0", b"b": b"0"}),
        (1, {b"a": b"1", b"b": b"0"}),
        (2, {b"a": b"1"}),
        (None, {b"a": b"1", b"c": b"1"}),
    ],
)
def test_failing_write_keeps_what_the_fault_says_and_kills_the_store(
    kept: int | None, expected: dict[bytes, bytes]
) -> None:
    disk = MemoryDisk()
    store = MemoryKeyValue(disk, Faults(writes={2: Fault(FULL, kept)}))
    store.write([(b"a", b"0"), (b"b", b"0")])
    store.require_alive()
    with pytest.raises(StorageFailure, match="no space"):
        store.write([(b"a", b"1"), (b"b", None), (b"c", b"1")])
    for _ in range(2):
        with pytest.raises(StorageFailure):
            store.require_alive()
        with pytest.raises(StorageFailure):
            store.write([(b"d", b"2")])
    assert store.writes == 2
    store.close()
    assert disk.contents() == expected
    MemoryKeyValue(disk).write([(b"e", b"3")])


def test_a_death_in_the_middle_of_a_write_comes_through() -> None:
    store = MemoryKeyValue(faults=Faults(writes={1: Fault(Died())}))
    with pytest.raises(Died):
        store.write([(b"a", b"1")])


def test_a_fault_for_every_read_until_none_is_left() -> None:
    """The loop that tests above storage run: fault number N = 1, 2, 3 ... and then a clean run."""
    disk = MemoryDisk()
    store = MemoryKeyValue(disk)
    store.write((b"%d" % number, b"v") for number in range(4))
    store.close()
    for number in count(1):
        store = MemoryKeyValue(disk, Faults(reads={number: Fault(StorageDamaged("checksum"))}))
        try:
            store.get(b"1")
            snapshot = store.snapshot()
            snapshot.get(b"absent")
            assert len(list(snapshot.iterate(*ALL))) == 4
            assert len(list(store.iterate(*ALL, reverse=True))) == 4
        except StorageDamaged:
            continue
        finally:
            store.close()
        break
    assert number == store.reads + 1 == 13  # two gets, and two walks of four steps and an end


def test_lost_batches_are_the_last_ones() -> None:
    disk = MemoryDisk(undo_max=3)
    store = MemoryKeyValue(disk)
    store.write([(b"a", b"0"), (b"b", b"0")])
    for number in (b"1", b"2", b"3"):
        store.write([(b"a", number), (b"b", None), (b"b", number), (b"n" + number, b"")])
    snapshot = store.snapshot()
    disk.lose_batches(1)
    assert disk.contents() == {b"a": b"2", b"b": b"2", b"n1": b"", b"n2": b""}
    disk.lose_batches(2)
    assert disk.contents() == {b"a": b"0", b"b": b"0"}
    assert [key for key, _ in store.iterate(*ALL)] == [b"a", b"b"]
    assert snapshot.get(b"a") == b"3"
    with pytest.raises(ValueError, match="0 batches are remembered"):
        disk.lose_batches(1)


def test_damage_changes_one_value() -> None:
    disk = MemoryDisk()
    store = MemoryKeyValue(disk)
    store.write([(b"a", b"0"), (b"b", b"0")])
    before = store.snapshot()
    disk.damage(b"a", b"9")
    disk.damage(b"b", None)
    assert list(store.iterate(*ALL)) == [(b"a", b"9")]
    assert before.get(b"a") == b"0"


def test_views_that_are_let_go_are_forgotten() -> None:
    disk = MemoryDisk()
    store = MemoryKeyValue(disk)
    store.write([(b"a", b"0")])
    list(store.iterate(*ALL))
    store.snapshot()
    closed, held = store.snapshot(), store.snapshot()
    closed.close()
    assert len(disk._moments) == 1
    store.write([(b"a", b"1")])
    assert held.get(b"a") == b"0"


def test_iterator_outlives_the_snapshot_it_came_from() -> None:
    store = MemoryKeyValue()
    store.write([(b"a", b"0"), (b"b", b"0")])
    snapshot = store.snapshot()
    pairs = snapshot.iterate(*ALL)
    snapshot.close()
    store.write([(b"a", None), (b"b", b"1")])
    assert list(pairs) == [(b"a", b"0"), (b"b", b"0")]


@pytest.mark.parametrize(("kept", "last"), [(0, (1, b"one")), (None, (2, b"two"))])
def test_failing_signing_record_is_dead_and_shows_the_fault_after_reopening(
    kept: int | None, last: tuple[int, bytes]
) -> None:
    file = MemorySigningFile()
    record = MemorySigningRecord(file, Faults(writes={2: Fault(FULL, kept)}))
    record.write(1, b"one")
    record.write(1, b"one")
    with pytest.raises(StorageFailure, match="no space"):
        record.write(2, b"two")
    with pytest.raises(StorageFailure):
        record.write(2, b"two")
    with pytest.raises(StorageRefused, match="in use"):
        MemorySigningRecord(file)
    assert (record.writes, record.last()) == (2, (1, b"one"))
    record.close()
    assert MemorySigningRecord(file).last() == last

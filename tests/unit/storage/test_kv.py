"""What every KeyValue must do, run over LevelDB and over its in-memory twin."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING

import pytest

from storage import leveldb
from storage.kv import StorageClosed
from storage.memory import MemoryKeyValue

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from storage.kv import KeyValue, ReadView

ALL = (b"", b"\xff" * 9)


@pytest.fixture(params=["leveldb", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValue]:
    made: KeyValue = leveldb.create(tmp_path / "db") if request.param == "leveldb" else MemoryKeyValue()
    yield made
    made.close()


def _everything(view: ReadView) -> list[tuple[bytes, bytes]]:
    return list(view.iterate(*ALL))


def test_get_returns_what_was_put_and_none_for_the_rest(store: KeyValue) -> None:
    store.write([(b"a", b"1"), (b"", b"empty key"), (b"b", b"")])
    assert store.get(b"a") == b"1"
    assert store.get(b"") == b"empty key"
    assert store.get(b"b") == b""
    assert store.get(b"c") is None


def test_later_entry_of_a_batch_counts(store: KeyValue) -> None:
    store.write([(b"a", b"1"), (b"a", None), (b"b", None), (b"b", b"2"), (b"c", b"3"), (b"c", b"4")])
    assert _everything(store) == [(b"b", b"2"), (b"c", b"4")]


def test_what_is_not_synced_is_seen_all_the_same(store: KeyValue) -> None:
    before = store.snapshot()
    store.write_unsynced([(b"a", b"1"), (b"b", b"2")])
    store.write_unsynced([(b"b", None), (b"c", b"3")])
    assert _everything(store) == _everything(store.snapshot()) == [(b"a", b"1"), (b"c", b"3")]
    assert _everything(before) == []
    store.sync()
    store.sync()
    assert _everything(store) == [(b"a", b"1"), (b"c", b"3")]
    store.close()
    with pytest.raises(StorageClosed):
        store.sync()


def test_deleting_what_is_absent_does_nothing(store: KeyValue) -> None:
    store.write([(b"a", None)])
    store.write([])
    assert _everything(store) == []


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (b"", b"\xff", "abbbcd"),
        (b"b", b"c", "bbb"),
        (b"b", b"b", ""),
        (b"c", b"b", ""),
        (b"aa", b"bb", "b"),
        (b"d", b"e", "d"),
        (b"e", b"f", ""),
        (b"", b"a", ""),
        (b"a", b"d", "abbbc"),
    ],
)
def test_iterate_takes_the_start_and_leaves_the_stop(store: KeyValue, start: bytes, stop: bytes, expected: str) -> None:
    store.write([(key, b"v") for key in (b"b", b"d", b"a", b"bbb", b"c", b"bb")])
    forward = [key for key, _ in store.iterate(start, stop)]
    assert b"".join(key[:1] for key in forward).decode() == expected
    assert forward == sorted(forward)
    assert [key for key, _ in store.iterate(start, stop, reverse=True)] == forward[::-1]


def test_keys_are_ordered_as_unsigned_bytes(store: KeyValue) -> None:
    keys = [bytes([value]) for value in range(255)]
    store.write([(key, key) for key in reversed(keys)])
    assert [key for key, _ in store.iterate(b"", b"\xff")] == keys


def test_snapshot_keeps_its_moment(store: KeyValue) -> None:
    store.write([(b"a", b"1"), (b"b", b"1")])
    before = store.snapshot()
    store.write([(b"a", b"2"), (b"b", None), (b"c", b"2")])
    after = store.snapshot()
    store.write([(b"a", None)])
    assert _everything(before) == [(b"a", b"1"), (b"b", b"1")]
    assert (before.get(b"a"), before.get(b"c")) == (b"1", None)
    assert _everything(after) == [(b"a", b"2"), (b"c", b"2")]
    assert list(after.iterate(*ALL, reverse=True)) == [(b"c", b"2"), (b"a", b"2")]
    assert _everything(store) == [(b"c", b"2")]


def test_iterator_sees_the_moment_of_its_call(store: KeyValue) -> None:
    store.write([(b"a", b"1"), (b"b", b"1")])
    started, not_started = store.iterate(*ALL), store.iterate(*ALL, reverse=True)
    assert next(started) == (b"a", b"1")
    store.write([(b"a", b"2"), (b"b", b"2"), (b"c", b"2")])
    assert list(started) == [(b"b", b"1")]
    assert list(not_started) == [(b"b", b"1"), (b"a", b"1")]


def test_exception_in_the_entries_writes_nothing_and_kills_nothing(store: KeyValue) -> None:
    def entries() -> Iterator[tuple[bytes, bytes | None]]:
        yield b"a", b"1"
        raise KeyError("from the caller")

    with pytest.raises(KeyError):
        store.write(entries())
    assert _everything(store) == []
    store.write([(b"b", b"1")])
    store.require_alive()
    assert _everything(store) == [(b"b", b"1")]


def test_closed_store_reads_and_writes_nothing(store: KeyValue) -> None:
    store.write([(b"a", b"1")])
    snapshot = store.snapshot()
    store.close()
    store.close()
    with pytest.raises(StorageClosed):
        store.get(b"a")
    with pytest.raises(StorageClosed):
        store.iterate(*ALL)
    with pytest.raises(StorageClosed):
        store.snapshot()
    with pytest.raises(StorageClosed):
        store.write([(b"a", b"2")])
    assert snapshot.get(b"a") == b"1"
    snapshot.close()
    snapshot.close()
    with pytest.raises(StorageClosed):
        snapshot.get(b"a")
    with pytest.raises(StorageClosed):
        snapshot.iterate(*ALL)


def test_random_batches_agree_with_a_dictionary(store: KeyValue) -> None:
    chance = random.Random(20260101)
    model: dict[bytes, bytes] = {}
    held: list[tuple[ReadView, dict[bytes, bytes]]] = []
    for step in range(120):
        keys = [bytes([chance.randrange(40)]) for _ in range(chance.randrange(12))]
        batch = [(key, None if chance.random() < 0.4 else b"%d" % step) for key in keys]
        store.write(batch)
        for key, value in batch:
            if value is None:
                model.pop(key, None)
            else:
                model[key] = value
        if step % 10 == 0:
            held.append((store.snapshot(), dict(model)))
        start, stop = bytes([chance.randrange(40)]), bytes([chance.randrange(40)])
        expected = sorted(item for item in model.items() if start <= item[0] < stop)
        assert list(store.iterate(start, stop)) == expected
        assert list(store.iterate(start, stop, reverse=True)) == expected[::-1]
    for snapshot, then in held:
        assert _everything(snapshot) == sorted(then.items())
        snapshot.close()


def test_threads_see_whole_batches_only(store: KeyValue) -> None:
    """A writer raises two keys together; readers of snapshots and iterators never see them apart."""
    store.write([(b"a", b"0"), (b"b", b"0")])
    finished = threading.Event()
    problems: list[object] = []

    def read() -> None:
        while not finished.is_set():
            snapshot = store.snapshot()
            pair = snapshot.get(b"a"), snapshot.get(b"b")
            snapshot.close()
            values = [value for _, value in store.iterate(*ALL)]
            if len({*pair}) != 1 or len({*values}) != 1:
                problems.append((pair, values))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(150):
        store.write([(b"a", b"%d" % number), (b"b", b"%d" % number)])
    finished.set()
    for reader in readers:
        reader.join()
    assert problems == []

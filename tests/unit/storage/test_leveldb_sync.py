"""What of LevelDB survives a power cut: every batch that was synced, from log to log."""

from __future__ import annotations

import errno
import os
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from storage import leveldb
from storage.kv import StorageFailure

if TYPE_CHECKING:
    from pathlib import Path

    from storage.directory import DirectoryLock
    from storage.log_files import LogFiles


def test_what_was_written_is_synced_once(tmp_path: Path) -> None:
    """No test can pull the plug, so this one looks at what LevelDB is asked for."""
    asked: list[object] = []

    class Batch:
        def put(self, key: bytes, value: bytes) -> None:
            asked.append((key, value))

        def write(self) -> None:
            asked.append("write")

        def approximate_size(self) -> int:
            return 14

        def clear(self) -> None:
            asked.append("clear")

    class Database:
        def write_batch(self, **options: bool) -> Batch:
            asked.append(options)
            return Batch()

    class Logs:
        def follow(self) -> None: ...

        def sync(self, _: DirectoryLock) -> None:
            asked.append("sync")

    store = leveldb.create(tmp_path / "db")
    directory = store._handle.directory if store._handle else None
    store._handle = leveldb._Handle(cast("DirectoryLock", directory), Database())
    store._logs = cast("LogFiles", Logs())
    store.write([(b"a", b"1")])
    assert asked == [{"sync": False}, (b"a", b"1"), "write", "clear", "sync"]
    store.write_unsynced([(b"b", b"2")])
    assert asked[5:] == [(b"b", b"2"), "write", "clear"]
    store.sync()
    store.sync()
    assert asked[8:] == ["sync"]


def test_the_bytes_of_a_log_are_synced_before_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with closing(leveldb.create(tmp_path / "db")) as store:
        monkeypatch.setattr(os, "fdatasync", lambda _: asked.append("bytes"))
        monkeypatch.setattr(os, "fsync", lambda _: asked.append("names"))
        store.write([(b"a", b"1")])
    assert asked == ["bytes", "names"]


def test_a_power_cut_takes_what_was_not_synced_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every log is cut where it was synced last; small write buffers make LevelDB go from log to log meanwhile.

    The directory's time tells nothing, as on a filesystem with whole seconds.
    """
    synced: dict[int, int] = {}

    def spy(descriptor: int) -> None:
        status = os.fstat(descriptor)
        synced[status.st_ino] = status.st_size

    monkeypatch.setattr(os, "fdatasync", spy)
    small = replace(leveldb.DEFAULT_SETTINGS, write_buffer_bytes=1 << 16)
    for unsynced in (0, 1, 2, 30):
        path = tmp_path / f"db-{unsynced}"
        store = leveldb.create(path, small)
        for number in range(60 + unsynced):
            store.write_unsynced([(b"%03d" % number, bytes(5_000))])
            os.utime(path, ns=(0, 10**18))
            if number < 60 and number % 3 == 2:
                store.sync()
        store.close()
        for log in path.glob("*.log"):
            os.truncate(log, synced.get(log.stat().st_ino, 0))
        with closing(leveldb.open_existing(path, small).store) as again:
            left = [int(key) for key, _ in again.iterate(b"", b"\xff")]
        assert left == list(range(len(left))), "whatever is lost, nothing behind it is there"
        assert 60 <= len(left) <= 60 + unsynced


def test_what_opening_made_of_a_log_is_there_under_names_that_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LevelDB puts the log into a table, names it in a new manifest, and does not sync that name."""
    path = tmp_path / "db"
    with closing(leveldb.create(path)) as store:
        store.write_unsynced([(b"a", b"1")])
    names: list[set[str]] = []

    def spy(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            names.append({file.name for file in path.iterdir()})

    monkeypatch.setattr(os, "fsync", spy)
    with closing(leveldb.open_existing(path).store) as again:
        assert again.get(b"a") == b"1"
        assert names[-1:] == [{file.name for file in path.iterdir()}]


def test_a_sync_that_fails_is_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(leveldb.create(tmp_path / "db")) as store:
        store.write_unsynced([(b"a", b"1")])
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", broken)
            with pytest.raises(StorageFailure, match="Input/output error"):
                store.sync()
        for again in (store.sync, store.require_alive, partial(store.write_unsynced, [])):
            with pytest.raises(StorageFailure, match="Input/output error"):
                again()

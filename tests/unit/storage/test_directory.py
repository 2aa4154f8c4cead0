"""The directory lock and what it takes for names to be durable."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from storage.directory import DirectoryLock, sync_directory
from storage.kv import StorageRefused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes that were synced, in order."""
    calls: list[int] = []
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        calls.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    return calls


def test_lock_is_exclusive_until_it_is_let_go(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    with pytest.raises(StorageRefused, match="in use"):
        DirectoryLock(tmp_path)
    del lock
    DirectoryLock(tmp_path)


def test_sync_directory_syncs_it(tmp_path: Path, synced: list[int]) -> None:
    sync_directory(tmp_path)
    assert synced == [tmp_path.stat().st_ino]


def test_unchanged_directory_is_synced_once(tmp_path: Path, synced: list[int]) -> None:
    os.utime(tmp_path, ns=(0, 10**18))
    lock = DirectoryLock(tmp_path)
    for _ in range(5):
        lock.sync_if_changed()
    assert len(synced) == 1
    os.utime(tmp_path, ns=(0, 10**18 + 1))
    lock.sync_if_changed()
    assert len(synced) == 2


def test_a_change_of_just_now_is_synced_again(tmp_path: Path, synced: list[int]) -> None:
    """A second change may carry the same time as the first."""
    lock = DirectoryLock(tmp_path)
    (tmp_path / "file").touch()
    lock.sync_if_changed()
    lock.sync_if_changed()
    assert len(synced) == 2


def test_a_change_while_the_disk_is_busy_is_synced_too(
    tmp_path: Path, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may carry the time of the former one, which is long past when the disk is done."""
    changed_ns = 10**18
    os.utime(tmp_path, ns=(0, changed_ns))
    lock = DirectoryLock(tmp_path)
    clock = [changed_ns + 5_000_000]
    monkeypatch.setattr(time, "time_ns", lambda: clock[0])
    fsync = os.fsync

    def slow(descriptor: int) -> None:
        fsync(descriptor)
        clock[0] = changed_ns + 60_000_000

    monkeypatch.setattr(os, "fsync", slow)
    lock.sync_if_changed()
    lock.sync_if_changed()
    lock.sync_if_changed()
    assert len(synced) == 2

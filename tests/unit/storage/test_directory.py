"""The directory lock and what it takes for names to be durable."""

from __future__ import annotations

import os
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


def test_the_names_of_a_locked_directory_are_synced(tmp_path: Path, synced: list[int]) -> None:
    DirectoryLock(tmp_path).sync_names()
    assert synced == [tmp_path.stat().st_ino]

"""Which logs are synced, and that none of them is forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.directory import DirectoryLock
from storage.log_files import LogFiles

LONG_AGO = 10**18


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and directories that were synced, in order."""
    names: list[str] = []

    def spy(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fdatasync", spy)
    monkeypatch.setattr(os, "fsync", spy)
    return names


def make(folder: Path, *numbers: int, changed_ns: int = LONG_AGO) -> None:
    """Make logs, and have the folder changed at this time."""
    for number in numbers:
        (folder / f"{number:06}.log").touch()
    os.utime(folder, ns=(0, changed_ns))


def test_logs_are_synced_from_the_one_on_that_was_the_last(tmp_path: Path, synced: list[str]) -> None:
    lock, logs = DirectoryLock(tmp_path), LogFiles()
    make(tmp_path, 9, 12)
    (tmp_path / "LOG").touch()
    (tmp_path / "notes.log").touch()
    make(tmp_path)
    logs.sync(lock)
    assert synced == ["000009.log", "000012.log", tmp_path.name]
    make(tmp_path, 13, changed_ns=LONG_AGO + 1)
    logs.sync(lock)
    assert synced[3:] == ["000012.log", "000013.log", tmp_path.name]


def test_while_no_name_changes_the_newest_log_alone_is_synced_and_nothing_is_looked_up(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, logs = DirectoryLock(tmp_path), LogFiles()
    make(tmp_path, 3, 5)
    logs.sync(lock)
    synced.clear()
    for name in ("listdir", "open"):
        monkeypatch.delattr(os, name)
    logs.sync(lock)
    logs.sync(lock)
    assert synced == ["000005.log", "000005.log"]


def test_names_that_changed_just_now_may_have_changed_again(tmp_path: Path, synced: list[str]) -> None:
    """A log that came in the same tick of the clock leaves the same time."""
    lock, logs = DirectoryLock(tmp_path), LogFiles()
    make(tmp_path, 3)
    (tmp_path / "000004.log").touch()
    now = tmp_path.stat().st_mtime_ns
    logs.sync(lock)
    make(tmp_path, 5, changed_ns=now)
    logs.sync(lock)
    assert synced == ["000003.log", "000004.log", tmp_path.name, "000004.log", "000005.log", tmp_path.name]


def test_a_log_that_goes_meanwhile_is_no_trouble_unless_it_is_the_last(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, 3, 12)
    lock, logs = DirectoryLock(tmp_path), LogFiles()
    listed = ["000003.log", "000009.log", "000012.log"]
    monkeypatch.setattr(os, "listdir", lambda _: listed)
    logs.sync(lock)
    assert synced == ["000003.log", "000012.log", tmp_path.name]
    listed.append("000013.log")
    make(tmp_path, changed_ns=LONG_AGO + 1)
    with pytest.raises(FileNotFoundError):
        logs.sync(lock)


def test_a_database_without_a_log_is_an_error(tmp_path: Path, synced: list[str]) -> None:
    make(tmp_path, 3)
    lock, logs = DirectoryLock(tmp_path), LogFiles()
    logs.sync(lock)
    (tmp_path / "000003.log").unlink()
    make(tmp_path, changed_ns=LONG_AGO + 1)
    with pytest.raises(FileNotFoundError, match="lost its log"):
        logs.sync(lock)
    assert synced == ["000003.log", tmp_path.name]


def test_after_an_error_everything_is_looked_up_again(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, 3)
    lock, logs = DirectoryLock(tmp_path), LogFiles()
    logs.sync(lock)
    make(tmp_path, 4, changed_ns=LONG_AGO + 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", lambda *_, **__: (tmp_path / "none").stat())
        with pytest.raises(FileNotFoundError):
            logs.sync(lock)
    logs.sync(lock)
    assert synced == ["000003.log", tmp_path.name, "000003.log", "000004.log", tmp_path.name]


def test_one_descriptor_is_held_and_given_back(tmp_path: Path, synced: list[str]) -> None:
    def held() -> list[str]:
        links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
        return [link.readlink().name for link in links if link.is_file() and link.readlink().parent == tmp_path]

    lock, logs = DirectoryLock(tmp_path), LogFiles()
    make(tmp_path, 3, 4)
    logs.sync(lock)
    assert held() == ["000004.log"]
    make(tmp_path, 5, changed_ns=LONG_AGO + 1)
    logs.sync(lock)
    assert held() == ["000005.log"]
    del logs
    assert held() == []
    assert synced

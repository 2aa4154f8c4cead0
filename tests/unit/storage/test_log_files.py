"""Which logs are synced, and that none of them is forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.directory import DirectoryLock
from storage.log_files import LogFiles


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and directories that were synced, in order."""
    names: list[str] = []

    def spy(descriptor: int) -> None:
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    monkeypatch.setattr(os, "fdatasync", spy)
    monkeypatch.setattr(os, "fsync", spy)
    return names


class Logs(LogFiles):
    """Logs in a folder, to which something is written as LevelDB does."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.lock = DirectoryLock(folder)

    def write(self, number: int) -> None:
        with (self.folder / f"{number:06}.log").open("ab") as log:
            log.write(b"something")
        self.follow()

    def sync_all(self) -> None:
        self.sync(self.lock)


def test_logs_are_synced_from_the_one_on_that_was_the_last(tmp_path: Path, synced: list[str]) -> None:
    logs = Logs(tmp_path)
    for name in ("LOG", "notes.log"):
        (tmp_path / name).touch()
    logs.write(9)
    logs.write(12)
    logs.sync_all()
    assert synced == ["000009.log", "000012.log", tmp_path.name]
    logs.write(12)
    logs.write(13)
    logs.sync_all()
    assert synced[3:] == ["000012.log", "000013.log", tmp_path.name]


def test_while_all_is_written_to_one_log_it_alone_is_synced_and_nothing_is_looked_up(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = Logs(tmp_path)
    logs.write(5)
    logs.sync_all()
    synced.clear()
    for name in ("listdir", "open"):
        monkeypatch.delattr(os, name)
    for _ in range(3):
        logs.write(5)
        logs.write(5)
        logs.sync_all()
    assert synced == ["000005.log"] * 3


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize("behind", [1, 2])
def test_a_new_log_is_found_whatever_the_times_of_the_directory_say(
    tmp_path: Path, synced: list[str], before: int, behind: int
) -> None:
    """Some filesystems stamp with whole seconds, or with another machine's clock."""
    logs = Logs(tmp_path)
    for number in (3, 4):
        for _ in range(before):
            logs.write(3)
        for _ in range(behind):
            logs.write(number)
        os.utime(tmp_path, ns=(0, 10**18))
        synced.clear()
        logs.sync_all()
    assert synced == ["000003.log", "000004.log", tmp_path.name]


def test_a_log_that_goes_meanwhile_is_no_trouble_unless_it_is_the_last(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = Logs(tmp_path)
    logs.write(3)
    logs.write(12)
    listed = ["000003.log", "000009.log", "000012.log"]
    monkeypatch.setattr(os, "listdir", lambda _: listed)
    logs.sync_all()
    assert synced == ["000003.log", "000012.log", tmp_path.name]
    logs.write(13)
    (tmp_path / "000013.log").unlink()
    listed.append("000013.log")
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            logs.sync_all()


def test_a_database_without_a_log_is_an_error(tmp_path: Path, synced: list[str]) -> None:
    with pytest.raises(FileNotFoundError, match="lost its log"):
        Logs(tmp_path).sync_all()
    assert synced == []


@pytest.mark.parametrize("broken", ["open", "fdatasync", "fsync"])
def test_after_an_error_everything_is_looked_up_again(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    logs = Logs(tmp_path)
    logs.write(3)
    logs.sync_all()
    logs.write(4)
    with monkeypatch.context() as patched:
        patched.setattr(os, broken, lambda *_, **__: (tmp_path / "none").stat())
        with pytest.raises(FileNotFoundError):
            logs.sync_all()
    synced.clear()
    logs.sync_all()
    assert synced[-2:] == ["000004.log", tmp_path.name]


def test_one_descriptor_is_held_and_given_back(tmp_path: Path, synced: list[str]) -> None:
    def held() -> list[str]:
        links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
        return [link.readlink().name for link in links if link.is_file() and link.readlink().parent == tmp_path]

    logs = Logs(tmp_path)
    logs.write(3)
    logs.write(4)
    logs.sync_all()
    assert held() == ["000004.log"]
    logs.write(5)
    assert held() == [], "so that the disk has its room again when LevelDB deletes it"
    logs.sync_all()
    assert held() == ["000005.log"]
    del logs
    assert held() == []
    assert synced

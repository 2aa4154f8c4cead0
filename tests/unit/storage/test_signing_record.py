"""The signing record: order of heights, locking, rights, syncs, and what a write error or a kill leaves."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage import signing_record
from storage.kv import StorageClosed, StorageDamaged, StorageError, StorageFailure, StorageRefused
from storage.memory_signing import MemorySigningRecord
from storage.signing_record import MAGIC, Signed, SigningConflict, SigningRecord, SigningRecordMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]


def _run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "signing-record"


def _last(path: Path) -> Signed | None:
    record = signing_record.open_existing(path)
    record.close()
    return record.last()


class TestContract:
    """Both the file and its in-memory twin."""

    @pytest.fixture(params=["file", "memory"])
    def record(self, request: pytest.FixtureRequest, path: Path) -> Iterator[SigningRecord | MemorySigningRecord]:
        made = signing_record.create(path) if request.param == "file" else MemorySigningRecord()
        yield made
        made.close()

    def test_new_one_has_no_last(self, record: SigningRecord) -> None:
        assert record.last() is None

    def test_last_is_what_was_written_last(self, record: SigningRecord) -> None:
        record.write(0, b"genesis-like")
        record.write(5, b"")
        assert record.last() == (5, b"")
        record.write(6, b"x")
        assert record.last() == (6, b"x")

    def test_same_again_is_fine(self, record: SigningRecord) -> None:
        record.write(5, b"block")
        record.write(5, b"block")
        assert record.last() == (5, b"block")

    @pytest.mark.parametrize(("height", "payload"), [(5, b"other"), (4, b"block"), (0, b"block"), (5, b"")])
    def test_other_bytes_or_a_lower_height_are_refused(
        self, record: SigningRecord, height: int, payload: bytes
    ) -> None:
        record.write(5, b"block")
        with pytest.raises(SigningConflict):
            record.write(height, payload)
        assert record.last() == (5, b"block")
        record.write(6, b"next")
        assert record.last() == (6, b"next")

    @pytest.mark.parametrize("height", [-1, 1 << 64])
    def test_height_out_of_range(self, record: SigningRecord, height: int) -> None:
        with pytest.raises(ValueError, match="out of range"):
            record.write(height, b"")

    def test_closed_one_writes_nothing(self, record: SigningRecord) -> None:
        record.close()
        record.close()
        with pytest.raises(StorageClosed):
            record.write(1, b"")


class TestMakingAndOpening:
    def test_survives_reopening(self, path: Path) -> None:
        record = signing_record.create(path)
        for height in range(10):
            record.write(height, b"%d" % height * height)
        record.close()
        assert _last(path) == (9, b"9" * 9)
        assert _last(path) == (9, b"9" * 9)

    def test_file_is_the_owners_only_from_its_first_moment_on(self, path: Path) -> None:
        before = os.umask(0)
        try:
            record = signing_record.create(path, rotate_bytes=100)
            modes = {path.stat().st_mode & 0o777}
            for height in range(10):
                record.write(height, bytes(30))
                modes.add(path.stat().st_mode & 0o777)
        finally:
            os.umask(before)
        record.close()
        assert modes == {0o600}

    def test_create_never_replaces(self, path: Path) -> None:
        record = signing_record.create(path)
        record.write(7, b"block")
        with pytest.raises(StorageRefused, match="never replaced"):
            signing_record.create(path)
        record.close()
        assert _last(path) == (7, b"block")

    def test_create_does_not_follow_a_dangling_link(self, path: Path, tmp_path: Path) -> None:
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StorageRefused):
            signing_record.create(path)
        assert not (tmp_path / "elsewhere").exists()

    def test_create_without_a_directory_is_refused(self, path: Path) -> None:
        with pytest.raises(StorageRefused, match="cannot be created"):
            signing_record.create(path / "below")

    def test_missing_is_not_the_same_as_empty(self, path: Path) -> None:
        with pytest.raises(SigningRecordMissing):
            signing_record.open_existing(path)
        path.touch(0o600)
        with pytest.raises(StorageDamaged):
            signing_record.open_existing(path)
        assert path.read_bytes() == b""

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666])
    def test_rights_for_others_are_refused(self, path: Path, mode: int) -> None:
        signing_record.create(path).close()
        path.chmod(mode)
        with pytest.raises(StorageRefused, match="chmod 600"):
            signing_record.open_existing(path)

    def test_link_directory_and_pipe_are_refused(self, path: Path, tmp_path: Path) -> None:
        signing_record.create(path).close()
        (tmp_path / "link").symlink_to(path)
        (tmp_path / "folder").mkdir()
        os.mkfifo(tmp_path / "pipe", 0o600)
        for name in ("link", "folder", "pipe"):
            with pytest.raises(StorageRefused):
                signing_record.open_existing(tmp_path / name)


OPEN_ELSEWHERE = """
import pathlib, sys
from storage import signing_record
try:
    signing_record.open_existing(pathlib.Path(sys.argv[1]))
    print("opened")
except Exception as error:
    print(type(error).__name__, error)
"""


class TestLocking:
    @pytest.mark.parametrize("rotate_bytes", [signing_record.ROTATE_BYTES, 50])
    def test_second_holder_is_refused_also_after_a_rotation(self, path: Path, rotate_bytes: int) -> None:
        record = signing_record.create(path, rotate_bytes=rotate_bytes)
        record.write(1, b"one")
        with pytest.raises(StorageRefused, match="in use"):
            signing_record.open_existing(path)
        answer = _run(OPEN_ELSEWHERE, path).stdout
        assert answer.startswith("StorageRefused")
        assert answer.count("\n") == 1
        record.write(2, b"two")
        record.close()
        assert _run(OPEN_ELSEWHERE, path).stdout == "opened\n"

    def test_file_replaced_between_opening_and_locking_is_refused(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        record = signing_record.create(path)
        lock = fcntl.flock

        def replaced_before(descriptor: int, operation: int) -> None:
            monkeypatch.undo()
            record._replace_file(b"")
            lock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", replaced_before)
        with pytest.raises(StorageRefused, match="replaced just now"):
            signing_record.open_existing(path)
        record.close()


def test_rotation_keeps_the_last_record_only(path: Path) -> None:
    record = signing_record.create(path, rotate_bytes=1000)
    sizes = set()
    for height in range(100):
        record.write(height, bytes(100))
        sizes.add(path.stat().st_size)
    record.write(100, bytes(5000))
    record.write(101, b"small")
    record.close()
    assert 900 < max(sizes) <= 1000
    assert _last(path) == (101, b"small")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


FULL_DISK = """
import pathlib, resource, sys
from storage import signing_record
from storage.kv import StorageFailure

record = signing_record.create(pathlib.Path(sys.argv[1]), rotate_bytes=int(sys.argv[2]))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
acknowledged = failures = 0
for height in range(60):
    try:
        record.write(height, bytes(int(sys.argv[3]) * (height + 1)))
        acknowledged += 1
    except StorageFailure:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # space returns
        failures += 1
        try:
            record.require_alive()
        except StorageFailure:
            continue
        raise SystemExit("alive after an error")
print(acknowledged, failures, record.last().height)
"""


@pytest.mark.parametrize(("rotate_bytes", "step"), [(1 << 20, 30), (1 << 20, 1000), (100, 1000)])
def test_first_write_error_is_the_last_write(path: Path, rotate_bytes: int, step: int) -> None:
    """While appending, and, with the small size, while rotating."""
    done = _run(FULL_DISK, path, rotate_bytes, step)
    assert done.stderr == ""
    acknowledged, failures, last = map(int, done.stdout.split())
    assert 1 < acknowledged < 60
    assert acknowledged + failures == 60
    assert last == acknowledged - 1
    assert _last(path) == (last, bytes(step * (last + 1)))


def test_failed_sync_is_not_retried(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed fsync the kernel calls the pages clean: a second one would succeed for nothing."""
    record = signing_record.create(path)
    record.write(1, b"one")

    def fails(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fails)
        with pytest.raises(StorageFailure, match="Input/output error"):
            record.write(2, b"two")
    with pytest.raises(StorageFailure):
        record.write(2, b"two")
    assert record.last() == (1, b"one")
    record.close()
    # The next process may find the bytes, which only the kernel may hold: it writes them anew.
    inode = path.stat().st_ino
    assert _last(path) == (2, b"two")
    assert path.stat().st_ino != inode


def test_every_step_is_synced_in_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, fdatasync, replace = os.fsync, os.fdatasync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        is_folder = os.fstat(descriptor).st_ino == path.parent.stat().st_ino
        steps.append("folder" if is_folder else "file")
        fsync(descriptor)

    def noted_fdatasync(descriptor: int) -> None:
        steps.append(f"data of {os.fstat(descriptor).st_size} bytes")
        fdatasync(descriptor)

    def noted_replace(source: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "fdatasync", noted_fdatasync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    renewal = ["file", "rename", "folder"]
    record = signing_record.create(path, rotate_bytes=100)
    assert steps == ["file", "folder", *renewal]
    steps.clear()
    record.write(1, b"block")
    assert steps == [f"data of {len(MAGIC) + 33} bytes"]
    steps.clear()
    record.write(2, bytes(100))
    assert steps == renewal
    record.close()


KILLED = """
import os, pathlib, signal, sys
from storage import signing_record
record = signing_record.create(pathlib.Path(sys.argv[1]), rotate_bytes=3000)
for height in range(50):
    record.write(height, b"%d" % height * 100)
    print(height, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing(path: Path) -> None:
    done = _run(KILLED, path)
    assert done.stdout.split()[-1] == "49", done.stderr
    assert _last(path) == (49, b"49" * 100)


def test_refused_opening_leaves_no_lock_behind(path: Path) -> None:
    signing_record.create(path).close()
    good = path.read_bytes()
    path.write_bytes(b"no signing record")
    with pytest.raises(StorageError):
        signing_record.open_existing(path)
    path.write_bytes(good)
    assert _last(path) is None

"""Logs that a power cut or a bad disk left behind: what opens is a synced prefix, or nothing opens.

The database is made by a process that kills itself with SIGKILL, so its log is a live one. Batch n
puts n under `tip` and under twenty keys of its own; the log's length after each batch is known. The log
has several blocks of 32 KiB: plain mode drops what follows damage inside a block only, which leaves a hole.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage import leveldb
from storage.kv import StorageDamaged, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.kv import ReadView

ROOT = Path(__file__).resolve().parents[3]
ALL = (b"", b"\xff" * 9)
BATCHES = 60
NOTHING: dict[bytes, bytes] = {}

MAKE = """
import os, pathlib, signal, sys
from storage import leveldb
path = pathlib.Path(sys.argv[1])
store = leveldb.create(path)
[log] = path.glob("*.log")
for n in range(int(sys.argv[2])):
    store.write([(b"tip", b"%d" % n), *((b"%03d-%02d" % (n, m), b"%03d" % n * 25) for m in range(20))])
    print(log.stat().st_size, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Killed:
    """A database of `BATCHES` batches whose process was killed, and a copy to damage."""

    def __init__(self, folder: Path) -> None:
        self.original = folder / "original"
        command = [sys.executable, "-c", MAKE, str(self.original), str(BATCHES)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == -signal.SIGKILL, done.stderr
        self.ends = [int(line) for line in done.stdout.split()]
        self.db = folder / "copy"
        [log] = self.original.glob("*.log")
        self.log_name = log.name
        self.log = log.read_bytes()
        assert len(self.log) == self.ends[-1]

    def put(self, name: str, content: bytes) -> Path:
        """Restore the copy and replace one of its files."""
        shutil.rmtree(self.db, ignore_errors=True)
        shutil.copytree(self.original, self.db)
        (self.db / name).write_bytes(content)
        return self.db

    def files(self) -> dict[str, bytes]:
        """What recovery depends on: everything but the lock and the library's own diary."""
        return {
            file.name: file.read_bytes() for file in self.db.iterdir() if file.name not in {"LOCK", "LOG", "LOG.old"}
        }

    def batches_before(self, offset: int) -> int:
        return sum(end <= offset for end in self.ends)


@pytest.fixture(scope="module")
def killed(fast_folder: Path) -> Killed:
    return Killed(fast_folder)


def _prefix(batches: int) -> dict[bytes, bytes]:
    contents = {b"%03d-%02d" % (n, m): b"%03d" % n * 25 for n in range(batches) for m in range(20)}
    return contents | ({b"tip": b"%d" % (batches - 1)} if batches else NOTHING)


def _check(view: ReadView) -> None:
    """What a chain store does in `accept`: all that the tip promises is there, and nothing else."""
    tip = view.get(b"tip")
    if dict(view.iterate(*ALL)) != _prefix(0 if tip is None else int(tip) + 1):
        raise StorageDamaged("the chain has a hole")


def _open_and_read(path: Path, accept: Callable[[ReadView], None] | None) -> tuple[dict[bytes, bytes], str | None]:
    store, refused = leveldb.open_existing(path, accept=accept)
    contents = dict(store.iterate(*ALL))
    store.close()
    return contents, refused


def test_a_kill_loses_nothing(killed: Killed) -> None:
    contents, refused = _open_and_read(killed.put(killed.log_name, killed.log), None)
    assert (contents, refused) == (_prefix(BATCHES), None)


def test_a_cut_log_opens_as_exactly_the_synced_prefix(killed: Killed) -> None:
    last_three = range(killed.ends[-4], len(killed.log), 29)
    for offset in [*range(0, killed.ends[-4], 1499), *last_three]:
        path = killed.put(killed.log_name, killed.log[:offset])
        contents, refused = _open_and_read(path, None)
        assert (contents, refused) == (_prefix(killed.batches_before(offset)), None), offset


def test_a_log_of_zeros_from_some_point_opens_when_the_chain_is_whole(killed: Killed) -> None:
    """Paranoid mode alone would keep a healthy node down after a power cut."""
    flagged = 0
    last_three = range(killed.ends[-4], len(killed.log), 67)
    for offset in [*range(1, killed.ends[-4], 4999), *last_three]:
        content = killed.log[:offset] + bytes(len(killed.log) - offset + 500)
        contents, refused = _open_and_read(killed.put(killed.log_name, content), _check)
        assert contents == _prefix(killed.batches_before(offset)), offset
        flagged += refused is not None
        # Afterwards it is an ordinary database again.
        assert _open_and_read(killed.db, None) == (contents, None)
        assert not list(killed.db.parent.glob("*.rehearsal"))
    assert flagged > 30


def test_no_flipped_bit_in_a_log_opens_as_anything_but_a_prefix(killed: Killed) -> None:
    """And a refusal, be it LevelDB's or the chain's, changes nothing, so that it is repeated."""
    chance = random.Random(20260103)
    outcomes = {"refused": 0, "flagged": 0, "opened": 0}
    for _ in range(80):
        offset = chance.randrange(len(killed.log))
        content = bytearray(killed.log)
        content[offset] ^= 1 << chance.randrange(8)
        path = killed.put(killed.log_name, bytes(content))
        before = killed.files()
        try:
            contents, refused = _open_and_read(path, _check)
        except StorageError:
            outcomes["refused"] += 1
            assert killed.files() == before
            with pytest.raises(StorageError):
                leveldb.open_existing(path)
            continue
        outcomes["flagged" if refused else "opened"] += 1
        assert contents == _prefix(int(contents[b"tip"]) + 1 if contents else 0), offset
    assert outcomes["refused"] > 40, outcomes


def test_random_tails_open_as_a_prefix_or_not_at_all(killed: Killed) -> None:
    chance = random.Random(20260104)
    for _ in range(30):
        offset = chance.randrange(killed.ends[-4], len(killed.log))
        content = killed.log[:offset] + chance.randbytes(len(killed.log) - offset)
        try:
            contents, _ = _open_and_read(killed.put(killed.log_name, content), _check)
        except StorageError:
            continue
        assert contents == _prefix(killed.batches_before(offset)), offset


def test_without_a_judge_a_damaged_log_is_refused(killed: Killed) -> None:
    content = bytearray(killed.log)
    content[len(content) // 2] ^= 1
    path = killed.put(killed.log_name, bytes(content))
    before = killed.files()
    with pytest.raises(StorageDamaged, match="is damaged: "):
        leveldb.open_existing(path)
    assert killed.files() == before


def test_what_the_judge_raises_comes_out_and_nothing_is_left(killed: Killed) -> None:
    content = bytearray(killed.log)
    content[len(content) // 2] ^= 1
    path = killed.put(killed.log_name, bytes(content))

    def dies(_: ReadView) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leveldb.open_existing(path, accept=dies)
    assert not list(path.parent.glob("*.rehearsal"))
    with pytest.raises(StorageDamaged, match="hole"):
        leveldb.open_existing(path, accept=_check)


def test_a_deleted_log_is_an_older_database_without_any_sign(killed: Killed) -> None:
    """Paranoid mode too: why the last signed block is recorded outside of the database."""
    path = killed.put(killed.log_name, b"")
    assert _open_and_read(path, None) == (NOTHING, None)
    path = killed.put(killed.log_name, b"")
    (path / killed.log_name).unlink()
    assert _open_and_read(path, None) == (NOTHING, None)


def test_flipped_bits_in_the_manifest_are_noticed_or_harmless(killed: Killed) -> None:
    [manifest] = killed.original.glob("MANIFEST-*")
    content = manifest.read_bytes()
    for offset in range(len(content)):
        damaged = bytearray(content)
        damaged[offset] ^= 1 << offset % 8
        path = killed.put(manifest.name, bytes(damaged))
        try:
            contents, _ = _open_and_read(path, _check)
        except StorageError:
            continue
        assert contents == _prefix(int(contents[b"tip"]) + 1 if contents else 0), offset


def test_rehearsal_copies_where_links_do_not_exist(killed: Killed, monkeypatch: pytest.MonkeyPatch) -> None:
    first = leveldb.open_existing(killed.put(killed.log_name, killed.log)).store  # moves all to a table
    first.write([(b"tip", b"%d" % BATCHES), *((b"%03d-%02d" % (BATCHES, m), b"060" * 25) for m in range(20))])
    first.close()
    [log] = killed.db.glob("*.log")
    log.write_bytes(log.read_bytes()[:-10] + bytes(4000))

    def no_links(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    contents, refused = _open_and_read(killed.db, _check)
    assert contents == _prefix(BATCHES)
    assert refused is not None

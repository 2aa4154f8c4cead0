"""The LevelDB adapter: making, opening, locking, closing under readers, damaged tables, a full disk."""

from __future__ import annotations

import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import plyvel
import pytest

from storage import leveldb
from storage.kv import StorageDamaged, StorageError, StorageRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
ALL = (b"", b"\xff" * 9)


def _run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own; it reads `arguments` from sys.argv[1:]."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


OPEN_ELSEWHERE = """
import pathlib, sys
from storage import leveldb
try:
    leveldb.open_existing(pathlib.Path(sys.argv[1]))
    print("opened")
except Exception as error:
    print(type(error).__name__, error)
"""


class TestMaking:
    def test_contents_are_there_after_reopening(self, tmp_path: Path) -> None:
        store = leveldb.create(tmp_path / "db")
        store.write([(b"a", b"1")])
        store.close()
        opened = leveldb.open_existing(tmp_path / "db")
        assert opened.paranoid_refused is None
        assert list(opened.store.iterate(*ALL)) == [(b"a", b"1")]
        opened.store.close()

    def test_directory_is_the_owners_only(self, tmp_path: Path) -> None:
        (tmp_path / "db").mkdir(mode=0o755)
        leveldb.create(tmp_path / "db").close()
        assert (tmp_path / "db").stat().st_mode & 0o777 == 0o700

    def test_create_refuses_what_is_not_empty(self, tmp_path: Path) -> None:
        (tmp_path / "note").write_text("precious")
        with pytest.raises(StorageRefused, match="is not empty"):
            leveldb.create(tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["note"]

    def test_create_refuses_an_existing_database(self, tmp_path: Path) -> None:
        leveldb.create(tmp_path / "db").close()
        with pytest.raises(StorageRefused, match="is not empty"):
            leveldb.create(tmp_path / "db")

    def test_create_without_a_parent_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(StorageRefused, match="cannot be created"):
            leveldb.create(tmp_path / "missing" / "db")

    def test_names_are_synced_up_to_the_parent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[Path] = []
        monkeypatch.setattr(leveldb, "sync_directory", synced.append)
        leveldb.create(tmp_path / "db").close()
        assert synced == [tmp_path / "db", tmp_path]


class TestOpening:
    @pytest.mark.parametrize("make", [False, True])
    def test_open_never_makes_a_database(self, tmp_path: Path, make: bool) -> None:
        path = tmp_path / "db"
        if make:
            path.mkdir()
        with pytest.raises(StorageRefused, match="holds no database"):
            leveldb.open_existing(path)
        assert path.exists() == make
        assert not make or not any(path.iterdir())

    def test_missing_current_is_damage(self, tmp_path: Path) -> None:
        leveldb.create(tmp_path / "db").close()
        (tmp_path / "db" / "CURRENT").unlink()
        with pytest.raises(StorageDamaged, match="CURRENT is missing"):
            leveldb.open_existing(tmp_path / "db", accept=lambda _: None)
        assert not (tmp_path / "db" / "CURRENT").exists()

    @pytest.mark.parametrize("pattern", ["MANIFEST-*", "*.ldb"])
    def test_missing_file_is_damage_whatever_the_caller_accepts(self, tmp_path: Path, pattern: str) -> None:
        path = tmp_path / "db"
        _tables(path)
        for file in path.glob(pattern):
            file.unlink()
        with pytest.raises(StorageDamaged):
            leveldb.open_existing(path, accept=lambda _: None)

    @pytest.mark.parametrize("content", ["", "garbage", "MANIFEST-999999\n"])
    def test_broken_current_is_damage(self, tmp_path: Path, content: str) -> None:
        leveldb.create(tmp_path / "db").close()
        (tmp_path / "db" / "CURRENT").write_text(content)
        with pytest.raises((StorageDamaged, StorageRefused)):
            leveldb.open_existing(tmp_path / "db", accept=lambda _: None)

    def test_settings_may_change(self, tmp_path: Path) -> None:
        leveldb.create(tmp_path / "db").close()
        small = leveldb.Settings(1 << 16, 1 << 16, 1 << 20, 64, 0)
        store = leveldb.open_existing(tmp_path / "db", small).store
        store.write((b"%04d" % number, bytes(1000)) for number in range(500))
        store.close()
        store = leveldb.open_existing(tmp_path / "db").store
        assert len(list(store.iterate(*ALL))) == 500
        store.close()


class TestLocking:
    def test_second_opening_is_refused_and_the_first_keeps_its_lock(self, tmp_path: Path) -> None:
        """LevelDB alone would drop the lock of a process that tries to open its own database again."""
        path = tmp_path / "db"
        store = leveldb.create(path)
        with pytest.raises(StorageRefused, match="in use"):
            leveldb.open_existing(path)
        assert _run(OPEN_ELSEWHERE, path).stdout.startswith("StorageRefused")
        assert _run(OPEN_ELSEWHERE, path).stdout.count("\n") == 1
        store.write([(b"a", b"1")])
        store.close()
        assert _run(OPEN_ELSEWHERE, path).stdout == "opened\n"

    def test_last_reader_releases_the_directory(self, tmp_path: Path) -> None:
        path = tmp_path / "db"
        store = leveldb.create(path)
        store.write([(b"a", b"1"), (b"b", b"2")])
        snapshot, iterator = store.snapshot(), store.iterate(*ALL)
        assert next(iterator) == (b"a", b"1")
        store.close()
        with pytest.raises(StorageRefused, match="in use"):
            leveldb.open_existing(path)
        assert list(iterator) == [(b"b", b"2")]
        assert snapshot.get(b"b") == b"2"
        snapshot.close()
        leveldb.open_existing(path).store.close()


CLOSE_UNDER_READERS = """
import pathlib, sys, threading, time
from storage import leveldb
from storage.kv import StorageClosed

path = pathlib.Path(sys.argv[1])
store = leveldb.create(path)
for start in range(0, 20000, 1000):
    store.write((b"%08d" % n, bytes(200)) for n in range(start, start + 1000))
problems = []

def read(store):
    try:
        while True:
            view = store.snapshot()
            for n, _ in zip(range(50), view.iterate(b"", b"9")):
                view.get(b"%08d" % (n * 397))
                store.get(b"%08d" % (n * 391))
    except StorageClosed:
        pass
    except BaseException as error:
        problems.append(error)

for _ in range(20):
    readers = [threading.Thread(target=read, args=(store,)) for _ in range(4)]
    for reader in readers:
        reader.start()
    time.sleep(0.01)
    store.close()
    for reader in readers:
        reader.join()
    store = leveldb.open_existing(path).store
print(problems)
"""


def test_closing_under_readers_ends_them_with_one_exception(tmp_path: Path) -> None:
    done = _run(CLOSE_UNDER_READERS, tmp_path / "db")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def _tables(path: Path, count: int = 3000) -> dict[bytes, bytes]:
    """Make a database whose entries are all in tables, and return them."""
    filler = random.Random(20260102)
    contents = {b"%06d" % number: filler.randbytes(number % 90) for number in range(count)}
    store = leveldb.create(path)
    store.write(contents.items())
    store.close()
    raw = plyvel.DB(str(path), bloom_filter_bits=10)
    raw.compact_range()
    raw.close()
    return contents


def test_no_flipped_bit_in_a_table_changes_an_answer(tmp_path: Path) -> None:
    """Data, filter and index blocks and the footer: an answer is right or an exception."""
    path = tmp_path / "db"
    contents = _tables(path)
    [table] = path.glob("*.ldb")
    original = table.read_bytes()
    offsets = sorted({*range(0, len(original), len(original) // 60), *range(len(original) - 60, len(original))})
    noticed = 0
    for offset in offsets:
        damaged = bytearray(original)
        damaged[offset] ^= 1 << offset % 8
        table.unlink()
        table.write_bytes(damaged)
        try:
            store = leveldb.open_existing(path).store
        except StorageDamaged:
            noticed += 1
            continue
        try:
            assert list(store.iterate(*ALL)) == list(contents.items())
            for key in list(contents)[:: len(contents) // 50]:
                assert store.get(key) == contents[key]
                assert store.get(key + b"absent") is None
        except StorageError:  # a damaged offset can make the kernel refuse the read
            noticed += 1
        store.close()
    assert noticed > len(offsets) // 2


def test_damage_at_the_end_of_a_walk_is_not_taken_for_the_end_of_the_data(tmp_path: Path) -> None:
    """plyvel's own iterator ends silently there, which is why it is not used."""
    path = tmp_path / "db"
    contents = _tables(path)
    [table] = path.glob("*.ldb")
    damaged = bytearray(table.read_bytes())
    damaged[damaged.rindex(contents[b"002999"])] ^= 1
    table.write_bytes(damaged)

    raw = plyvel.DB(str(path), paranoid_checks=True)
    silent = list(raw.iterator(verify_checksums=True))
    assert 0 < len(silent) < len(contents)
    raw.close()

    store = leveldb.open_existing(path).store
    for reverse in (False, True):
        with pytest.raises(StorageDamaged, match="damaged"):
            list(store.iterate(*ALL, reverse=reverse))
    store.close()


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("walk", [False, True])
def test_every_kind_of_read_checks_the_checksum(tmp_path: Path, snapshot: bool, walk: bool) -> None:
    """Each in a database of its own: a block that one read took in is not checked by the next."""
    path = tmp_path / "db"
    contents = _tables(path)
    [table] = path.glob("*.ldb")
    damaged = bytearray(table.read_bytes())
    damaged[damaged.index(contents[b"001499"])] ^= 1
    table.write_bytes(damaged)
    store = leveldb.open_existing(path).store
    view = store.snapshot() if snapshot else store
    with pytest.raises(StorageDamaged, match="checksum"):
        _ = list(view.iterate(b"001499", b"0015")) if walk else view.get(b"001499")
    assert view.get(b"000001") == contents[b"000001"]
    view.close()
    store.close()


FULL_DISK = """
import pathlib, resource, sys
from storage import leveldb
from storage.kv import StorageFailure

store = leveldb.create(pathlib.Path(sys.argv[1]))
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, most))
acknowledged = failures = 0
for number in range(100):
    try:
        store.write([(b"n%04d" % number, bytes(1000)), (b"tip", b"%d" % number)])
        store.require_alive()
        acknowledged += 1
    except StorageFailure:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # space returns
        failures += 1
        try:
            store.require_alive()
        except StorageFailure:
            continue
        raise SystemExit("acknowledged after an error")
print(acknowledged, failures, store.get(b"tip").decode())
"""


def test_first_write_error_is_the_last_write(tmp_path: Path) -> None:
    """SIGXFSZ is ignored by Python, so a write beyond the limit fails as on a full disk."""
    path = tmp_path / "db"
    done = _run(FULL_DISK, path)
    assert done.stderr == ""
    acknowledged, failures, tip = map(int, done.stdout.split())
    assert 40 < acknowledged < 60
    assert acknowledged + failures == 100
    assert tip == acknowledged - 1
    store = leveldb.open_existing(path).store
    stored = [key for key, _ in store.iterate(b"n", b"o")]
    assert stored == [b"n%04d" % number for number in range(len(stored))]
    assert len(stored) in (acknowledged, acknowledged + 1)
    assert store.get(b"tip") == b"%d" % (len(stored) - 1)
    store.close()


def test_nothing_of_a_batch_that_failed_comes_with_the_next(tmp_path: Path) -> None:
    def torn() -> Iterator[tuple[bytes, bytes | None]]:
        yield b"lost", b"1"
        raise ValueError("torn")

    with closing(leveldb.create(tmp_path / "db")) as store:
        store.write([(b"a", b"1")])
        with pytest.raises(ValueError, match="torn"):
            store.write(torn())
        store.write([(b"b", b"2"), (b"a", None)])
        store.write([(b"c", b"3")])
        assert list(store.iterate(b"", b"\xff")) == [(b"b", b"2"), (b"c", b"3")]


def test_memory_of_a_very_large_batch_is_given_back(tmp_path: Path) -> None:
    with closing(leveldb.create(tmp_path / "db")) as store:
        store.write([(b"a", bytes(leveldb._BATCH_KEPT_BYTES))])
        given_back = store._batch is None
        store.write([(b"a", b"1")])
        assert given_back
        assert store._batch is not None

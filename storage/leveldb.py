"""LevelDB (through plyvel) behind the KeyValue Protocol, used so that damage is never silent.

What the library does when asked plainly, measured with plyvel 1.5.1, and what is done here:

- Checksums are stored always and checked on request: every read asks. Index and filter blocks,
  and what a compaction reads, are checked in paranoid mode only: every store handed out is
  paranoid, also after a recovery that paranoid mode had refused.
- `plyvel.DB.iterator` looks at the error status only while it stands on an entry: where damage
  ends the walk it stops like at the end of the data, without an error. `raw_iterator` looks after
  each step and is the one used, at 0.37 instead of 0.27 microseconds an entry.
- `plyvel.DB.close` frees the C++ database under calls of other threads. It is never called on a
  store that was handed out; the last reference frees it (see `LevelDb`).
- After a write error (a full disk) the next writes succeed and are lost at the next opening: the
  first write error is the last write.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import plyvel

from .directory import DirectoryLock, sync_directory
from .kv import ReadView, StorageClosed, StorageDamaged, StorageError, StorageFailure, StorageRefused
from .log_files import LogFiles

Pair = tuple[bytes, bytes]
# Raises StorageDamaged if what it is shown is not a complete chain.
Accept = Callable[[ReadView], None]

_MIB: Final = 1 << 20
_BATCH_KEPT_BYTES: Final = 16 * _MIB
"""A batch of more than this, some 10,000 settlements, is given back. Its memory may be twice what is in it."""
_TABLES: Final = frozenset({".ldb", ".sst"})
_NOT_DATA: Final = frozenset({"LOCK", "LOG", "LOG.old"})


@dataclass(frozen=True, slots=True)
class Settings:
    """Memory against speed; none of them changes what is stored, all may differ between runs."""

    block_cache_bytes: int = 32 * _MIB
    # Up to two of these are in memory; a log is replayed from at most that much at a start. Settlements touch pages
    # all over a large state, so every buffer that is full is merged with much of it: the larger, the more seldom.
    write_buffer_bytes: int = 16 * _MIB
    table_file_bytes: int = 8 * _MIB
    open_files_max: int = 512
    # What is read and checked for one entry. Of a read from a table of 4 KiB blocks a quarter was the checksum.
    block_bytes: int = 2 << 10
    # Ten bits a key: one in a hundred reads of an absent key touches a table in vain.
    bloom_bits: int = 10


DEFAULT_SETTINGS: Final = Settings()


class Opened(NamedTuple):
    """An opened store, and the sentence with which paranoid mode had first refused it, if so."""

    store: LevelDb
    paranoid_refused: str | None


class _Handle(NamedTuple):
    """What keeps a database open; a tuple lets go of its last item first, as is right here."""

    directory: DirectoryLock
    database: Any


class LevelDbSnapshot:
    """One moment of a database. It stays readable after the store was closed."""

    __slots__ = ("_cursor", "_get", "_handle")

    def __init__(self, handle: _Handle) -> None:
        moment = handle.database.snapshot()
        self._handle: _Handle | None = handle
        self._get: Callable[[bytes], bytes | None] = partial(moment.get, verify_checksums=True)
        self._cursor: Callable[[], Any] = partial(moment.raw_iterator, verify_checksums=True)

    def get(self, key: bytes) -> bytes | None:
        """See ReadView."""
        try:
            return self._get(key)
        except plyvel.Error as error:
            raise _read_error(error) from error

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """See ReadView."""
        return _walk(self._handle, self._cursor, (start, stop), reverse=reverse)

    def close(self) -> None:
        """See ReadView."""
        self._get = self._cursor = _closed
        self._handle = None


class LevelDb:
    """A LevelDB database as a KeyValue; made by `create` and `open_existing`.

    The C++ database lives as long as any object that reads it, each of which holds a reference:
    `close` lets go of the store's own, so that a read going on in another thread, a snapshot or
    an unfinished iterator ends in its own time, and the last of them releases the directory.
    """

    __slots__ = ("_batch", "_cursor", "_failed", "_get", "_handle", "_logs", "_unsynced", "_writing")

    def __init__(self, handle: _Handle) -> None:
        database = handle.database
        self._handle: _Handle | None = handle
        self._get: Callable[[bytes], bytes | None] = partial(database.get, verify_checksums=True)
        self._cursor: Callable[[], Any] = partial(database.raw_iterator, verify_checksums=True)
        # Without it a write could succeed behind another thread's failing one, and be lost.
        self._writing = threading.Lock()
        # Used again and again: a batch of a block grows to megabytes, and memory that is new for every block is zeroed
        # by the system page by page, which took 15 % of the writer's time.
        self._batch: Any = None
        self._unsynced = False
        self._logs = LogFiles()
        self._failed: str | None = None

    def get(self, key: bytes) -> bytes | None:
        """See ReadView."""
        try:
            return self._get(key)
        except plyvel.Error as error:
            raise _read_error(error) from error

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """See ReadView."""
        return _walk(self._handle, self._cursor, (start, stop), reverse=reverse)

    def write(self, puts_and_deletes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """See KeyValue."""
        self.write_unsynced(puts_and_deletes)
        self.sync()

    def write_unsynced(self, puts_and_deletes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """See KeyValue. One thread writes at a time; others wait."""
        with self._writing:
            self.require_alive()
            handle = self._handle or _closed()
            batch = self._batch or handle.database.write_batch(sync=False)
            # Kept when all has gone well: nothing of a batch that was not written may come into the next.
            self._batch = None
            try:
                for key, value in puts_and_deletes:
                    if value is None:
                        batch.delete(key)
                    else:
                        batch.put(key, value)
                self._unsynced = True
                self._failed = _write(batch)
                self._logs.follow()
                if batch.approximate_size() <= _BATCH_KEPT_BYTES:
                    batch.clear()
                    self._batch = batch
            finally:
                del batch, handle  # a kept traceback must not keep the database open
        self.require_alive()

    def sync(self) -> None:
        """See KeyValue. LevelDB's own way, a synced batch, leaves out the log that it has just gone on from."""
        with self._writing:
            self.require_alive()
            handle = self._handle or _closed()
            if not self._unsynced:
                return
            try:
                self._logs.sync(handle.directory)
            except OSError as error:
                self._failed = str(error)
            self._unsynced = False
            del handle  # a kept traceback must not keep the database open
        self.require_alive()

    def require_alive(self) -> None:
        """See KeyValue."""
        if self._failed is not None:
            raise StorageFailure(f"the database could not be written: {self._failed}")

    def snapshot(self) -> LevelDbSnapshot:
        """See KeyValue."""
        return LevelDbSnapshot(self._handle or _closed())

    def close(self) -> None:
        """See ReadView. Waits for a write that is going on; snapshots stay readable."""
        with self._writing:
            self._get = self._cursor = _closed
            self._batch = None  # first: it holds the database, which must be closed before the directory is released
            self._handle = None
            self._logs = LogFiles()


def create(path: Path, settings: Settings = DEFAULT_SETTINGS) -> LevelDb:
    """Make an empty database in the new or empty directory `path`, for its owner only.

    When it returns, the directory survives a power cut. Raises StorageRefused.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
        if any(path.iterdir()):
            raise StorageRefused(f"{path} is not empty: a new database is never put over anything")
        directory = DirectoryLock(path)
        store = LevelDb(_Handle(directory, _open_database(path, settings, new=True)))
        sync_directory(path)
        sync_directory(path.parent)
    except OSError as error:
        raise StorageRefused(f"{path} cannot be created: {error}") from error
    return store


def open_existing(path: Path, settings: Settings = DEFAULT_SETTINGS, *, accept: Accept | None = None) -> Opened:
    """Open the database in `path`; never makes one, never leaves one that `accept` turned down.

    Paranoid mode refuses any damage in the log, also the zeros that a power cut leaves behind the
    last synced batch on some filesystems, which are harmless. Plain mode drops what it cannot
    read, be it zeros or a synced batch in the middle, and deletes the evidence. Which of the two
    it was, only the chain and the signing record can tell (docs/decisions/0004: a whole chain may
    still have lost its last blocks). So the recovery is first tried on a copy (tables linked, logs
    copied), which `accept` reads and judges; the database itself is recovered only afterwards.

    Raises StorageRefused (missing, locked, no rights), StorageDamaged, and what `accept` raises.
    """
    try:
        directory = _lock_existing(path)
        database, refused = _open_or_recover(path, settings, accept)
        # What was in logs is in a synced table now, under a new manifest; without this a power cut might bring back the
        # old names, and with them logs that were never synced to their end.
        directory.sync_names()
    except OSError as error:
        raise StorageRefused(f"{path} cannot be opened: {error}") from error
    return Opened(LevelDb(_Handle(directory, database)), refused)


def _open_or_recover(path: Path, settings: Settings, accept: Accept | None) -> tuple[Any, str | None]:
    """Return the database in paranoid mode, and how that mode refused it before it was recovered, if so."""
    try:
        return _open_database(path, settings), None
    except StorageDamaged as refusal:
        if accept is None:
            raise
        refused = str(refusal)
    _rehearse(path, settings, accept)
    _recover(path, settings)
    return _open_database(path, settings), refused


def _lock_existing(path: Path) -> DirectoryLock:
    """Lock a directory that looks like a database; LevelDB would make what is missing."""
    if not path.is_dir() or not any(path.iterdir()):
        raise StorageRefused(f"{path} holds no database")
    if not (path / "CURRENT").is_file():
        raise StorageDamaged(f"{path} is not a complete database: its file CURRENT is missing")
    return DirectoryLock(path)


def _rehearse(path: Path, settings: Settings, accept: Accept) -> None:
    """Recover a copy of the database and let `accept` judge it; the original stays as it is.

    LevelDB never writes into a table that its manifest names, so tables can be shared; a broken
    manifest is refused in either mode.
    """
    copy = path.with_name(f"{path.name}.rehearsal")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(mode=0o700)
    try:
        for file in path.iterdir():
            if file.name not in _NOT_DATA:
                _link_or_copy(file, copy / file.name)
        _recover(copy, settings)
        store = LevelDb(_Handle(DirectoryLock(copy), _open_database(copy, settings)))
        try:
            accept(store)
        finally:
            store.close()
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _link_or_copy(source: Path, target: Path) -> None:
    if source.suffix in _TABLES:
        try:
            os.link(source, target)
        except OSError:  # a filesystem without hard links
            pass
        else:
            return
    shutil.copyfile(source, target)


def _recover(path: Path, settings: Settings) -> None:
    """Let plain mode drop what it cannot read, write the rest anew, and close again."""
    _open_database(path, settings, paranoid=False).close()


def _open_database(path: Path, settings: Settings, *, new: bool = False, paranoid: bool = True) -> Any:
    try:
        return plyvel.DB(
            os.fspath(path),
            create_if_missing=new,
            error_if_exists=new,
            paranoid_checks=paranoid,
            lru_cache_size=settings.block_cache_bytes,
            write_buffer_size=settings.write_buffer_bytes,
            max_file_size=settings.table_file_bytes,
            max_open_files=settings.open_files_max,
            block_size=settings.block_bytes,
            bloom_filter_bits=settings.bloom_bits,
            # Hashes and signatures hardly get smaller, and tables that are mapped as they are need no cache of ours.
            compression=None,
        )
    except plyvel.CorruptionError as error:
        raise StorageDamaged(f"{path} is damaged: {_text(error)}") from error
    except plyvel.Error as error:
        raise StorageRefused(f"{path} cannot be opened: {_text(error)}") from error


def _write(batch: Any) -> str | None:
    """Write; return what went wrong, for a raised error would keep the batch alive."""
    try:
        batch.write()
    except plyvel.Error as error:
        return _text(error)
    return None


def _walk(handle: _Handle | None, make_cursor: Callable[[], Any], bounds: Pair, *, reverse: bool) -> Iterator[Pair]:
    """Make the cursor now, so that the moment seen is the call's, and hand out a generator."""
    try:
        cursor = make_cursor()
    except plyvel.Error as error:
        raise _read_error(error) from error
    return (_descend if reverse else _ascend)(cursor, *bounds, handle)


def _ascend(cursor: Any, start: bytes, stop: bytes, _held: _Handle | None) -> Iterator[Pair]:
    try:
        cursor.seek(start)
        while cursor.valid():
            pair = cursor.item()
            if pair[0] >= stop:
                return
            yield pair
            cursor.next()
    except plyvel.Error as error:
        raise _read_error(error) from error
    finally:
        del cursor, _held  # a kept traceback must not keep the database open


def _descend(cursor: Any, start: bytes, stop: bytes, _held: _Handle | None) -> Iterator[Pair]:
    try:
        cursor.seek(stop)
        if cursor.valid():
            cursor.prev()
        else:
            cursor.seek_to_last()
        while cursor.valid():
            pair = cursor.item()
            if pair[0] < start:
                return
            yield pair
            cursor.prev()
    except plyvel.Error as error:
        raise _read_error(error) from error
    finally:
        del cursor, _held


def _closed(*_: object) -> NoReturn:
    raise StorageClosed("the store is closed")


def _read_error(error: Exception) -> StorageError:
    if isinstance(error, plyvel.CorruptionError):
        return StorageDamaged(f"the database is damaged: {_text(error)}")
    return StorageFailure(f"the database could not be read: {_text(error)}")


def _text(error: Exception) -> str:
    """LevelDB's own words, which plyvel hands over as bytes."""
    first = error.args[0] if error.args else ""
    return first.decode(errors="replace") if isinstance(first, bytes) else str(error)

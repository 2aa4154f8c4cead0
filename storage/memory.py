"""The in-memory twin of the database: the same answers, and faults at the calls a test chooses.

Nothing here is random and nothing reads a clock: a simulation draws the faults from its own seed
and hands them in, so that the seed alone reproduces a run. `MemoryDisk` is what survives a crash,
`MemoryKeyValue` is the process that had it open.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from .kv import StorageClosed, StorageFailure, StorageRefused

Pair = tuple[bytes, bytes]
Entry = tuple[bytes, bytes | None]
NO_FAULTS: Final[Mapping[int, Fault]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Fault:
    """One call that goes wrong.

    `error` is raised: StorageDamaged or StorageFailure, or the test's own exception where the
    process is to die at this point. `entries_kept` counts the first entries of a failing batch
    that reach the disk nevertheless: 0 is a batch that is lost, None one that is complete though
    never acknowledged, and what lies between is a torn one. LevelDB never shows a torn batch; a
    chain store must notice it all the same.
    """

    error: BaseException
    entries_kept: int | None = 0


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults by the number of the call, counted from 1: reads and writes apart.

    A `get` is one read, and so is each step of an iterator, the last one that finds nothing too.
    """

    reads: Mapping[int, Fault] = field(default_factory=lambda: NO_FAULTS)
    writes: Mapping[int, Fault] = field(default_factory=lambda: NO_FAULTS)


class _Table:
    """A sorted map; while a view has it pinned, a writer takes a copy instead of changing it."""

    __slots__ = ("keys", "pins", "values")

    def __init__(self, keys: list[bytes], values: dict[bytes, bytes]) -> None:
        self.keys = keys
        self.values = values
        self.pins = 0

    def copy(self) -> _Table:
        return _Table(self.keys.copy(), self.values.copy())

    def put_and_delete(self, entries: Iterable[Entry]) -> None:
        """Apply entries in order: a value puts, None deletes."""
        size = len(self.values)
        was_there: dict[bytes, bool] = {}
        for key, value in entries:
            was_there.setdefault(key, key in self.values)
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
        changed = [key for key, was in was_there.items() if was != (key in self.values)]
        if len(changed) * 16 > size:  # sorting anew beats moving the rest for each key
            self.keys = sorted(self.values)
            return
        for key in changed:
            if key in self.values:
                insort(self.keys, key)
            else:
                del self.keys[bisect_left(self.keys, key)]

    def between(self, start: bytes, stop: bytes) -> range:
        """Positions of the keys with start <= key < stop."""
        return range(bisect_left(self.keys, start), bisect_left(self.keys, stop))


class MemoryDisk:
    """What survives when a process dies; every batch on it was synced.

    `undo_max` batches are remembered for `lose_batches`.
    """

    __slots__ = ("_table", "_undo", "opened")

    def __init__(self, *, undo_max: int = 0) -> None:
        self._table = _Table([], {})
        self._undo: deque[list[Entry]] = deque(maxlen=undo_max)
        self.opened = False

    def lose_batches(self, count: int) -> None:
        """Take back the last `count` batches: a lost log, or a directory restored from a backup.

        Raises ValueError if so many are not remembered.
        """
        if count > len(self._undo):
            raise ValueError(f"{len(self._undo)} batches are remembered, given {count}")
        self._table = self._table.copy()
        for _ in range(count):
            self._table.put_and_delete(self._undo.pop())

    def damage(self, key: bytes, value: bytes | None) -> None:
        """Change one value behind every checksum: what only the chain can notice."""
        self._table = self._table.copy()
        self._table.put_and_delete([(key, value)])

    def read(self, key: bytes) -> bytes | None:
        """The newest value."""
        return self._table.values.get(key)

    def contents(self) -> dict[bytes, bytes]:
        """Everything, for comparisons."""
        return dict(self._table.values)

    def pinned(self) -> _Table:
        """The present table, kept from changes until `pins` is counted down again."""
        self._table.pins += 1
        return self._table

    def apply(self, entries: list[Entry]) -> None:
        """Write a batch."""
        if self._undo.maxlen:
            keys = dict.fromkeys(key for key, _ in entries)
            self._undo.append([(key, self._table.values.get(key)) for key in keys])
        if self._table.pins:
            self._table = self._table.copy()
        self._table.put_and_delete(entries)


class _Session:
    """What a store and its snapshots share: the lock, the faults and the counted calls."""

    __slots__ = ("disk", "faults", "lock", "reads", "writes")

    def __init__(self, disk: MemoryDisk, faults: Faults) -> None:
        self.disk = disk
        self.faults = faults
        self.lock = threading.Lock()
        self.reads = 0
        self.writes = 0

    def count_read(self) -> None:
        with self.lock:
            self.reads += 1
            fault = self.faults.reads.get(self.reads)
        if fault is not None:
            raise fault.error

    def get(self, key: bytes) -> bytes | None:
        self.count_read()
        with self.lock:  # a batch appears at once, not key by key
            return self.disk.read(key)

    def pin(self) -> _Table:
        with self.lock:
            return self.disk.pinned()

    def unpin(self, table: _Table) -> None:
        with self.lock:
            table.pins -= 1


class MemorySnapshot:
    """One moment of a `MemoryKeyValue`."""

    __slots__ = ("_session", "_table")

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._table: _Table | None = session.pin()

    def get(self, key: bytes) -> bytes | None:
        """See ReadView."""
        self._session.count_read()
        if (table := self._table) is None:
            raise StorageClosed("the store is closed")
        return table.values.get(key)

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """See ReadView."""
        with self._session.lock:
            if (table := self._table) is None:
                raise StorageClosed("the store is closed")
            table.pins += 1
        return _walk(self._session, table, table.between(start, stop), reverse=reverse)

    def close(self) -> None:
        """See ReadView."""
        with self._session.lock:
            if self._table is not None:
                self._table.pins -= 1
            self._table = None


class MemoryKeyValue:
    """A KeyValue on a `MemoryDisk`, with faults; the disk can be opened again once it is closed."""

    __slots__ = ("_failed", "_open", "_session", "_writing")

    def __init__(self, disk: MemoryDisk | None = None, faults: Faults | None = None) -> None:
        """Open `disk` (a new one without it); raises StorageRefused while it is open."""
        self._session = _Session(disk or MemoryDisk(), faults or Faults())
        if self._session.disk.opened:
            raise StorageRefused("this disk is in use by another handle")
        self._session.disk.opened = True
        self._open = True
        self._writing = threading.Lock()
        self._failed: str | None = None

    @property
    def reads(self) -> int:
        """How many reads were made, those of snapshots too: the next one has this number + 1."""
        return self._session.reads

    @property
    def writes(self) -> int:
        """How many writes were tried."""
        return self._session.writes

    def get(self, key: bytes) -> bytes | None:
        """See ReadView."""
        self._require_open()
        return self._session.get(key)

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """See ReadView."""
        self._require_open()
        table = self._session.pin()
        return _walk(self._session, table, table.between(start, stop), reverse=reverse)

    def write(self, puts_and_deletes: Iterable[Entry]) -> None:
        """See KeyValue."""
        with self._writing:
            self.require_alive()
            self._require_open()
            entries = list(puts_and_deletes)
            session = self._session
            with session.lock:
                session.writes += 1
                fault = session.faults.writes.get(session.writes)
                kept = len(entries) if fault is None else fault.entries_kept
                session.disk.apply(entries[:kept])
            if fault is not None:
                self._failed = str(fault.error)
                raise fault.error

    def require_alive(self) -> None:
        """See KeyValue."""
        if self._failed is not None:
            raise StorageFailure(f"the database could not be written: {self._failed}")

    def snapshot(self) -> MemorySnapshot:
        """See KeyValue."""
        self._require_open()
        return MemorySnapshot(self._session)

    def close(self) -> None:
        """See ReadView; also what a simulated crash calls, for it loses nothing that was synced."""
        with self._writing:
            if self._open:
                self._open = False
                self._session.disk.opened = False

    def _require_open(self) -> None:
        if not self._open:
            raise StorageClosed("the store is closed")


def _walk(session: _Session, table: _Table, positions: range, *, reverse: bool) -> Iterator[Pair]:
    """Yield the pairs at `positions` of a pinned table and unpin it."""
    try:
        for position in reversed(positions) if reverse else positions:
            session.count_read()
            key = table.keys[position]
            yield key, table.values[key]
        session.count_read()
    finally:
        session.unpin(table)

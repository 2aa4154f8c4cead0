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
from typing import Final, NoReturn
from weakref import WeakSet

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
    """Faults by the number of the call, counted from 1: reads, writes and syncs apart.

    A `get` is one read, and so is each step of an iterator, the last one that finds nothing too.
    """

    reads: Mapping[int, Fault] = field(default_factory=lambda: NO_FAULTS)
    writes: Mapping[int, Fault] = field(default_factory=lambda: NO_FAULTS)
    syncs: Mapping[int, Fault] = field(default_factory=lambda: NO_FAULTS)
    """Of a store; a signing record has none that are not writes."""


class _Moment:
    """What one view must remember to be unchanged: the old value of every key written since."""

    __slots__ = ("__weakref__", "replaced")

    def __init__(self) -> None:
        self.replaced: dict[bytes, bytes | None] = {}


class MemoryDisk:
    """What survives when a process dies, and when the power goes: batches that were not synced may go with it.

    `undo_max` batches are remembered for `lose_batches`. Views are kept up by handing them what a
    write replaces, so that a write costs the same however much is stored.
    """

    __slots__ = ("_keys", "_lock", "_moments", "_undo", "_unsynced", "_values", "opened")

    def __init__(self, *, undo_max: int = 0) -> None:
        self._keys: list[bytes] = []
        self._values: dict[bytes, bytes] = {}
        self._moments: WeakSet[_Moment] = WeakSet()
        self._undo: deque[dict[bytes, bytes | None]] = deque(maxlen=undo_max)
        self._unsynced: list[dict[bytes, bytes | None]] = []
        self._lock = threading.Lock()
        self.opened = False

    def apply(self, entries: Iterable[Entry]) -> None:
        """Write a batch: a value puts, None deletes, a later entry of the same key counts."""
        with self._lock:
            replaced = self._put_and_delete(entries)
            self._undo.append(replaced)
            self._unsynced.append(replaced)

    def sync(self) -> None:
        """Make all batches survive a power cut."""
        with self._lock:
            self._unsynced.clear()

    def cut_power(self) -> int:
        """Lose all that was not synced; return how many batches that were."""
        with self._lock:
            lost = len(self._unsynced)
            while self._unsynced:
                self._put_and_delete(self._unsynced.pop().items())
                if self._undo:
                    self._undo.pop()
            return lost

    def lose_batches(self, count: int) -> None:
        """Take back the last `count` batches: a lost log, or a directory restored from a backup.

        Raises ValueError if so many are not remembered.
        """
        with self._lock:
            if count > len(self._undo):
                raise ValueError(f"{len(self._undo)} batches are remembered, given {count}")
            for _ in range(count):
                self._put_and_delete(self._undo.pop().items())

    def damage(self, key: bytes, value: bytes | None) -> None:
        """Change one value behind every checksum: what only the chain can notice."""
        with self._lock:
            self._put_and_delete([(key, value)])

    def contents(self) -> dict[bytes, bytes]:
        """Everything, for comparisons."""
        return dict(self._values)

    def moment(self) -> _Moment:
        """Return the present as something to read at; it ends when it is no longer referenced."""
        with self._lock:
            moment = _Moment()
            self._moments.add(moment)
            return moment

    def read(self, key: bytes, moment: _Moment | None = None) -> bytes | None:
        """Return a value, at a moment or now."""
        with self._lock:
            if moment is not None and key in moment.replaced:
                return moment.replaced[key]
            return self._values.get(key)

    def keys_between(self, start: bytes, stop: bytes, moment: _Moment) -> list[bytes]:
        """Return the keys with start <= key < stop that there were at a moment, in order."""
        with self._lock:
            keys = self._keys[bisect_left(self._keys, start) : bisect_left(self._keys, stop)]
            then = moment.replaced
            if not then:
                return keys
            kept = [key for key in keys if key not in then]
            kept += [key for key, old in then.items() if old is not None and start <= key < stop]
        kept.sort()
        return kept

    def _put_and_delete(self, entries: Iterable[Entry]) -> dict[bytes, bytes | None]:
        """Apply entries in order and return what they replaced."""
        size = len(self._values)
        replaced: dict[bytes, bytes | None] = {}
        for key, value in entries:
            replaced.setdefault(key, self._values.get(key))
            if value is None:
                self._values.pop(key, None)
            else:
                self._values[key] = value
        for moment in self._moments:
            for key, old in replaced.items():
                moment.replaced.setdefault(key, old)
        came_or_went = [key for key, old in replaced.items() if (old is None) == (key in self._values)]
        if len(came_or_went) * 16 > size:  # sorting anew beats moving the rest for each key
            self._keys = sorted(self._values)
        else:
            for key in came_or_went:
                if key in self._values:
                    insort(self._keys, key)
                else:
                    del self._keys[bisect_left(self._keys, key)]
        return replaced


class _Session:
    """What a store and its snapshots share: the disk, the faults and the counted calls."""

    __slots__ = ("_lock", "disk", "faults", "reads", "syncs", "writes")

    def __init__(self, disk: MemoryDisk, faults: Faults) -> None:
        self.disk = disk
        self.faults = faults
        self._lock = threading.Lock()
        self.reads = 0
        self.writes = 0
        self.syncs = 0

    def count_read(self) -> None:
        with self._lock:
            self.reads += 1
            fault = self.faults.reads.get(self.reads)
        if fault is not None:
            raise fault.error

    def iterate(self, moment: _Moment, bounds: Pair, *, reverse: bool) -> Iterator[Pair]:
        """Find the keys now and hand out a generator over them."""
        keys = self.disk.keys_between(*bounds, moment)
        return self._walk(moment, reversed(keys) if reverse else keys)

    def _walk(self, moment: _Moment, keys: Iterable[bytes]) -> Iterator[Pair]:
        for key in keys:
            self.count_read()
            value = self.disk.read(key, moment)
            if value is not None:
                yield key, value
        self.count_read()


class MemorySnapshot:
    """One moment of a `MemoryKeyValue`."""

    __slots__ = ("_moment", "_session")

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._moment: _Moment | None = session.disk.moment()

    def get(self, key: bytes) -> bytes | None:
        """See ReadView."""
        moment = self._moment or _closed()
        self._session.count_read()
        return self._session.disk.read(key, moment)

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """See ReadView."""
        return self._session.iterate(self._moment or _closed(), (start, stop), reverse=reverse)

    def close(self) -> None:
        """See ReadView."""
        self._moment = None


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

    @property
    def syncs(self) -> int:
        """How many syncs were tried, those of `write` too."""
        return self._session.syncs

    def get(self, key: bytes) -> bytes | None:
        """See ReadView."""
        self._require_open()
        self._session.count_read()
        return self._session.disk.read(key)

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[Pair]:
        """See ReadView."""
        self._require_open()
        session = self._session
        return session.iterate(session.disk.moment(), (start, stop), reverse=reverse)

    def write(self, puts_and_deletes: Iterable[Entry]) -> None:
        """See KeyValue."""
        self.write_unsynced(puts_and_deletes)
        self.sync()

    def write_unsynced(self, puts_and_deletes: Iterable[Entry]) -> None:
        """See KeyValue."""
        with self._writing:
            self.require_alive()
            self._require_open()
            entries = list(puts_and_deletes)
            session = self._session
            session.writes += 1
            fault = session.faults.writes.get(session.writes)
            kept = len(entries) if fault is None else fault.entries_kept
            session.disk.apply(entries[:kept])
            if fault is not None:
                self._failed = str(fault.error)
                raise fault.error

    def sync(self) -> None:
        """See KeyValue."""
        with self._writing:
            self.require_alive()
            self._require_open()
            session = self._session
            session.syncs += 1
            fault = session.faults.syncs.get(session.syncs)
            if fault is not None:
                self._failed = str(fault.error)
                raise fault.error
            session.disk.sync()

    def require_alive(self) -> None:
        """See KeyValue."""
        if self._failed is not None:
            raise StorageFailure(f"the database could not be written: {self._failed}")

    def snapshot(self) -> MemorySnapshot:
        """See KeyValue."""
        self._require_open()
        return MemorySnapshot(self._session)

    def close(self) -> None:
        """See ReadView; also what a simulated crash calls, for it loses nothing that was written."""
        with self._writing:
            if self._open:
                self._open = False
                self._session.disk.opened = False

    def _require_open(self) -> None:
        if not self._open:
            _closed()


def _closed() -> NoReturn:
    raise StorageClosed("the store is closed")

"""The seam between what is stored and where: seven verbs over bytes, and the four ways they fail.

Whoever stores blocks and state knows only these Protocols, so that everything above them also
runs on the in-memory twin (storage/memory.py), with faults put in at chosen calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol


class StorageError(Exception):
    """Something about the disk; the text is one sentence for the operator."""


class StorageRefused(StorageError):
    """It cannot be opened or created as asked; nothing was changed (locked, missing, exists)."""


class StorageDamaged(StorageError):
    """What is on the disk is not what was written there. Stop; never repair in place."""


class StorageFailure(StorageError):
    """The disk refused a read or a write. Stop: nothing may be acknowledged any more."""


class StorageClosed(StorageError):
    """The store was closed while, or before, it was used: ordinary during a shutdown."""


class ReadView(Protocol):
    """Everything at one moment. Safe to share between threads."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value under `key`, or None; raises StorageDamaged or StorageFailure."""
        ...

    def iterate(self, start: bytes, stop: bytes, *, reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) with start <= key < stop in the order of the keys' bytes.

        What is seen is the moment of the call, whatever is written while iterating. One iterator
        belongs to one thread. Raises as `get` does, also in the middle: a short result is never
        the sign of damage.
        """
        ...

    def close(self) -> None:
        """Let go of what is held open; a second call does nothing; later reads: StorageClosed."""
        ...


class KeyValue(ReadView, Protocol):
    """The newest moment of a store, and the way to make a newer one."""

    def write(self, puts_and_deletes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put (key, value) and delete (key, None) as one batch: all or nothing, and synced.

        When it returns the batch survives a power cut, with all that was written before it. Of two
        entries with one key the later one counts. When it raises StorageFailure the batch may or
        may not be there after the next opening, and the store is dead: every later write raises as
        well, because LevelDB would acknowledge and then lose whatever follows a record that a full
        disk cut short. An exception out of the iterable itself writes nothing and leaves the store
        alive.
        """
        ...

    def write_unsynced(self, puts_and_deletes: Iterable[tuple[bytes, bytes | None]]) -> None:
        """The same, but not synced: when it returns the batch is seen and survives the end of the process.

        A power cut may take it back as long as `sync` has not returned: whole, with all batches
        behind it.
        """
        ...

    def sync(self) -> None:
        """Return when all that was written survives a power cut; raises StorageFailure as `write` does."""
        ...

    def require_alive(self) -> None:
        """Raise what the first failed write raised; call before anything is acknowledged."""
        ...

    def snapshot(self) -> ReadView:
        """Return the present moment, untouched by later writes; close it, for it holds space."""
        ...

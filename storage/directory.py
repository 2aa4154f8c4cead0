"""Small steps on directories that durability needs and the standard library does not name."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from .kv import StorageRefused

# Linux stamps files with the tick of its clock, up to 10 ms long: two changes inside one tick
# carry one time, so an equal time proves nothing until it is older than that.
_CLOCK_TICK_NS: Final = 20_000_000
NO_CHANGE: Final = -1
"""The time of no change."""


def settled(changed_ns: int) -> int:
    """Return the time of a change, or NO_CHANGE while another one may still get the same."""
    return changed_ns if time.time_ns() - changed_ns > _CLOCK_TICK_NS else NO_CHANGE


def sync_directory(path: Path) -> None:
    """Make the names inside `path` durable: a synced file whose name is lost is lost."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirectoryLock:
    """An exclusive lock on a directory, held until the last reference to it is gone.

    LevelDB locks as well, with a POSIX record lock, which has a hole: a second opening inside the
    process that holds it is refused, but closes its descriptor, and closing any descriptor of a
    file drops all of the process's record locks on it. Afterwards a second process may open the
    live database. This lock (flock on the directory itself) has no such hole and is taken first.
    """

    __slots__ = ("_synced_ns", "descriptor")

    def __init__(self, path: Path) -> None:
        """Lock the directory `path`; raises StorageRefused if another holder exists."""
        self._synced_ns = NO_CHANGE
        self.descriptor = -1
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StorageRefused(f"{path} is in use by another process or handle") from error
        self.descriptor = descriptor

    def sync_if_changed(self) -> None:
        """Make the names in the directory durable, unless they were synced and did not change.

        LevelDB syncs the bytes of a new log file but not its name. Raises OSError.
        """
        changed_ns = self.changed_ns()
        if changed_ns == self._synced_ns:
            return
        # Asked for before: what changes while the disk is busy may still get the same time.
        settled_ns = settled(changed_ns)
        os.fsync(self.descriptor)
        self._synced_ns = settled_ns

    def changed_ns(self) -> int:
        """Return when names in the directory changed last (Unix nanoseconds, by the tick)."""
        return os.fstat(self.descriptor).st_mtime_ns

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

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
_LOG: Final = ".log"


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

    __slots__ = ("_descriptor", "_synced_ns")

    def __init__(self, path: Path) -> None:
        """Lock the directory `path`; raises StorageRefused if another holder exists."""
        self._synced_ns = 0
        self._descriptor = -1
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StorageRefused(f"{path} is in use by another process or handle") from error
        self._descriptor = descriptor

    def sync_if_changed(self) -> None:
        """Make the names in the directory durable, unless they were synced and did not change.

        LevelDB syncs the bytes of a new log file but not its name. Raises OSError.
        """
        changed_ns = os.fstat(self._descriptor).st_mtime_ns
        if changed_ns == self._synced_ns:
            return
        os.fsync(self._descriptor)
        settled = time.time_ns() - changed_ns > _CLOCK_TICK_NS
        self._synced_ns = changed_ns if settled else 0

    def sync_logs(self, first: int) -> int:
        """Make the bytes of the files NUMBER.log from `first` on durable, and all names; return the highest NUMBER.

        One that goes meanwhile, and is not the last, is no longer needed: what was in it is in a synced table.
        Raises OSError.
        """
        names = os.listdir(self._descriptor)  # noqa: PTH208 - of the very directory that is locked
        stems = [name.removesuffix(_LOG) for name in names if name.endswith(_LOG)]
        logs = {int(stem): stem + _LOG for stem in stems if stem.isdecimal()}
        last = max(logs, default=first)
        for number in sorted(logs):
            if number >= first:
                self._sync_file(logs[number], may_be_gone=number != last)
        self.sync_if_changed()
        return last

    def _sync_file(self, name: str, *, may_be_gone: bool) -> None:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._descriptor)
        except FileNotFoundError:
            if may_be_gone:
                return
            raise
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def __del__(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

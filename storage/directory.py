"""Small steps on directories that durability needs and the standard library does not name."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from .kv import StorageRefused


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

    __slots__ = ("descriptor",)

    def __init__(self, path: Path) -> None:
        """Lock the directory `path`; raises StorageRefused if another holder exists."""
        self.descriptor = -1
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise StorageRefused(f"{path} is in use: a node, or another command, is running on it") from error
        self.descriptor = descriptor

    def sync_names(self) -> None:
        """Make the names in the directory durable; raises OSError."""
        os.fsync(self.descriptor)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

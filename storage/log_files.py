"""LevelDB's logs, synced by us: a synced batch of its own leaves out the log that it has just gone on from."""

from __future__ import annotations

import errno
import os
from typing import Final

from .directory import DirectoryLock

_SUFFIX: Final = ".log"
_NONE: Final = -1


class LogFiles:
    """The files NUMBER.log of one database, of which the newest is kept open. One thread uses it at a time.

    LevelDB appends every write to its newest log before it returns, and never goes back to an older one. So a write
    after which the log that is kept has not grown is in another. (Times of the directory would not tell: some
    filesystems have whole seconds.)
    """

    __slots__ = ("_first", "_newest", "_size")

    def __init__(self) -> None:
        """Begin without knowing any."""
        self._first = 0
        """All logs with a lower number were synced to their end, or are no longer needed."""
        self._newest = _NONE
        """Descriptor of the newest log."""
        self._size = 0
        """Its bytes after the last write."""

    def follow(self) -> None:
        """Take note of a write that is done."""
        if self._newest != _NONE:
            size = os.fstat(self._newest).st_size
            if size <= self._size:
                self._let_go()
            self._size = size

    def sync(self, directory: DirectoryLock) -> None:
        """Make all that was written to logs in `directory` durable, their names as well; raises OSError.

        Other names are LevelDB's to sync: it does before a manifest mentions them.
        """
        try:
            if self._newest != _NONE:
                os.fdatasync(self._newest)
            else:
                self._sync_all(directory.descriptor)
                directory.sync_names()
        except OSError:
            self._let_go()
            raise

    def _sync_all(self, directory: int) -> None:
        """Sync every log from the first on that may need it, and keep the last.

        Another one that goes meanwhile is no longer needed: what was in it is in a synced table.
        """
        names = os.listdir(directory)
        stems = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]
        logs = {int(stem): stem + _SUFFIX for stem in stems if stem.isdecimal()}
        if not logs:
            raise FileNotFoundError(errno.ENOENT, "the database has lost its log")
        last = max(logs)
        for number in sorted(logs):
            if number >= self._first:
                self._sync_file(logs[number], directory, may_be_gone=number != last)
        self._first = last

    def _sync_file(self, name: str, directory: int, *, may_be_gone: bool) -> None:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        except FileNotFoundError:
            if may_be_gone:
                return
            raise
        self._let_go()
        self._newest = descriptor
        os.fdatasync(descriptor)
        self._size = os.fstat(descriptor).st_size

    def _let_go(self) -> None:
        if self._newest != _NONE:
            os.close(self._newest)
            self._newest = _NONE

    def __del__(self) -> None:
        self._let_go()

"""The in-memory twin of the signing record, with faults at the writes a test chooses."""

from __future__ import annotations

import threading

from .kv import StorageClosed, StorageFailure, StorageRefused
from .memory import Faults
from .signing_record import Signed, checked, repeats


class MemorySigningFile:
    """What survives when a process dies: the last record."""

    __slots__ = ("last", "opened")

    def __init__(self) -> None:
        self.last: Signed | None = None
        self.opened = False


class MemorySigningRecord:
    """A SigningRecord on a `MemorySigningFile`.

    Of a failing write nothing is kept (a torn record is dropped at the next opening), or, where
    the fault's `entries_kept` is None, the whole record, which was never acknowledged then.
    """

    __slots__ = ("_failed", "_faults", "_file", "_last", "_lock", "_open", "writes")

    def __init__(self, file: MemorySigningFile | None = None, faults: Faults | None = None) -> None:
        """Open `file` (a new one without it); raises StorageRefused while it is open."""
        self._file = file or MemorySigningFile()
        if self._file.opened:
            raise StorageRefused("this signing record is in use by another handle")
        self._file.opened = True
        self._open = True
        self._last = self._file.last
        self._faults = faults or Faults()
        self._lock = threading.Lock()
        self._failed: str | None = None
        self.writes = 0

    def last(self) -> Signed | None:
        """See SigningRecord."""
        return self._last

    def write(self, height: int, payload: bytes) -> None:
        """See SigningRecord. A repetition is no write and is not counted."""
        signed = checked(height, payload)
        with self._lock:
            self.require_alive()
            if not self._open:
                raise StorageClosed("the signing record is closed")
            if repeats(self._last, signed):
                return
            self.writes += 1
            fault = self._faults.writes.get(self.writes)
            if fault is None or fault.entries_kept is None:
                self._file.last = signed
            if fault is not None:
                self._failed = str(fault.error)
                raise fault.error
            self._last = signed

    def require_alive(self) -> None:
        """See SigningRecord."""
        if self._failed is not None:
            raise StorageFailure(f"the signing record could not be written: {self._failed}")

    def close(self) -> None:
        """See SigningRecord; also what a simulated crash calls."""
        with self._lock:
            if self._open:
                self._open = False
                self._file.opened = False

"""Which chunks were paid for and on their way: after kill -9 the same peers are asked for them again, for nothing.

A file of fixed slots, written without waiting for the disk: what it says is a hint, and money does not depend on it.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_SLOT = struct.Struct(">20sQ")


class UnderWay:
    """Slots of (target, chunk)."""

    def __init__(self, path: Path) -> None:
        """Read what was on its way, and begin anew."""
        data = path.read_bytes() if path.exists() else b""
        whole = data[: len(data) - len(data) % _SLOT.size]
        self.before: dict[bytes, list[int]] = {}
        """Target -> chunks that it had been paid for and that had not arrived."""
        for target, index in _SLOT.iter_unpack(whole):
            if target != bytes(20):
                self.before.setdefault(target, []).append(index)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._slots: dict[tuple[bytes, int], int] = {}
        self._free: list[int] = []
        for target, indices in self.before.items():
            for index in indices:
                self.begin(target, index)

    def begin(self, target: bytes, index: int) -> None:
        """Note a chunk before it is paid for."""
        if (target, index) not in self._slots:
            slot = self._free.pop() if self._free else len(self._slots)
            self._slots[target, index] = slot
            os.pwrite(self._file, _SLOT.pack(target, index), slot * _SLOT.size)

    def end(self, target: bytes, index: int) -> None:
        """Forget a chunk that is in the store, or will not come."""
        slot = self._slots.pop((target, index), None)
        if slot is not None:
            os.pwrite(self._file, bytes(_SLOT.size), slot * _SLOT.size)
            self._free.append(slot)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

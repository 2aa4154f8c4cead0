"""A bounded memory of what was read and written lately in front of a store.

Two generations: what is not asked for while the younger one fills is forgotten with the older one. That keeps what is
used, and costs one look-up in a dictionary where a list of uses would cost several.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

UNKNOWN: Final = bytes.fromhex("756e6b6e6f776e")
"""Stands for what is not remembered; told by identity."""
ENTRY_BYTES: Final = 150
"""What an entry takes besides its key and value."""


class Recent:
    """Key -> value, None for what is known to be absent. Another thread may look up while one writes."""

    __slots__ = ("_bytes", "_bytes_max", "_older", "_recent")

    def __init__(self, bytes_max: int) -> None:
        """Begin empty; at most `bytes_max` bytes are held, the two generations together."""
        self._bytes_max = bytes_max // 2
        self._bytes = 0
        self._recent: dict[bytes, bytes | None] = {}
        self._older: dict[bytes, bytes | None] = {}

    def find(self, key: bytes) -> bytes | None:
        """Return the value that is remembered, UNKNOWN (that very object) where nothing is."""
        found = self._recent.get(key, UNKNOWN)
        if found is UNKNOWN:
            found = self._older.get(key, UNKNOWN)
            if found is not UNKNOWN:
                self.keep(key, found)
        return found

    def keep(self, key: bytes, value: bytes | None) -> None:
        """Remember a value."""
        if self._bytes >= self._bytes_max:
            self._older, self._recent, self._bytes = self._recent, {}, 0
        self._recent[key] = value
        self._bytes += len(key) + len(value or b"") + ENTRY_BYTES

    def keep_all(self, values: Mapping[bytes, bytes | None]) -> None:
        """Remember values, newer than what is remembered under their keys."""
        for key, value in values.items():
            self.keep(key, value)

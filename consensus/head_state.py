"""The state after the head, with what was read or written lately in memory: admission, building and following the
head look at the same few records.

The chain stages a newer state when a block is durable; `advance` takes it over. In between readers see the former one,
whole. Whoever shares a HeadState between threads calls `advance` on the thread that judges, while no block is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ledger.state import StateReader

ENTRIES_DEFAULT: Final = 60_000
"""About 20 MB; twice as many are held at most."""
_UNKNOWN: Final = b"?"


class HeadState:
    """A StateReader that moves with the head; bounded by a number of records."""

    __slots__ = ("_entries_max", "_older", "_recent", "_staged", "_state")

    def __init__(self, state: StateReader, entries_max: int = ENTRIES_DEFAULT) -> None:
        """Begin at a committed state."""
        self._state = state
        self._entries_max = entries_max
        # Two generations: what is not asked for while the younger one fills is forgotten with the older one.
        self._recent: dict[bytes, bytes | None] = {}
        self._older: dict[bytes, bytes | None] = {}
        self._staged: tuple[StateReader, Mapping[bytes, bytes | None]] | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the encoded record under a state key."""
        found = self._recent.get(key, _UNKNOWN)
        if found is _UNKNOWN:
            found = self._older.get(key, _UNKNOWN)
            if found is _UNKNOWN:
                found = self._state.get(key)
            self._keep(key, found)
        return found

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        """Return open pools with expiresAt <= height in the order (expiresAt, id), at most `limit`."""
        return self._state.due_pools(height, limit)

    def stage(self, state: StateReader, changes: Mapping[bytes, bytes | None]) -> None:
        """Have `state`, which differs from the present one by `changes`, ready for `advance`."""
        self.advance()
        self._staged = state, changes

    def advance(self) -> None:
        """Go on to the staged state, if there is one."""
        if self._staged is not None:
            self._state, changes = self._staged
            self._staged = None
            for key, record in changes.items():
                self._keep(key, record)

    def _keep(self, key: bytes, record: bytes | None) -> None:
        if len(self._recent) >= self._entries_max:
            self._older, self._recent = self._recent, {}
        self._recent[key] = record

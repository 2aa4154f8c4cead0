"""The state after the head, with what was read or written lately in memory: admission, building and following the
head look at the same few records.

The chain stages a newer state when a block is durable; `advance` takes it over. In between readers see the former one,
whole. Whoever shares a HeadState between threads calls `advance` on the thread that judges, while no block is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ledger.recent import UNKNOWN, Recent
from ledger.state import StateReader

BYTES_DEFAULT: Final = 24 << 20
"""Some 100,000 records."""


class HeadState:
    """A StateReader that moves with the head; what it remembers is bounded in bytes."""

    __slots__ = ("_recent", "_staged", "_state")

    def __init__(self, state: StateReader, bytes_max: int = BYTES_DEFAULT) -> None:
        """Begin at a committed state."""
        self._state = state
        self._recent = Recent(bytes_max)
        self._staged: tuple[StateReader, Mapping[bytes, bytes | None]] | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the encoded record under a state key."""
        found = self._recent.find(key)
        if found is UNKNOWN:
            found = self._state.get(key)
            self._recent.keep(key, found)
        return found

    def read_ahead(self, keys: Iterable[bytes]) -> None:
        """Look up what will be asked for soon: sooner done in ascending order, in which stores have the keys."""
        for key in keys:
            self.get(key)

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
            self._recent.keep_all(changes)

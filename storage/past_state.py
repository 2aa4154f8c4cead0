"""The state after a block below the head, as long as what later blocks replaced is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ledger.page_changes import page_before

from . import undo
from .chain_view import ChainView
from .schema import PAGE, RECORD

STATES_KEPT: Final = 128
"""Blocks before the head whose states can still be read and proved."""


class StateNotKept(Exception):
    """The state is too old; `oldest` is the height of the oldest that is kept."""

    def __init__(self, height: int, oldest: int) -> None:
        """Say which state was asked for and from which on they are kept."""
        super().__init__(f"the state after block {height} is no longer kept, the oldest is that after block {oldest}")
        self.oldest = oldest


class PastState:
    """Records and pages after the block of a height, in one view of the chain."""

    def __init__(self, view: ChainView, height: int) -> None:
        """Look back from the head of `view`, which is not below `height`; raises StateNotKept."""
        oldest = max(0, view.height - STATES_KEPT)
        if not oldest <= height <= view.height:
            raise StateNotKept(height, oldest)
        self.height = height
        self._view = view
        self._lists: dict[int, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the record under a state key."""
        for replaced in self._replaced(RECORD, key):
            return replaced or None
        return self._view.get(key)

    def page(self, key: bytes) -> bytes | None:
        """Return a page of the state tree."""
        return page_before(key[0], self._view.page(key), self._replaced(PAGE, key))

    def _replaced(self, kind: bytes, key: bytes) -> Iterator[bytes]:
        """Yield what the blocks above this height replaced under a key, from the oldest block on."""
        place = kind + undo.bucket_of(kind, key)
        for height in range(self.height + 1, self._view.height + 1):
            if undo.is_listed(self._undo_list(height), place):
                replaced = undo.find(self._view.undo_entry(height, place), key)
                if replaced is not None:
                    yield replaced

    def _undo_list(self, height: int) -> bytes:
        """Return what the undo of a block is in: a proof asks for it once for each of its pages."""
        found = self._lists.get(height)
        if found is None:
            found = self._lists[height] = self._view.undo_list(height)
        return found

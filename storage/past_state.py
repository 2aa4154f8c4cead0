"""The state after a block below the head, as long as what later blocks replaced is kept."""

from __future__ import annotations

from typing import Final

from .chain_view import ChainView

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

    def get(self, key: bytes) -> bytes | None:
        """Return the record under a state key."""
        return self._view.past_record(self.height, key)

    def page(self, key: bytes) -> bytes | None:
        """Return a page of the state tree."""
        return self._view.past_page(self.height, key)

"""What consensus needs from outside: where blocks are kept, and the record of what was signed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ledger.block import Block
from ledger.executed import ExecutedBlock, Tip
from ledger.state import StateReader

Write = Callable[[Sequence[Block]], None]
"""Writes blocks that were prepared, now sealed: all or none. They survive a power cut once `sync` has returned."""


class ChainStore(Protocol):
    """Blocks, state and indexes of one chain, on a disk."""

    def tip(self) -> Tip:
        """Return the head as the next block's parent."""

    def state(self) -> StateReader:
        """Return the state after the head, as a view that stays the same when the head moves."""

    def read_page(self, key: bytes) -> bytes | None:
        """Return a page of the state tree after the head."""

    def prepare(self, blocks: Sequence[ExecutedBlock]) -> Write:
        """Work out what is to be written for blocks that follow the head, whatever their seals; changes nothing."""

    def sync(self) -> None:
        """Return when all that was written would survive a power cut."""


class SigningRecord(Protocol):
    """The witness outside the database: the last blocks that were, or were about to be, signed."""

    def write(self, height: int, payload: bytes) -> None:
        """Keep `payload` for the block at `height` and return when it would survive a power cut."""

    def last(self) -> tuple[int, bytes] | None:
        """Return the newest (height, payload)."""

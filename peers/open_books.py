"""The pools that a cacher knows: their books while it runs, and what is under way with each.

Whoever changes a book does it between two awaits, so that no change is lost; what must survive is saved afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from crypto.address import checksum_address

from .book import Book
from .handshake import Terms

UNPAID_MAX: Final = 10_000
"""Pools that have only shaken hands: each costs its creator a transaction, and us some hundred bytes."""
CLOSED_MAX: Final = 1_000
REPEATS_FREE: Final = 16


class Stage(StrEnum):
    """How far a settlement is."""

    MARKED = "marked"
    """On disk that its tgtSeq is spent; nothing is signed yet."""
    SUBMITTED = "submitted"
    """Sent to the node, in no block yet."""
    RETRYING = "retrying"
    """Failed for now; tried again after a pause."""
    SETTLED = "settled"
    """Proven to be in the chain."""
    LOST = "lost"
    """The pool was closed before."""


@dataclass(slots=True)
class Settlement:
    """What people want to know of the latest settlement of a pool."""

    reason: str
    """Why it was made."""
    amount: int
    tgt_seq: int
    fee: int
    stage: Stage = Stage.MARKED
    attempts: int = 0
    error: str | None = None
    """Why the latest attempt failed, and what happens next."""
    offered_at: int = 0
    """The height at which this fee was first offered."""


@dataclass(slots=True)
class Account:
    """One pool that pays this cacher."""

    book: Book
    terms: Terms | None = None
    """None for a resource that is not served any more."""
    paid_at: float = 0.0
    """Monotonic time of the newest payment."""
    is_kept: bool = False
    """Whether the book is on disk: from the first payment until the pool is closed."""
    repeats: int = 0
    """How often a chunk was sent again."""
    settlement: Settlement | None = None

    @property
    def price(self) -> int:
        """The price of one chunk; 0 where nothing is sold."""
        return self.terms.price_per_chunk if self.terms else 0

    @property
    def may_repeat(self) -> bool:
        """Whether a chunk that was paid for is sent again: on average once each, and a few more."""
        return self.repeats < REPEATS_FREE + self.book.delivered // max(1, self.price)

    @property
    def quiet_seconds(self) -> float:
        """Since the newest payment."""
        return time.monotonic() - self.paid_at

    def to_json(self, height: int) -> dict[str, Any]:
        """Return the row of the risk table."""
        book, settlement = self.book, self.settlement
        return {
            "cptxHash": f"0x{book.cptx_hash.hex()}",
            "resourceId": f"0x{book.pool.resource_id.hex()}",
            "creator": checksum_address(book.pool.creator),
            "status": book.pool.status.name.lower(),
            "remaining": hex(book.pool.remaining),
            "delivered": hex(book.delivered),
            "promised": hex(book.promised),
            "paid": hex(book.record.paid),
            "unsettled": hex(book.unsettled),
            "tgtSeq": hex(book.next_seq),
            "blocksLeft": hex(max(0, book.pool.expires_at - height - 1)),
            "doubleSpend": book.evidence is not None or book.proves_double_spend,
            "settlement": None
            if settlement is None
            else {
                "reason": settlement.reason,
                "amount": hex(settlement.amount),
                "tgtSeq": hex(settlement.tgt_seq),
                "fee": hex(settlement.fee),
                "stage": str(settlement.stage),
                "attempts": settlement.attempts,
                "error": settlement.error,
            },
        }


class Accounts:
    """All of them by the pool's id, bounded: what has paid is kept, the rest as long as there is room."""

    def __init__(self) -> None:
        """Begin with none."""
        self._found: dict[bytes, Account] = {}

    def __iter__(self) -> Iterator[Account]:
        """Go through all accounts, as they are now."""
        return iter([*self._found.values()])

    def get(self, cptx_hash: bytes) -> Account | None:
        """Return a pool's account."""
        return self._found.get(cptx_hash)

    def add(self, account: Account) -> None:
        """Add an account; the oldest of those that are not on disk give way when there are too many."""
        self._found[account.book.cptx_hash] = account
        self._drop([found for found in self if not found.is_kept and found.book.is_open], UNPAID_MAX)
        self._drop([found for found in self if not found.is_kept and not found.book.is_open], CLOSED_MAX)

    def _drop(self, found: list[Account], most: int) -> None:
        for account in found[: max(0, len(found) - most)]:
            del self._found[account.book.cptx_hash]

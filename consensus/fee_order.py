"""Which pending transaction goes first when the mempool is full.

A heap that is not searched: what has left the mempool, or pays another fee by now, is passed over when it comes to the
top. It never holds more than twice what is pending, and a few.
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from typing import Final

from .pending import Pending

_SLACK: Final = 64


class FeeOrder:
    """Pending transactions by collectable fee, lowest first, of equals the youngest first."""

    __slots__ = ("_heap", "_pending")

    def __init__(self, pending: Mapping[bytes, Pending]) -> None:
        """Order what is in `pending` (transaction hash -> Pending), now and later."""
        self._pending = pending
        self._heap: list[tuple[int, int, bytes]] = []

    def __len__(self) -> int:
        """The entries held, those that are passed over included."""
        return len(self._heap)

    def note(self, entry: Pending) -> None:
        """Take in a transaction that is pending from now on, or that pays another fee from now on."""
        heappush(self._heap, _rank(entry))

    def tidy(self) -> None:
        """Let go of what is passed over, where that is more than half; call when everything pending is in its place."""
        if len(self._heap) > 2 * len(self._pending) + _SLACK:
            self._heap = [_rank(entry) for entry in self._pending.values()]
            heapify(self._heap)

    def cheapest(self) -> Pending | None:
        """Return the first to go; None where nothing is pending."""
        while self._heap:
            found = self._pending.get(self._heap[0][-1])
            if found is not None and _rank(found) == self._heap[0]:
                return found
            heappop(self._heap)
        return None


def _rank(entry: Pending) -> tuple[int, int, bytes]:
    return entry.fee, -entry.arrival, entry.hash

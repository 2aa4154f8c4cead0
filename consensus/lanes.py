"""All pending transactions by lane: what waits behind what, what watches which record.

Every lane is judged over the committed state by itself, so what is pending always applies, lane by lane, to the head.
Changing a lane means judging it anew with the entries that it shall have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush

from ledger.errors import Refusal
from ledger.records import pool_key
from ledger.state import StateReader
from ledger.transaction import Context, Lane

from .pending import Dropped, Pending, Queue, WithPending


class Lanes:
    """The queues of a mempool and their indexes."""

    def __init__(self, state: StateReader, context: Context) -> None:
        """Begin empty; `context` has the height of the next block."""
        self.state = state
        self.context = context
        self.by_hash: dict[bytes, Pending] = {}
        self._queues: dict[bytes, Queue] = {}
        self._watchers: dict[bytes, set[bytes]] = {}
        self._double_spends: dict[bytes, Pending] = {}
        self._expiries: list[tuple[int, bytes]] = []

    def queue(self, lane_key: bytes) -> Queue | None:
        """Return the queue of a lane, which is never empty."""
        return self._queues.get(lane_key)

    def double_spend(self, cptx_hash: bytes) -> Pending | None:
        """Return the pending transaction that would slash a pool."""
        return self._double_spends.get(cptx_hash)

    def open(self, lane: Lane) -> Queue:
        """Return an empty queue for a lane, over the committed state and the pending pools that it draws on."""
        records = {}
        for cptx_hash in lane.pools:
            creation = self.by_hash.get(cptx_hash)
            pool = self._queues[creation.lane.key].projected.pool(cptx_hash) if creation else None
            if pool is not None:
                records[pool_key(cptx_hash)] = pool.encode()
        return Queue(WithPending(self.state, records) if records else self.state)

    def trial(self, lane: Lane, entries: Iterable[Pending]) -> Queue:
        """Return a queue with these entries judged anew, to try one more on."""
        queue = self.open(lane)
        for entry in entries:
            queue.judge(entry.transaction, self.context)
        return queue

    def append(self, queue: Queue, pending: Pending) -> None:
        """Put a transaction that `queue` has just judged behind the others of its lane."""
        if not queue.entries:
            self._attach(queue, pending.lane)
        queue.entries.append(pending)
        self.by_hash[pending.hash] = pending
        if pending.is_double_spend:
            self._double_spends[pending.receipt.cptx_hash] = pending

    def rebuild(self, lane_key: bytes, entries: Iterable[Pending]) -> list[Dropped]:
        """Judge a lane anew with these entries instead of its own; return those that break a rule now."""
        kept = list(entries)
        lane = self._detach(lane_key)
        queue, drops = self.open(lane), []
        for entry in kept:
            try:
                again = Pending(
                    entry.transaction, entry.lane, entry.arrival, queue.judge(entry.transaction, self.context)
                )
                self._expect_no_rival(again)
            except Refusal as refusal:
                drops.append(Dropped(entry.transaction, refusal))
            else:
                self.append(queue, again)
        return drops + self._rebuild_dependents(drop.transaction.hash for drop in drops)

    def remove(self, old: Pending, refusal: Refusal, successor: Pending | None = None) -> list[Dropped]:
        """Take a transaction out, or put another in its place, and drop what can no longer follow it."""
        entries = []
        for entry in self._queues[old.lane.key].entries:
            if entry is not old:
                entries.append(entry)
            elif successor is not None:
                entries.append(successor)
        drops = self.rebuild(old.lane.key, entries)
        return [Dropped(old.transaction, refusal), *drops, *self._rebuild_dependents([old.hash])]

    def affected(self, changed: Iterable[bytes]) -> list[bytes]:
        """Return the lanes that a block concerns: those that watch a changed record, and those whose pool is over."""
        found: set[bytes] = set()
        for key in changed:
            found |= self._watchers.get(key, set())
        while self._expiries and self._expiries[0][0] <= self.context.height:
            found.add(heappop(self._expiries)[1])
        # Sorted, so that nothing depends on the order of a set; senders come before the settlements of their pools.
        return sorted(lane_key for lane_key in found if lane_key in self._queues)

    def first_entries(self) -> Iterator[Pending]:
        """Return the transactions that wait for no other pending one."""
        for queue in self._queues.values():
            if not any(cptx_hash in self.by_hash for cptx_hash in queue.entries[0].lane.pools):
                yield queue.entries[0]

    def successors(self, pending: Pending) -> Iterator[Pending]:
        """Return the transactions that wait for this one."""
        queue = self._queues[pending.lane.key]
        index = queue.index_of(pending.lane.position)
        if index is not None and index + 1 < len(queue.entries):
            yield queue.entries[index + 1]
        for lane_key in sorted(self._watchers.get(pool_key(pending.hash), ())):
            yield self._queues[lane_key].entries[0]

    def _rebuild_dependents(self, gone: Iterable[bytes]) -> list[Dropped]:
        """Judge anew the lanes that draw on pools whose creation is no longer pending."""
        drops: list[Dropped] = []
        for creation in gone:
            for lane_key in sorted(self._watchers.get(pool_key(creation), ())):
                drops += self.rebuild(lane_key, self._queues[lane_key].entries)
        return drops

    def _expect_no_rival(self, pending: Pending) -> None:
        rival = self._double_spends.get(pending.receipt.cptx_hash) if pending.is_double_spend else None
        if rival is not None:
            raise Refusal("REPLACEMENT_UNDERPRICED", "one pending double spend of a pool", "another one")

    def _attach(self, queue: Queue, lane: Lane) -> None:
        self._queues[lane.key] = queue
        for key in lane.watches:
            self._watchers.setdefault(key, set()).add(lane.key)
        expiry = queue.first_expiry(lane)
        if expiry is not None:
            heappush(self._expiries, (expiry, lane.key))

    def _detach(self, lane_key: bytes) -> Lane:
        queue = self._queues.pop(lane_key)
        lane = queue.entries[0].lane
        for key in lane.watches:
            watchers = self._watchers[key]
            watchers.discard(lane_key)
            if not watchers:
                del self._watchers[key]
        for entry in queue.entries:
            del self.by_hash[entry.hash]
            if entry.is_double_spend and self._double_spends.get(entry.receipt.cptx_hash) is entry:
                del self._double_spends[entry.receipt.cptx_hash]
        return lane

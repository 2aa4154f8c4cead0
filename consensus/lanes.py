"""All pending transactions by lane: what waits behind what.

Every lane is judged over the committed state by itself, so what is pending always applies, lane by lane, to the head.
A lane's own records are read from its last transaction and everything else from the present head: no lane holds an
old state, and to try, refuse or add one more costs the same however long the lane is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from ledger.errors import InvariantViolation, Refusal
from ledger.records import Pool, expiry_in, pool_key
from ledger.state import State, StateReader
from ledger.transaction import AnyTransaction, Context, Lane

from .fee_order import FeeOrder
from .lane_index import LaneIndex
from .pending import Dropped, Pending, WithPending, judged


class Queue:
    """The pending transactions of one lane in the order of their positions, without gaps; all watch the same keys.

    Empty only while they are judged again.
    """

    __slots__ = ("base", "entries", "is_stale", "lane", "waiting")

    def __init__(self, lane: Lane) -> None:
        """Begin empty."""
        self.lane: Final = lane
        """That of the transaction with which the queue began."""
        self.entries: list[Pending] = []
        self.base: tuple[bytes | None, ...] = ()
        """The records under the watched keys that the entries were judged over."""
        self.is_stale = False
        """Whether these have changed since, in a way that changes none of the receipts."""
        self.waiting: list[Pending] = []
        """What was taken out of `entries` and is about to be judged again over a newer head."""

    def index_of(self, position: int) -> int | None:
        """Return the index of the entry with this position, if there is one."""
        index = position - self.entries[0].lane.position
        return index if 0 <= index < len(self.entries) else None

    def before(self, position: int) -> Pending | None:
        """Return the entry behind which a position is judged: the last one, unless an entry has this position."""
        index = self.index_of(position)
        if index is None:
            return self.entries[-1]
        return self.entries[index - 1] if index else None


class Lanes:
    """The queues of a mempool."""

    def __init__(self, state: StateReader, context: Context) -> None:
        """Begin empty; `context` has the height of the next block."""
        self.context = context
        self.by_hash: dict[bytes, Pending] = {}
        self.fees = FeeOrder(self.by_hash)
        self._state = state
        self._queues: dict[bytes, Queue] = {}
        self._index = LaneIndex()
        self._double_spends: dict[bytes, Pending] = {}
        self._waiting: dict[bytes, Pending] = {}

    def __len__(self) -> int:
        """The number of pending transactions, also of those that are about to be judged again."""
        return len(self.by_hash) + len(self._waiting)

    def get(self, transaction_hash: bytes) -> Pending | None:
        """Return a pending transaction, also one that is about to be judged again."""
        return self.by_hash.get(transaction_hash) or self._waiting.get(transaction_hash)

    def entries(self, lane_key: bytes) -> Sequence[Pending]:
        """Return what is queued in a lane, also while it is about to be judged again."""
        queue = self._queues.get(lane_key)
        return (queue.entries or queue.waiting) if queue else ()

    def at(self, lane: Lane) -> Pending | None:
        """Return the pending transaction whose place this is."""
        queue = self._queues.get(lane.key)
        index = queue.index_of(lane.position) if queue else None
        return queue.entries[index] if queue and index is not None else None

    def double_spend(self, cptx_hash: bytes) -> Pending | None:
        """Return the pending transaction that would slash a pool."""
        return self._double_spends.get(cptx_hash)

    def fee_on_the_way(self, pending: Pending) -> int:
        """Return the lowest collectable fee of a transaction and of those before it in its lane, in base units."""
        before = (entry.fee for entry in self.entries(pending.lane.key) if entry.lane.position < pending.lane.position)
        return min((pending.fee, *before))

    def builds_on(self, lane: Lane, other: Pending) -> bool:
        """Tell whether a transaction at the end of `lane` builds on `other`."""
        creations = filter(None, map(self.by_hash.get, lane.pools))
        return other.lane.key == lane.key or any(
            other.lane.key == creation.lane.key and other.lane.position <= creation.lane.position
            for creation in creations
        )

    def judge(self, transaction: AnyTransaction, arrival: int) -> Pending:
        """Judge a transaction in its place, or behind all others of its lane; raises Refusal. Changes nothing."""
        lane = transaction.kind.lane(transaction)
        queue = self._queues.get(lane.key)
        if queue is not None and queue.is_stale:
            self._refresh(queue)
        scratch = self._scratch(lane, queue.before(lane.position) if queue else None)
        return judged(transaction, lane, arrival, scratch, self.context)

    def append(self, pending: Pending) -> None:
        """Put a transaction that was judged there behind the others of its lane."""
        queue = self._queues.get(pending.lane.key)
        if queue is None:
            queue = self._queues[pending.lane.key] = Queue(pending.lane)
            self._index.add(pending.lane)
        self._push(queue, pending)
        self.fees.note(pending)

    def remove(self, old: Pending, refusal: Refusal, successor: Pending | None = None) -> list[Dropped]:
        """Take a transaction out, or put another in its place, and drop what can no longer follow it."""
        queue = self._queues[old.lane.key]
        if queue.is_stale:
            self._refresh(queue)
        behind = self._take(queue, old.lane.position - queue.entries[0].lane.position)[1:]
        if successor is not None:
            self._push(queue, successor)
            self.fees.note(successor)
        drops = self._judge_again(queue, behind)
        return [Dropped(old.transaction, refusal), *drops, *self._judge_orphans([old.hash])]

    def follow(
        self, state: StateReader, context: Context, changed: Iterable[bytes], committed: Collection[bytes]
    ) -> Iterator[list[Dropped]]:
        """Go on to a newer head, at which the transactions `committed` are in a block, a lane at a time.

        Yields what breaks a rule. Until the last step nothing may be judged or selected, only looked up.
        """
        self._state, self.context = state, context
        # Senders come before the settlements of their pools: "a" before "t".
        queues = [
            self._queues[lane_key] for lane_key in self._index.concerned(self._queues.keys(), changed, context.height)
        ]
        # All are emptied before the first is judged: a double spend of the former state says nothing about this one.
        emptied: list[Queue] = []
        for queue in queues:
            if not self._stays(queue, committed):
                emptied.append(queue)
                queue.waiting = [entry for entry in self._take(queue, 0) if entry.hash not in committed]
                self._waiting.update({entry.hash: entry for entry in queue.waiting})
            yield []
        for queue in emptied:
            entries, queue.waiting = queue.waiting, []
            for entry in entries:
                del self._waiting[entry.hash]
            yield self._judge_again(queue, entries)

    def first_entries(self) -> Iterator[Pending]:
        """Return the transactions that wait for no other pending one."""
        for queue in self._queues.values():
            pools = queue.lane.pools
            if not pools or not any(cptx_hash in self.by_hash for cptx_hash in pools):
                yield queue.entries[0]

    def successors(self, pending: Pending, taken: Collection[bytes]) -> Iterator[Pending]:
        """Return the transactions that wait for this one and, apart from it, only for some in `taken`."""
        queue = self._queues[pending.lane.key]
        index = pending.lane.position - queue.entries[0].lane.position + 1
        if index < len(queue.entries):
            yield queue.entries[index]
        if pending.pool is not None:
            for lane_key in self._index.watching(pool_key(pending.hash)):
                queue = self._queues[lane_key]
                if all(cptx_hash in taken for cptx_hash in queue.lane.pools if cptx_hash in self.by_hash):
                    yield queue.entries[0]

    def _scratch(self, lane: Lane, previous: Pending | None) -> State:
        """Return a scratch state behind an entry, or the one that a lane begins on: with the pending pools it needs."""
        if previous is not None:
            return State(WithPending(self._state, dict(zip(previous.lane.watches, previous.after, strict=True))))
        creations = [creation for creation in map(self.by_hash.get, lane.pools) if creation and creation.pool]
        if not creations:
            return State(self._state)
        return State(WithPending(self._state, dict(map(self._creation, creations))))

    def _creation(self, creation: Pending) -> tuple[bytes, bytes]:
        """Return state key and record of a pending pool, as the next block would write it."""
        return pool_key(creation.hash), _created_at(creation.pool or b"", self.context.height)

    def _stays(self, queue: Queue, committed: Collection[bytes]) -> bool:
        """Take the committed transactions off the front of a lane, if what is behind them needs no new judgement.

        It needs none where there is nothing behind, where the committed ones did exactly what was foreseen, or where
        none is committed and the kind says that the lane stands. Returns False, with nothing changed, otherwise.
        """
        entries = queue.entries
        count = 0
        while count < len(entries) and entries[count].hash in committed:
            count += 1
        if count < len(entries):
            if self._index.is_over(queue.lane, self.context.height):
                return False
            now = self._records(queue.lane)
            if count:
                if now != entries[count - 1].after:
                    return False
                queue.base = now
            elif entries[0].transaction.kind.stands([entry.receipt for entry in entries], queue.base, now):
                queue.is_stale = True
                return True
            else:
                return False
        self._forget(entries[:count])
        del entries[:count]
        self._close_if_empty(queue)
        return True

    def _records(self, lane: Lane) -> tuple[bytes | None, ...]:
        """Return the head's records under the keys that a lane watches."""
        return tuple(map(self._state.get, lane.watches))

    def _refresh(self, queue: Queue) -> None:
        """Judge the entries of a lane that stands over the records that there are now: the receipts stay the same."""
        entries = self._take(queue, 0)
        if drops := self._judge_again(queue, entries):
            raise InvariantViolation(f"a lane that stands has lost {len(drops)} transactions")

    def _judge_again(self, queue: Queue, entries: Iterable[Pending]) -> list[Dropped]:
        """Judge transactions behind those that a lane has; return those that break a rule now."""
        drops: list[Dropped] = []
        scratch = self._scratch(queue.lane, queue.entries[-1] if queue.entries else None)
        for entry in entries:
            try:
                again = judged(entry.transaction, entry.lane, entry.arrival, scratch, self.context)
                drops += self._outbid(again)
            except Refusal as refusal:
                # A double spend that was outbid is in the scratch state: whatever follows it goes anyway.
                drops.append(Dropped(entry.transaction, refusal))
            else:
                self._push(queue, again)
                if again.fee != entry.fee:
                    self.fees.note(again)
        self._close_if_empty(queue)
        return drops + self._judge_orphans(drop.transaction.hash for drop in drops)

    def _outbid(self, pending: Pending) -> list[Dropped]:
        """Of two that have both become the double spend of a pool keep the better paying one, of equals the older.

        Drops the other if that is pending; raises Refusal if it is the better one.
        """
        rival = self._double_spends.get(pending.receipt.cptx_hash) if pending.is_double_spend else None
        if rival is None:
            return []
        better, worse = sorted((pending, rival), key=lambda entry: (-self.fee_on_the_way(entry), entry.arrival))
        least = self.fee_on_the_way(better)
        refusal = Refusal("REPLACED", f"a collectable fee above the {least} of another double spend", worse.fee)
        if worse is pending:
            raise refusal
        return self.remove(rival, refusal)

    def _judge_orphans(self, gone: Iterable[bytes]) -> list[Dropped]:
        """Judge again the lanes that draw on pools whose creation is no longer pending."""
        drops: list[Dropped] = []
        for creation in gone:
            for lane_key in self._index.watching(pool_key(creation)):
                queue = self._queues.get(lane_key)
                # A lane that is empty now waits for its own turn to be judged.
                if queue is not None and queue.entries:
                    drops += self._judge_again(queue, self._take(queue, 0))
        return drops

    def _push(self, queue: Queue, pending: Pending) -> None:
        queue.entries.append(pending)
        self.by_hash[pending.hash] = pending
        if pending.is_double_spend:
            self._double_spends[pending.receipt.cptx_hash] = pending
        if len(queue.entries) == 1:
            queue.base, queue.is_stale = pending.before, False
            self._index.expect(queue.lane, _first_expiry(pending))

    def _take(self, queue: Queue, index: int) -> list[Pending]:
        """Take the end of a lane out, from `index` on; the lane stays in use, even if it is empty."""
        taken = queue.entries[index:]
        del queue.entries[index:]
        self._forget(taken)
        return taken

    def _forget(self, entries: Iterable[Pending]) -> None:
        for entry in entries:
            del self.by_hash[entry.hash]
            if entry.is_double_spend:
                del self._double_spends[entry.receipt.cptx_hash]

    def _close_if_empty(self, queue: Queue) -> None:
        if not queue.entries:
            del self._queues[queue.lane.key]
            self._index.discard(queue.lane)


def _created_at(record: bytes, height: int) -> bytes:
    """Return a pending pool's record as the block at `height` would write it: its time-lock begins then."""
    pool = Pool.decode(record)
    return replace(pool, created_at=height, expires_at=height + pool.expires_at - pool.created_at).encode()


def _first_expiry(pending: Pending) -> int | None:
    """Return the lowest expiresAt of the pools that a transaction draws on."""
    first: int | None = None
    if pending.lane.pools:
        for key, record in zip(pending.lane.watches, pending.after, strict=True):
            if key[:1] == b"p" and record:
                expiry = expiry_in(record)
                if first is None or expiry < first:
                    first = expiry
    return first

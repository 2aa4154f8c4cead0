"""Transactions that wait for a block: bounded, judged on arrival and again after every block (protocol section 6).

Pure apart from its own memory: states and heights are handed in, arrival is a running number. Another lane may make a
transaction invalid (another target may drain the pool): it is not refused for that; the block builder finds out, and a
settlement that has become a double spend on the way is included as one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final

from ledger.errors import Refusal
from ledger.genesis import Genesis
from ledger.state import StateReader
from ledger.transaction import AnyTransaction, Context, Lane

from .lanes import Lanes
from .pending import Dropped, Pending, Queue

DEFAULT_CAPACITY: Final = 50_000
SETTLEMENTS_PER_TARGET: Final = 16
"""Pending settlements of one (pool, target)."""
PRICE_BUMP_PERCENT: Final = 10
REMEMBERED_DROPS: Final = 10_000


class Mempool:
    """The pending transactions of one node. Not thread-safe: one thread owns it."""

    def __init__(self, genesis: Genesis, state: StateReader, height: int, capacity: int = DEFAULT_CAPACITY) -> None:
        """Begin empty over `state`, the unchanging state after the block at `height`."""
        self._lanes = Lanes(state, Context(height + 1, genesis))
        self._capacity = capacity
        self._by_fee: list[tuple[int, int, bytes]] = []
        self._drops: OrderedDict[bytes, Dropped] = OrderedDict()
        self._arrivals = 0

    def __len__(self) -> int:
        """The number of pending transactions."""
        return len(self._lanes.by_hash)

    def get(self, transaction_hash: bytes) -> AnyTransaction | None:
        """Return the pending transaction with this hash."""
        found = self._lanes.by_hash.get(transaction_hash)
        return found.transaction if found else None

    def dropped(self, transaction_hash: bytes) -> Dropped | None:
        """Return how a transaction left the mempool, for the last 10,000 that did."""
        return self._drops.get(transaction_hash)

    def next_position(self, lane_key: bytes) -> int | None:
        """Return the position behind all that is queued in a lane, as the next nonce; None where nothing is."""
        queue = self._lanes.queue(lane_key)
        return queue.entries[-1].lane.position + 1 if queue else None

    def add(self, transaction: AnyTransaction) -> list[Dropped]:
        """Admit a transaction; return those that it replaced or pushed out.

        Raises Refusal with the first reason against it, and changes nothing then. Whether it is committed already is
        the caller's to look up.
        """
        if transaction.hash in self._lanes.by_hash:
            raise Refusal("ALREADY_KNOWN", "a transaction that is not pending yet", f"0x{transaction.hash.hex()}")
        lane = transaction.kind.lane(transaction)
        queue = self._lanes.queue(lane.key)
        index = queue.index_of(lane.position) if queue else None
        if queue is not None and index is not None:
            drops = self._replace(queue, index, transaction, lane)
        else:
            drops = self._append(queue, transaction, lane)
        self._drops.pop(transaction.hash, None)
        return self._remember(drops)

    def judge(self, transaction: AnyTransaction) -> Pending:
        """Return what a transaction would do in the next block, behind the pending ones that it builds on.

        Raises Refusal with the rule that it breaks. Nothing changes either way.
        """
        lane = transaction.kind.lane(transaction)
        queue = self._lanes.queue(lane.key)
        entries = queue.entries if queue else []
        index = queue.index_of(lane.position) if queue else None
        trial = self._lanes.trial(lane, entries[:index])
        return Pending(transaction, lane, self._arrivals, trial.judge(transaction, self._lanes.context))

    def select(self, transactions_max: int, bytes_max: int) -> list[AnyTransaction]:
        """Return the next block's candidates: the best paying first, each after those that it builds on."""
        ready = [_best_first(pending) for pending in self._lanes.first_entries()]
        heapify(ready)
        selected: list[AnyTransaction] = []
        while ready and len(selected) < transactions_max:
            pending = self._lanes.by_hash[heappop(ready)[-1]]
            bytes_max -= len(pending.transaction.raw)
            if bytes_max < 0:
                break
            selected.append(pending.transaction)
            for successor in self._lanes.successors(pending):
                heappush(ready, _best_first(successor))
        return selected

    def on_block(
        self, state: StateReader, height: int, changed: Iterable[bytes], included: Iterable[bytes]
    ) -> list[Dropped]:
        """Follow the head to the block at `height`; return what breaks a rule now.

        `changed` are the state keys that changed since the last call, `included` the hashes of the transactions that
        did it.
        """
        lanes = self._lanes
        lanes.state = state
        lanes.context = Context(height + 1, lanes.context.genesis)
        committed = set(included)
        drops: list[Dropped] = []
        for lane_key in lanes.affected(changed):
            if queue := lanes.queue(lane_key):
                drops += lanes.rebuild(lane_key, [entry for entry in queue.entries if entry.hash not in committed])
        return self._remember(drops)

    def _append(self, queue: Queue | None, transaction: AnyTransaction, lane: Lane) -> list[Dropped]:
        """Queue a transaction behind its lane."""
        if lane.pools and queue and len(queue.entries) >= SETTLEMENTS_PER_TARGET:
            self.judge(transaction)
            raise Refusal(
                "TOO_MANY_PENDING", f"at most {SETTLEMENTS_PER_TARGET} pending settlements of a target", "more"
            )
        judged = queue or self._lanes.open(lane)
        pending = self._new(transaction, lane, judged)
        try:
            rival = self._rival(pending)
            victim = None if rival else self._victim(pending)
        except Refusal:
            if queue:
                # The queue's projection has the refused transaction in it: judge the lane without it.
                self._lanes.rebuild(lane.key, queue.entries)
            raise
        drops: list[Dropped] = []
        if rival:
            drops = self._lanes.remove(rival, _replaced(rival, pending))
        elif victim:
            drops = self._lanes.remove(victim, Refusal("MEMPOOL_FULL", f"a fee above {victim.fee}", victim.fee))
        self._lanes.append(judged, pending)
        self._note_fee(pending)
        return drops

    def _replace(self, queue: Queue, index: int, transaction: AnyTransaction, lane: Lane) -> list[Dropped]:
        """Put a transaction in the place of the one with its position, if it pays enough more."""
        old = queue.entries[index]
        pending = self._new(transaction, lane, self._lanes.trial(lane, queue.entries[:index]))
        _expect_bump(pending, old)
        if lane.promise < old.lane.promise:
            raise Refusal("REPLACEMENT_UNDERPRICED", f"an amount of at least {old.lane.promise}", lane.promise)
        rival = self._rival(pending)
        drops: list[Dropped] = []
        if rival and rival.lane.key != lane.key:
            drops = self._lanes.remove(rival, _replaced(rival, pending))
        drops += self._lanes.remove(old, _replaced(old, pending), pending)
        self._note_fee(pending)
        return drops

    def _new(self, transaction: AnyTransaction, lane: Lane, queue: Queue) -> Pending:
        """Judge a transaction behind `queue`; raises Refusal."""
        self._arrivals += 1
        return Pending(transaction, lane, self._arrivals, queue.judge(transaction, self._lanes.context))

    def _rival(self, pending: Pending) -> Pending | None:
        """Return the pool's pending double spend that a new one replaces; raises Refusal if that pays too little."""
        rival = self._lanes.double_spend(pending.receipt.cptx_hash) if pending.is_double_spend else None
        if rival:
            _expect_bump(pending, rival)
        return rival

    def _victim(self, pending: Pending) -> Pending | None:
        """Return the transaction that must go for a newcomer when the mempool is full."""
        if len(self) < self._capacity:
            return None
        cheapest = self._cheapest()
        if cheapest is None or pending.fee <= cheapest.fee or self._builds_on(pending.lane, cheapest.lane):
            least = cheapest.fee if cheapest else 0
            raise Refusal("MEMPOOL_FULL", f"a fee above {least} while {self._capacity} transactions wait", pending.fee)
        return cheapest

    def _builds_on(self, lane: Lane, other: Lane) -> bool:
        """Tell whether taking something out of the `other` lane could make `lane` invalid."""
        creations = (self._lanes.by_hash.get(cptx_hash) for cptx_hash in lane.pools)
        return other.key in (lane.key, *(creation.lane.key for creation in creations if creation))

    def _cheapest(self) -> Pending | None:
        """Return the pending transaction with the lowest collectable fee, of equals the youngest."""
        while self._by_fee:
            fee, negative_arrival, transaction_hash = self._by_fee[0]
            found = self._lanes.by_hash.get(transaction_hash)
            if found is not None and (found.fee, -found.arrival) == (fee, negative_arrival):
                return found
            heappop(self._by_fee)
            if found is not None:
                # Judged anew since: what would be collected has changed.
                heappush(self._by_fee, (found.fee, -found.arrival, found.hash))
        return None

    def _note_fee(self, pending: Pending) -> None:
        if len(self._by_fee) > 2 * self._capacity:
            self._by_fee = [(found.fee, -found.arrival, found.hash) for found in self._lanes.by_hash.values()]
            heapify(self._by_fee)
        heappush(self._by_fee, (pending.fee, -pending.arrival, pending.hash))

    def _remember(self, drops: list[Dropped]) -> list[Dropped]:
        for drop in drops:
            self._drops[drop.transaction.hash] = drop
        while len(self._drops) > REMEMBERED_DROPS:
            self._drops.popitem(last=False)
        return drops


def _best_first(pending: Pending) -> tuple[int, int, bytes]:
    return (-pending.fee, pending.arrival, pending.hash)


def _expect_bump(new: Pending, old: Pending) -> None:
    """Raise Refusal unless `new` lets the authority collect at least 10 % more than `old`."""
    if new.fee * 100 < old.fee * (100 + PRICE_BUMP_PERCENT):
        least = -(-old.fee * (100 + PRICE_BUMP_PERCENT) // 100)
        raise Refusal("REPLACEMENT_UNDERPRICED", f"a collectable fee of at least {least}", new.fee)


def _replaced(old: Pending, new: Pending) -> Refusal:
    return Refusal("REPLACED", f"a fee above {new.fee}", old.fee)

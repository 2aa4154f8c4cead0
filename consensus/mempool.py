"""Transactions that wait for a block: bounded, judged on arrival and again after every block (protocol section 7).

Pure apart from its own memory: states and heights are handed in, arrival is a running number. Another lane may make a
transaction invalid (another target may drain the pool): it is not refused for that; the block builder finds out, and a
settlement that has become a double spend on the way is included as one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import Final

from ledger.courtesy import give_way
from ledger.errors import Refusal
from ledger.genesis import Genesis
from ledger.state import StateReader
from ledger.transaction import AnyTransaction, Context

from .lanes import Lanes
from .pending import Dropped, Pending

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
        self._drops: OrderedDict[bytes, Dropped] = OrderedDict()
        self._arrivals = 0

    def __len__(self) -> int:
        """The number of pending transactions."""
        return len(self._lanes)

    def get(self, transaction_hash: bytes) -> AnyTransaction | None:
        """Return the pending transaction with this hash."""
        found = self._lanes.get(transaction_hash)
        return found.transaction if found else None

    def dropped(self, transaction_hash: bytes) -> Dropped | None:
        """Return how a transaction left the mempool, for the last 10,000 that did."""
        return self._drops.get(transaction_hash)

    def next_position(self, lane_key: bytes) -> int | None:
        """Return the position behind all that is queued in a lane, as the next nonce; None where nothing is."""
        entries = self._lanes.entries(lane_key)
        return entries[-1].lane.position + 1 if entries else None

    def add(self, transaction: AnyTransaction) -> list[Dropped]:
        """Admit a transaction; return those that it replaced or pushed out.

        Raises Refusal with the first reason against it, and changes nothing then. Whether it is committed already is
        the caller's to look up.
        """
        if transaction.hash in self._lanes.by_hash:
            raise Refusal("ALREADY_KNOWN", "a transaction that is not pending yet", f"0x{transaction.hash.hex()}")
        pending = self._lanes.judge(transaction, self._arrivals)
        bytes_max = self._lanes.context.genesis.max_block_bytes
        if len(transaction.raw) > bytes_max:
            raise Refusal("LIMIT", f"at most the {bytes_max} bytes of a block", len(transaction.raw))
        old = self._lanes.at(pending.lane)
        drops = self._replace(old, pending) if old else self._append(pending)
        self._arrivals += 1
        self._lanes.fees.tidy()
        self._drops.pop(transaction.hash, None)
        return self._remember(drops)

    def judge(self, transaction: AnyTransaction) -> Pending:
        """Return what a transaction would do in the next block, behind the pending ones that it builds on.

        Raises Refusal with the rule that it breaks. Nothing changes either way.
        """
        return self._lanes.judge(transaction, self._arrivals)

    def select(self, transactions_max: int, bytes_max: int) -> list[AnyTransaction]:
        """Return the next block's candidates: the best paying first, each after those that it builds on.

        What would not fit any more is left out, with all that builds on it.
        """
        ready = [_best_first(pending) for pending in self._lanes.first_entries()]
        heapify(ready)
        selected: dict[bytes, AnyTransaction] = {}
        while ready and len(selected) < transactions_max:
            give_way()
            pending = self._lanes.by_hash[heappop(ready)[-1]]
            if len(pending.transaction.raw) <= bytes_max:
                bytes_max -= len(pending.transaction.raw)
                selected[pending.hash] = pending.transaction
                for successor in self._lanes.successors(pending, selected.keys()):
                    heappush(ready, _best_first(successor))
        return list(selected.values())

    def on_block(
        self, state: StateReader, height: int, changed: Iterable[bytes], included: Iterable[bytes]
    ) -> list[Dropped]:
        """Follow the head to the block at `height`; return what breaks a rule now.

        `state` is the unchanging state after that block, `changed` are the state keys that changed since the last call,
        `included` the hashes of the transactions that did it.
        """
        return [drop for drops in self.steps_on_block(state, height, changed, included) for drop in drops]

    def steps_on_block(
        self, state: StateReader, height: int, changed: Iterable[bytes], included: Iterable[bytes]
    ) -> Iterator[list[Dropped]]:
        """Do what `on_block` does in small steps, each of which yields what it dropped; to be taken to the end.

        Until then nothing may be judged or selected; what is pending can be looked up.
        """
        context = Context(height + 1, self._lanes.context.genesis)
        for drops in self._lanes.follow(state, context, changed, frozenset(included)):
            yield self._remember(drops)
        self._lanes.fees.tidy()

    def _append(self, pending: Pending) -> list[Dropped]:
        """Queue a transaction behind its lane."""
        if pending.lane.pools and len(self._lanes.entries(pending.lane.key)) >= SETTLEMENTS_PER_TARGET:
            limit = f"at most {SETTLEMENTS_PER_TARGET} pending settlements of a target"
            raise Refusal("TOO_MANY_PENDING", limit, "more")
        rival = self._rival(pending)
        drops = self._lanes.remove(rival, _replaced(rival, pending)) if rival else self._make_room(pending)
        self._lanes.append(pending)
        return drops

    def _replace(self, old: Pending, pending: Pending) -> list[Dropped]:
        """Put a transaction in the place of the one with its position, if it pays enough more."""
        _expect_better(pending, old)
        rival = self._rival(pending)
        drops = []
        if rival and rival.lane.key != pending.lane.key:
            drops = self._lanes.remove(rival, _replaced(rival, pending))
        return drops + self._lanes.remove(old, _replaced(old, pending), pending)

    def _rival(self, pending: Pending) -> Pending | None:
        """Return the pool's pending double spend that a new one replaces; raises Refusal if that pays too little."""
        rival = self._lanes.double_spend(pending.receipt.cptx_hash) if pending.is_double_spend else None
        if rival:
            # A report waits behind what is before it in its lane: dust in front of a well paid one would keep it, and
            # with it every other report of the pool, out of the blocks until the pool's end.
            _expect_more(self._lanes.fee_on_the_way(pending), self._lanes.fee_on_the_way(rival))
            _expect_promise_kept(pending, rival)
        return rival

    def _make_room(self, pending: Pending) -> list[Dropped]:
        """Drop the cheapest transaction when the mempool is full; raises Refusal if the newcomer cannot push it out."""
        if len(self) < self._capacity:
            return []
        cheapest = self._lanes.fees.cheapest()
        if cheapest is None or pending.fee <= cheapest.fee or self._lanes.builds_on(pending.lane, cheapest):
            least = cheapest.fee if cheapest else 0
            raise Refusal("MEMPOOL_FULL", f"a fee above {least} while {self._capacity} transactions wait", pending.fee)
        return self._lanes.remove(cheapest, Refusal("MEMPOOL_FULL", f"a fee above {cheapest.fee}", cheapest.fee))

    def _remember(self, drops: list[Dropped]) -> list[Dropped]:
        for drop in drops:
            # A traceback holds the state that was judged on, and that a snapshot of the database.
            drop.refusal.with_traceback(None)
            self._drops[drop.transaction.hash] = drop
        while len(self._drops) > REMEMBERED_DROPS:
            self._drops.popitem(last=False)
        return drops


def _best_first(pending: Pending) -> tuple[int, int, bytes]:
    return (-pending.fee, pending.arrival, pending.hash)


def _expect_better(new: Pending, old: Pending) -> None:
    """Raise Refusal unless `new` may replace `old`.

    The authority must collect more, by at least 10 %, and a target's amount must not be lower.
    """
    _expect_more(new.fee, old.fee)
    _expect_promise_kept(new, old)


def _expect_more(new_fee: int, old_fee: int) -> None:
    least = max(-(-old_fee * (100 + PRICE_BUMP_PERCENT) // 100), old_fee + 1)
    if new_fee < least:
        raise Refusal("REPLACEMENT_UNDERPRICED", f"a collectable fee of at least {least}", new_fee)


def _expect_promise_kept(new: Pending, old: Pending) -> None:
    if new.lane.key == old.lane.key and new.lane.promise < old.lane.promise:
        raise Refusal("REPLACEMENT_UNDERPRICED", f"an amount of at least {old.lane.promise}", new.lane.promise)


def _replaced(old: Pending, new: Pending) -> Refusal:
    return Refusal("REPLACED", f"a fee above {new.fee}", old.fee)

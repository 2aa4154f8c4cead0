"""The Mempool paragraph of the protocol without any index or shortcut: everything is judged from nothing every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.state import State
from ledger.transaction import AnyTransaction, Context
from ledger.transition import apply_transaction

if TYPE_CHECKING:
    from collections.abc import Collection

    from ledger.genesis import Genesis
    from ledger.state import StateReader

Lane = tuple[bytes, ...]


class Waiting(NamedTuple):
    """One pending transaction, and its number in the order of arrival."""

    transaction: AnyTransaction
    arrival: int


def lane_of(transaction: AnyTransaction) -> Lane:
    """One sender, or one target in one pool."""
    fields = transaction.fields
    if transaction.kind.name == "ServicePayment":
        return (fields.cptx_hash, fields.target)
    return (transaction.sender,)


def position_of(transaction: AnyTransaction) -> int:
    fields = transaction.fields
    number: int = fields.tgt_seq if transaction.kind.name == "ServicePayment" else fields.nonce
    return number


class NaiveMempool:
    """What a mempool should hold."""

    def __init__(self, genesis: Genesis, state: StateReader, height: int, capacity: int) -> None:
        self.context = Context(height + 1, genesis)
        self.state = state
        self.capacity = capacity
        self.waiting: list[Waiting] = []
        self.arrivals = 0

    def lane(self, lane: Lane) -> list[Waiting]:
        found = [entry for entry in self.waiting if lane_of(entry.transaction) == lane]
        return sorted(found, key=lambda entry: position_of(entry.transaction))

    def judge(self, transaction: AnyTransaction) -> Receipt:
        """Apply a transaction behind what it builds on."""
        lane = self.lane(lane_of(transaction))
        positions = [position_of(entry.transaction) for entry in lane]
        if position_of(transaction) in positions:
            lane = lane[: positions.index(position_of(transaction))]
        scratch = self._begin(lane_of(transaction))
        for entry in lane:
            apply_transaction(scratch, entry.transaction, self.context)
        return apply_transaction(scratch, transaction, self.context)

    def receipts(self) -> dict[bytes, Receipt]:
        """Transaction hash -> what each would do in the next block."""
        return {entry.transaction.hash: self.judge(entry.transaction) for entry in self.waiting}

    def add(self, transaction: AnyTransaction) -> set[bytes]:
        """Admit a transaction; the hashes of those that went for it. Raises Refusal."""
        if any(entry.transaction.hash == transaction.hash for entry in self.waiting):
            raise Refusal("ALREADY_KNOWN", "")
        receipt = self.judge(transaction)
        lane = self.lane(lane_of(transaction))
        occupants = [entry for entry in lane if position_of(entry.transaction) == position_of(transaction)]
        if not occupants and len(lane_of(transaction)) == 2 and len(lane) >= 16:
            raise Refusal("TOO_MANY_PENDING", "")
        if receipt.outcome is Outcome.SLASHED:
            occupants += [rival for rival in self.double_spends(receipt.cptx_hash) if rival not in occupants]
        for occupant in occupants:
            if position_of(occupant.transaction) == position_of(transaction) and occupant in lane:
                self._expect_better(transaction, receipt, occupant.transaction)
        for rival in self.double_spends(receipt.cptx_hash) if receipt.outcome is Outcome.SLASHED else []:
            ahead = [self._fee(entry) for entry in lane if position_of(entry[0]) < position_of(transaction)]
            self._expect_more(min([receipt.fee, *ahead]), self._fee_on_the_way(rival))
            self._expect_promise_kept(transaction, rival.transaction)
        if not occupants and len(self.waiting) >= self.capacity:
            occupants = [self._cheapest(transaction, receipt)]
        before = {entry.transaction.hash for entry in self.waiting}
        self.waiting = [entry for entry in self.waiting if entry not in occupants]
        self.waiting.append(Waiting(transaction, self.arrivals))
        self.arrivals += 1
        self._weed()
        return before - {entry.transaction.hash for entry in self.waiting}

    def on_block(self, state: StateReader, height: int, included: Collection[bytes]) -> set[bytes]:
        """Follow the head; the hashes of those that went without a block."""
        self.state, self.context = state, Context(height + 1, self.context.genesis)
        self.waiting = [entry for entry in self.waiting if entry.transaction.hash not in included]
        before = {entry.transaction.hash for entry in self.waiting}
        self._weed()
        pools = {receipt.cptx_hash for receipt in self.receipts().values()}
        for cptx_hash in pools:
            rivals = sorted(
                self.double_spends(cptx_hash), key=lambda entry: (-self._fee_on_the_way(entry), entry.arrival)
            )
            self.waiting = [entry for entry in self.waiting if entry not in rivals[1:]]
        self._weed()
        return before - {entry.transaction.hash for entry in self.waiting}

    def select(self, transactions_max: int, bytes_max: int) -> list[AnyTransaction]:
        """The best paying one that waits for nothing, again and again."""
        left = list(self.waiting)
        selected: list[AnyTransaction] = []
        fees = {entry.arrival: self._fee(entry) for entry in left}
        while len(selected) < transactions_max:
            ready = [entry for entry in left if not any(self._waits_for(entry, other) for other in left)]
            fitting = [entry for entry in ready if len(entry.transaction.raw) <= bytes_max]
            if not fitting:
                break
            best = min(fitting, key=lambda entry: (-fees[entry.arrival], entry.arrival))
            bytes_max -= len(best.transaction.raw)
            left.remove(best)
            selected.append(best.transaction)
        return selected

    def double_spends(self, cptx_hash: bytes) -> list[Waiting]:
        found = []
        for entry in self.waiting:
            receipt = self.judge(entry.transaction)
            if (receipt.outcome, receipt.cptx_hash) == (Outcome.SLASHED, cptx_hash):
                found.append(entry)
        return found

    def _begin(self, lane: Lane) -> State:
        """The committed state, with the pending pool that a target's lane draws on."""
        scratch = State(self.state)
        creation = next((entry.transaction for entry in self.waiting if entry.transaction.hash == lane[0]), None)
        if creation is not None and creation.kind.name == "CreatePool":
            creators = State(self.state)
            for entry in self.lane(lane_of(creation)):
                apply_transaction(creators, entry.transaction, self.context)
            pool = creators.pool(creation.hash)
            assert pool is not None
            scratch.put_pool(creation.hash, pool)
        return scratch

    def _expect_better(self, transaction: AnyTransaction, receipt: Receipt, old: AnyTransaction) -> None:
        self._expect_more(receipt.fee, self.judge(old).fee)
        self._expect_promise_kept(transaction, old)

    def _expect_more(self, fee: int, old_fee: int) -> None:
        if fee * 10 < old_fee * 11 or fee == old_fee:
            raise Refusal("REPLACEMENT_UNDERPRICED", "")

    def _expect_promise_kept(self, transaction: AnyTransaction, old: AnyTransaction) -> None:
        same_target = len(lane_of(old)) == 2 and lane_of(transaction) == lane_of(old)
        if same_target and transaction.fields.amount < old.fields.amount:
            raise Refusal("REPLACEMENT_UNDERPRICED", "")

    def _cheapest(self, newcomer: AnyTransaction, receipt: Receipt) -> Waiting:
        if not self.waiting:
            raise Refusal("MEMPOOL_FULL", "")
        cheapest = min(self.waiting, key=lambda entry: (self._fee(entry), -entry.arrival))
        if receipt.fee <= self._fee(cheapest) or self._waits_for(Waiting(newcomer, self.arrivals), cheapest):
            raise Refusal("MEMPOOL_FULL", "")
        return cheapest

    def _fee(self, entry: Waiting) -> int:
        return self.judge(entry.transaction).fee

    def _fee_on_the_way(self, entry: Waiting) -> int:
        """The lowest fee of an entry and of those before it in its lane."""
        lane = self.lane(lane_of(entry.transaction))
        return min(self._fee(found) for found in lane if position_of(found[0]) <= position_of(entry[0]))

    def _waits_for(self, entry: Waiting, other: Waiting) -> bool:
        """Whether one transaction builds on another, directly or through a third."""
        lane = lane_of(entry.transaction)
        if lane == lane_of(other.transaction):
            return position_of(other.transaction) < position_of(entry.transaction)
        creation = next((found for found in self.waiting if found.transaction.hash == lane[0]), None)
        if creation is None or len(lane) == 1:
            return False
        return other == creation or self._waits_for(creation, other)

    def _weed(self) -> None:
        """Drop what breaks a rule, and what built on it, until nothing does."""
        for entry in sorted(self.waiting, key=lambda entry: (len(lane_of(entry.transaction)), position_of(entry[0]))):
            try:
                self.judge(entry.transaction)
            except Refusal:
                self.waiting.remove(entry)

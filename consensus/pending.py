"""One pending transaction, and the judgement that made it one.

A judgement applies a transaction to the state that it builds on and keeps what matters for the next in line: the
records that the lane watches, as they are behind it. So the state behind any transaction of a lane is at hand, and
nothing has to be applied twice to try, refuse, replace or remove one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.records import pool_key
from ledger.state import State, StateReader
from ledger.transaction import AnyTransaction, Context, Lane
from ledger.transition import apply_transaction


@dataclass(init=False, slots=True)
class Pending:
    """One transaction that waits for a block."""

    transaction: AnyTransaction
    lane: Lane
    arrival: int
    """A running number: the younger of two has the larger one."""
    receipt: Receipt
    """What it would do in the next block, as judged when it came or after the last block that concerned it."""
    before: tuple[bytes | None, ...]
    """The records under the lane's watched keys, in their order, that the judgement began with."""
    after: tuple[bytes | None, ...]
    """The same, with this transaction applied."""
    pool: bytes | None
    """The record of the pool that it would create."""

    def __init__(  # noqa: PLR0917 - the members, in their order
        self,
        transaction: AnyTransaction,
        lane: Lane,
        arrival: int,
        receipt: Receipt,
        before: tuple[bytes | None, ...],
        after: tuple[bytes | None, ...],
        pool: bytes | None,
    ) -> None:
        """Take the members."""
        self.transaction = transaction
        self.lane = lane
        self.arrival = arrival
        self.receipt = receipt
        self.before = before
        self.after = after
        self.pool = pool

    @property
    def hash(self) -> bytes:
        """The transaction's hash."""
        return self.transaction.hash

    @property
    def fee(self) -> int:
        """The fee that the authority would collect, in base units: in a double spend maybe less than is stated."""
        return self.receipt.fee

    @property
    def is_double_spend(self) -> bool:
        """Whether it would slash its pool."""
        return self.receipt.outcome is Outcome.SLASHED


@dataclass(frozen=True, slots=True)
class Dropped:
    """A transaction that left the mempool without a block, and why."""

    transaction: AnyTransaction
    refusal: Refusal


class WithPending:
    """A committed state with a few records in front of it that pending transactions would leave."""

    __slots__ = ("_records", "_state")

    def __init__(self, state: StateReader, records: Mapping[bytes, bytes | None]) -> None:
        """Show `records` (state key -> record, None: absent) in front of `state`."""
        self._state = state
        self._records = records

    def get(self, key: bytes) -> bytes | None:
        """Return the encoded record under a state key."""
        return self._records[key] if key in self._records else self._state.get(key)

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        """Return the committed state's due pools: what is pending closes none."""
        return self._state.due_pools(height, limit)


def judged(transaction: AnyTransaction, lane: Lane, arrival: int, scratch: State, context: Context) -> Pending:
    """Apply a transaction to `scratch`; raises Refusal with the rule that it breaks, and changes nothing then."""
    receipt = apply_transaction(scratch, transaction, context)
    before = tuple([scratch.original(key) for key in lane.watches])
    after = tuple([scratch.encoded(key) for key in lane.watches])
    pool = scratch.encoded(pool_key(transaction.hash)) if receipt.outcome is Outcome.CREATED else None
    return Pending(transaction, lane, arrival, receipt, before, after, pool)

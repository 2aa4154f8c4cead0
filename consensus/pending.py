"""Pending transactions of one lane, and their projected effect.

A lane is a queue in which each transaction builds on the earlier ones: one sender's nonces, or one target's settlements
in one pool. Its `State` is the committed state with the whole lane applied, so the next in line is judged at the cost
of one application.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.state import State, StateReader
from ledger.transaction import AnyTransaction, Context, Lane
from ledger.transition import apply_transaction


@dataclass(frozen=True, slots=True)
class Pending:
    """One transaction that waits for a block."""

    transaction: AnyTransaction
    lane: Lane
    arrival: int
    """A running number: the younger of two has the larger one."""
    receipt: Receipt
    """What it would do in the next block, as judged when it came or after the last block."""

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


class Queue:
    """The pending transactions of one lane in the order of their positions, without gaps."""

    __slots__ = ("entries", "projected")

    def __init__(self, state: StateReader) -> None:
        """Begin an empty lane over the state that it builds on."""
        self.entries: list[Pending] = []
        self.projected = State(state)

    def judge(self, transaction: AnyTransaction, context: Context) -> Receipt:
        """Apply a transaction behind all that was judged; raises Refusal and changes nothing when it breaks a rule."""
        return apply_transaction(self.projected, transaction, context)

    def index_of(self, position: int) -> int | None:
        """Return the index of the entry with this position, if there is one."""
        if not self.entries:
            return None
        index = position - self.entries[0].lane.position
        return index if 0 <= index < len(self.entries) else None

    def first_expiry(self, lane: Lane) -> int | None:
        """Return the lowest expiresAt of the pools that the lane draws on."""
        pools = map(self.projected.pool, lane.pools)
        return min((pool.expires_at for pool in pools if pool), default=None)


class WithPending:
    """A committed state in which a few records are taken from pending transactions of other lanes."""

    def __init__(self, state: StateReader, records: Mapping[bytes, bytes]) -> None:
        """Show `records` (state key -> record) in front of `state`."""
        self._state = state
        self._records = records

    def get(self, key: bytes) -> bytes | None:
        """Return the encoded record under a state key."""
        return self._records.get(key) or self._state.get(key)

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        """Return the committed state's due pools: a pending pool is never due."""
        return self._state.due_pools(height, limit)

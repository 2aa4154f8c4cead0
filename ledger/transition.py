"""The state transition: one block applied to one state (protocol section 5).

`BlockExecution` is the only way in which state changes, for the authority that produces a block and for everybody who
checks one. It knows nothing of who sealed the block, of time, or of where the state is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from crypto.merkle import root

from .courtesy import give_way
from .errors import InvalidBlock, Refusal
from .genesis import Genesis
from .header import Header
from .receipt import Receipt
from .records import PoolStatus
from .state import State, StateReader
from .transaction import AnyTransaction, Context


@dataclass(frozen=True)
class BlockResult:
    """The effect of one block."""

    receipts: tuple[Receipt, ...]
    expired: tuple[bytes, ...]
    """Ids of the pools that this block closed and paid back, in order."""
    changes: Mapping[bytes, bytes | None]
    """State key -> record after the block (None: absent), in the order in which they were first written."""
    before: Mapping[bytes, bytes | None]
    """State key -> record before the block, for every changed key."""

    @cached_property
    def encoded_receipts(self) -> Sequence[bytes]:
        """The receipts as they are hashed."""
        return [receipt.encode() for receipt in self.receipts]

    @cached_property
    def receipt_bytes(self) -> bytes:
        """All of them in one, as they are stored."""
        return b"".join(self.encoded_receipts)

    def receipts_root(self) -> bytes:
        """Return the RFC 9162 root over the receipts."""
        return root(self.encoded_receipts)


NO_ROOM: Final = "LIMIT"
"""Reason of the refusal of a transaction that a block has no room for."""
StateRoot = Callable[[Mapping[bytes, bytes | None]], bytes]
"""State changes -> the root of the parent's state with these changes."""


def apply_transaction(state: State, transaction: AnyTransaction, context: Context) -> Receipt:
    """Apply one transaction whole; raises Refusal and leaves `state` as it was when it breaks a rule."""
    fee, least = transaction.fields.fee, context.genesis.min_fee
    if fee < least:
        raise Refusal("FEE_TOO_LOW", f"a fee of at least {least}", fee)
    return transaction.kind.apply(state, transaction, context)


class BlockExecution:
    """One block being applied: expiries first, then transaction after transaction."""

    __slots__ = ("_bytes", "_context", "_expired", "_receipts", "_state")

    def __init__(self, parent: StateReader, height: int, genesis: Genesis) -> None:
        """Begin the block of this height over the parent's state by closing the pools that are due."""
        self._state = State(parent)
        self._context = Context(height, genesis)
        self._receipts: list[Receipt] = []
        self._bytes = 0
        due = parent.due_pools(height, genesis.max_expiries_per_block)
        self._expired = tuple(due)
        for cptx_hash in due:
            give_way()
            _expire(self._state, cptx_hash)

    def has_room(self, transaction: AnyTransaction) -> bool:
        """Tell whether the block may hold one more transaction of this size."""
        genesis = self._context.genesis
        return (
            len(self._receipts) < genesis.max_block_transactions
            and self._bytes + len(transaction.raw) <= genesis.max_block_bytes
        )

    def apply(self, transaction: AnyTransaction) -> Receipt:
        """Apply the next transaction; raises Refusal and changes nothing when it breaks a rule."""
        give_way()
        if not self.has_room(transaction):
            raise Refusal(NO_ROOM, "a block within maxBlockTransactions and maxBlockBytes", "more")
        receipt = apply_transaction(self._state, transaction, self._context)
        self._receipts.append(receipt)
        self._bytes += len(transaction.raw)
        return receipt

    def finish(self) -> BlockResult:
        """Return the effect of all that was applied."""
        return BlockResult(tuple(self._receipts), self._expired, self._state.changes(), self._state.before())


def apply_block(
    parent: StateReader,
    header: Header,
    transactions: Iterable[AnyTransaction],
    genesis: Genesis,
    state_root: StateRoot,
) -> BlockResult:
    """Apply a block made elsewhere and check every root that the execution determines.

    Raises InvalidBlock: a transaction that breaks a rule, a receiptsRoot or a stateRoot that is not ours. Links, seal,
    txRoot and historyRoot are the importer's to check: they need no execution.
    """
    execution = BlockExecution(parent, header.height, genesis)
    for index, transaction in enumerate(transactions):
        try:
            execution.apply(transaction)
        except Refusal as refusal:
            raise InvalidBlock("INVALID_TRANSACTION", f"transaction {index}: {refusal}") from refusal
    result = execution.finish()
    _expect("WRONG_RECEIPTS_ROOT", result.receipts_root(), header.receipts_root)
    _expect("WRONG_STATE_ROOT", state_root(result.changes), header.state_root)
    return result


def _expire(state: State, cptx_hash: bytes) -> None:
    """Close a pool at its end: remaining deposit and collateral go back to the creator."""
    pool = state.pool(cptx_hash)
    if pool is None or pool.status is not PoolStatus.OPEN:
        raise InvalidBlock("BROKEN_INDEX", f"0x{cptx_hash.hex()} is due but not an open pool")
    state.credit(pool.creator, pool.locked)
    state.put_pool(cptx_hash, pool.after_payment(0, PoolStatus.EXPIRED))


def _expect(reason: str, ours: bytes, stated: bytes) -> None:
    if ours != stated:
        raise InvalidBlock(reason, f"expected 0x{ours.hex()}, given 0x{stated.hex()}")

"""What a block means to subscribers: the events of chain_subscribe, in the order in which they are sent."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ledger.errors import InvariantViolation
from ledger.receipt import Outcome
from ledger.records import Pool, pool_key
from light.record_json import pool_json

from .shapes import Json, Place, committed_json, sealed_header_json
from .values import bytes_text, quantity_text

if TYPE_CHECKING:
    from ledger.executed import ExecutedBlock

Topic = bytes
"""What a subscription is to: one of the two below, or the state key of a pool."""
NEW_HEADS: Final[Topic] = b"newHeads"
TRANSACTIONS: Final[Topic] = b"transactions"
_POOL_EVENTS: Final[Mapping[Outcome, str]] = MappingProxyType(
    {Outcome.CREATED: "created", Outcome.SETTLED: "settled", Outcome.SLASHED: "slashed"}
)


def pool_topic(cptx_hash: bytes) -> Topic:
    """Return the topic of one pool."""
    return pool_key(cptx_hash)


def block_events(executed: ExecutedBlock, wanted: Container[Topic]) -> Iterator[tuple[Topic, Json]]:
    """Yield the events of one block that are wanted at the moment each is reached.

    The head comes first, then the pools that expired, then transaction after transaction: the order in which the
    block changed the state.
    """
    height = executed.tip.header.height
    if NEW_HEADS in wanted:
        yield NEW_HEADS, sealed_header_json(executed.block.sealed_header)
    for cptx_hash in executed.result.expired:
        if pool_topic(cptx_hash) in wanted:
            yield pool_topic(cptx_hash), _pool_event(executed, "expired", cptx_hash, None)
    for index, (transaction, receipt) in enumerate(zip(executed.transactions, executed.result.receipts, strict=True)):
        if TRANSACTIONS in wanted:
            place = Place(height, executed.tip.hash, index)
            yield TRANSACTIONS, committed_json(transaction, receipt, place)
        topic = pool_topic(receipt.cptx_hash)
        if receipt.outcome in _POOL_EVENTS and topic in wanted:
            event = _POOL_EVENTS[receipt.outcome]
            yield topic, _pool_event(executed, event, receipt.cptx_hash, transaction.hash)


def _pool_event(executed: ExecutedBlock, event: str, cptx_hash: bytes, transaction_hash: bytes | None) -> Json:
    """Return an event with the pool as it is after the whole block: the record that proof_getState proves."""
    record = executed.result.changes[pool_key(cptx_hash)]
    if record is None:
        raise InvariantViolation("a pool's record never goes away")
    return {
        "event": event,
        "pool": pool_json(cptx_hash, Pool.decode(record)),
        "transactionHash": None if transaction_hash is None else bytes_text(transaction_hash),
        "blockHeight": quantity_text(executed.tip.header.height),
    }

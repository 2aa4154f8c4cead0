"""Being told of new blocks, transactions and the life of a pool, over a WebSocket."""

# Functions and parameters have the names that callers use.
# ruff: noqa: A002

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rpc.block_events import NEW_HEADS, TRANSACTIONS, Topic, pool_topic
from rpc.errors import invalid_params
from rpc.registry import Param, method
from rpc.values import HASH, OBJECT, one_of, read, record, text

if TYPE_CHECKING:
    from rpc.ports import NodePort
    from rpc.session import Session

_POOL_PARAMS: Final = record({"cptxHash": HASH})
_ID_CHARACTERS_MAX: Final = 18


@method(
    "chain_subscribe",
    Param("kind", one_of("newHeads", "transactions", "pool")),
    Param("params", OBJECT, default={}, about="{cptxHash} for pool, {} for the others"),
    result="the id of the subscription",
    websocket_only=True,
)
def chain_subscribe(node: NodePort, session: Session, *, kind: str, params: dict[str, Any]) -> str:
    """Be told of every block after the present head, in order and without gaps.

    Events are notifications {method: "chain_subscription", params: {subscription, result}}. The
    result is for newHeads what chain_getHeader answers; for transactions a transaction object with
    its receipt; for pool {event, pool, transactionHash, blockHeight}, where event is "created",
    "settled", "slashed" or "expired", transactionHash is null for expired, and pool is the record
    after the whole block, the same in all events of one block: the one that proof_getState proves.

    A pool need not exist yet. A connection whose reader does not keep up is closed: connect again and
    read what was missed. Events stop with the connection. Too many subscriptions of one connection:
    LIMIT.
    """
    return node.subscriptions.add(session, _topic(kind, params), node.view().height)


@method(
    "chain_unsubscribe",
    Param("id", text(_ID_CHARACTERS_MAX), about="what chain_subscribe answered"),
    result="true, or false if this connection has no such subscription",
    websocket_only=True,
)
def chain_unsubscribe(node: NodePort, session: Session, *, id: str) -> bool:
    """End a subscription of this connection; what is queued already still comes."""
    return node.subscriptions.remove(session, id)


def _topic(kind: str, params: dict[str, Any]) -> Topic:
    if kind == "pool":
        return pool_topic(read(_POOL_PARAMS, params, "params")["cptxHash"])
    if params:
        raise invalid_params("params", f"no members for {kind}", next(iter(params)))
    return NEW_HEADS if kind == "newHeads" else TRANSACTIONS


SUBSCRIPTION_METHODS: Final = (chain_subscribe, chain_unsubscribe)

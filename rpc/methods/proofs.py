"""Proofs that stand alone: documents that anybody checks offline who knows the authority and the genesis."""

# Functions and parameters have the names that callers use.
# ruff: noqa: A002, N802

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ledger.records import BURNED_KEY, account_key, pool_key, target_key
from rpc.errors import RpcError
from rpc.lookup import Block, find_committed, find_height, need_height, past_state
from rpc.proof_documents import consistency_document, header_document, state_document, transaction_document
from rpc.registry import Param, method
from rpc.shapes import Json
from rpc.values import ADDRESS, BLOCK, HASH, BadValue, Kind, bytes_text, quantity_text, record

if TYPE_CHECKING:
    from rpc.ports import NodePort
    from storage.chain_view import ChainView

_ACCOUNT: Final = record({"account": ADDRESS})
_POOL: Final = record({"cptxHash": HASH, "target": ADDRESS}, optional=("target",))


def _read_state_key(value: object) -> bytes:
    """Return the state key (ledger.records) that an object names."""
    if not isinstance(value, dict):
        raise BadValue(STATE_KEY.expected, value)
    if "account" in value:
        return account_key(_ACCOUNT.read(value)["account"])
    if "cptxHash" in value:
        found = _POOL.read(value)
        target = found["target"]
        return pool_key(found["cptxHash"]) if target is None else target_key(found["cptxHash"], target)
    if value.keys() == {"burned"} and value["burned"] is True:
        return BURNED_KEY
    raise BadValue(STATE_KEY.expected, value)


STATE_KEY: Final[Kind[bytes]] = Kind(
    "one of {account}, {cptxHash}, {cptxHash, target}, {burned: true}",
    MappingProxyType(
        {
            "oneOf": [
                dict(_ACCOUNT.schema),
                dict(_POOL.schema),
                {
                    "type": "object",
                    "properties": {"burned": {"const": True}},
                    "required": ["burned"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
    _read_state_key,
)
_HEAD: Final = Param("head", BLOCK, default="latest", about="the block in whose history the proof is to end")


@method("proof_getTransaction", Param("hash", HASH), _HEAD, result="a proof document of kind transaction")
def proof_getTransaction(node: NodePort, *, hash: bytes, head: Block) -> Json:
    """The proof that a transaction is in a block, and this block in the history of a head.

    In no block yet: PENDING with data.hash. Unknown or dropped: NOT_FOUND. No such head:
    HEAD_UNKNOWN; one below the transaction's block: HEAD_TOO_OLD.
    """
    view = node.view()
    found = find_committed(node, view, hash)
    if found is None:
        name = bytes_text(hash)
        if node.pending(hash) is not None:
            raise RpcError("PENDING", "a transaction that is in a block", "one that waits for its block", hash=name)
        raise RpcError("NOT_FOUND", "the hash of a committed transaction", name)
    head_height = _need_head(view, head, found.place.height)
    return transaction_document(view, node.domain, found, view.sealed_header(head_height))


@method(
    "proof_getHeader",
    Param("height", BLOCK, about="a height; the other ways to name a block will do as well"),
    _HEAD,
    result="a proof document of kind header",
)
def proof_getHeader(node: NodePort, *, height: Block, head: Block) -> Json:
    """The proof that a block is in the history of a head.

    No such block: NOT_FOUND. No such head: HEAD_UNKNOWN; one below the block: HEAD_TOO_OLD.
    """
    view = node.view()
    found = need_height(view, height)
    return header_document(view, node.domain, found, _need_head(view, head, found))


@method(
    "proof_getConsistency",
    Param("from", BLOCK, about="the older head"),
    Param("to", BLOCK, about="the newer head"),
    result="a proof document of kind consistency",
)
def proof_getConsistency(node: NodePort, **heads: Block) -> Json:
    """The proof that two heads belong to one history: for clients that know the older one.

    No such head, either of them: HEAD_UNKNOWN; `to` below `from`: HEAD_TOO_OLD.
    """
    view = node.view()
    first = _need_head(view, heads["from"], 0)
    return consistency_document(view, node.domain, first, _need_head(view, heads["to"], first))


@method(
    "proof_getState",
    Param("key", STATE_KEY),
    Param("block", BLOCK, default="latest", about="the block after which the state is meant"),
    result="a proof document of kind state",
)
def proof_getState(node: NodePort, *, key: bytes, block: Block) -> Json:
    """The proof of a record, or of its absence, in the state after a block.

    Absence is proved like presence, so an unknown account, pool or target is no error: its record is
    null. No such block: NOT_FOUND. Kept are the states of the head and of the 128 blocks before it;
    an older one: NOT_READY.
    """
    view = node.view()
    return state_document(view, node.domain, past_state(view, need_height(view, block)), key)


def _need_head(view: ChainView, head: Block, lowest: int) -> int:
    """Return the height of a head that is not below `lowest`; raises RpcError HEAD_UNKNOWN or HEAD_TOO_OLD."""
    height = find_height(view, head)
    if height is None:
        given = bytes_text(head) if isinstance(head, bytes) else quantity_text(int(head))
        known = f"a block of this chain, whose head is at {quantity_text(view.height)}"
        raise RpcError("HEAD_UNKNOWN", known, given)
    if height < lowest:
        raise RpcError("HEAD_TOO_OLD", f"a head at {quantity_text(lowest)} or above", quantity_text(height))
    return height


PROOF_METHODS: Final = (proof_getTransaction, proof_getHeader, proof_getConsistency, proof_getState)

"""Transactions on their way into a block: what to sign, submitting, trying."""

# Functions and parameters have the names that callers use.
# ruff: noqa: A002, N802

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crypto.hashing import keccak256
from ledger.errors import Refusal
from rpc.dispatch import Later
from rpc.errors import RpcError, refused
from rpc.lookup import find_committed
from rpc.proof_documents import transaction_document
from rpc.registry import Param, method
from rpc.shapes import Json, receipt_json
from rpc.transaction_json import TRANSACTION, GivenTransaction, check_sender
from rpc.typed_data import DOCUMENTS, typed_data
from rpc.values import BYTES, OBJECT, array_of, bytes_text, either, one_of
from txtypes.table import KINDS

if TYPE_CHECKING:
    from rpc.ports import NodePort

WAIT_SECONDS: Final = 30.0
_REPEATED: Final = ("ALREADY_KNOWN", "ALREADY_COMMITTED")
# The node's own maxRaws is checked by the method; this only bounds what is read before.
_RAWS_READ_MAX: Final = 100_000


@method(
    "tx_typedData",
    Param("type", one_of(*DOCUMENTS)),
    Param("fields", OBJECT, about="the fields of the transaction, flat; what the document does not show may be absent"),
    result="{types, primaryType, domain, message}",
)
def tx_typedData(node: NodePort, *, type: str, fields: dict[str, Any]) -> Json:
    """The EIP-712 document that a wallet signs (eth_signTypedData_v4).

    "ServicePayment" is the pool creator's, who signs it off-chain; "Settlement" is the target's, who
    publishes it, made from the same flat fields {target, amount, cptxHash, tgtSeq, fee}. Integers of
    the message are decimal strings, domain.chainId is a JSON number.
    """
    return typed_data(node.domain, type, fields)


@method(
    "tx_submit",
    Param("raw", either(BYTES, TRANSACTION), alias="transaction"),
    Param("wait", one_of("pooled", "committed"), default="pooled"),
    result="{hash, receipt, proof}; receipt and proof are null unless wait is committed",
    write=True,
)
async def tx_submit(node: NodePort, *, raw: bytes | GivenTransaction, wait: str) -> Json | Later:
    """Submit a transaction.

    "pooled" answers when it is in the mempool, which a crash forgets; "committed" when its block is
    on disk, within 30 seconds, or with PENDING; `proof` is then what proof_getTransaction answers for
    the head of that moment. One that leaves the mempool meanwhile answers with its reason. All these
    errors carry data.hash, and so do ALREADY_KNOWN and ALREADY_COMMITTED. With "committed" a repeated
    call answers as if it were the first, so after a broken connection the same call is simply made
    again.
    """
    if isinstance(raw, GivenTransaction):
        check_sender(raw, node.decode(raw.raw))
        raw = raw.raw
    transaction_hash = keccak256(raw)
    try:
        await node.submit(raw)
    except Refusal as refusal:
        if refusal.reason not in _REPEATED:
            raise
        if wait == "pooled":
            raise refused(refusal, hash=bytes_text(transaction_hash)) from refusal
    if wait == "pooled":
        return {"hash": bytes_text(transaction_hash), "receipt": None, "proof": None}
    return Later(_committed_answer(node, transaction_hash))


@method(
    "tx_submitMany",
    Param("raws", array_of(BYTES, _RAWS_READ_MAX), about="raw transactions, at most maxRaws"),
    result="an array of {hash} or {error}, in the order of the raws",
    write=True,
)
async def tx_submitMany(node: NodePort, *, raws: list[bytes]) -> list[Json]:
    """Submit many transactions in order; each may build on the ones before it.

    Every item answers for itself: {hash} when pooled, else {error} as a call of its own would have
    it. More than maxRaws: LIMIT, and none is submitted.
    """
    raws_max = node.limits.raws_max
    if len(raws) > raws_max:
        raise RpcError("LIMIT", f"at most {raws_max} raws", str(len(raws)))
    results = await node.submit_many(raws)
    return [_item_json(raw, result) for raw, result in zip(raws, results, strict=True)]


@method("tx_simulate", Param("raw", BYTES), result="the receipt it would get now")
async def tx_simulate(node: NodePort, *, raw: bytes) -> Json:
    """The receipt that a transaction would get in the next block, behind the pending ones it builds on.

    Nothing is submitted. blockHeight is head + 1, blockHash and index are null. The receipt of a
    transaction that is pending already is the one it is waiting for. Refused: the reason that
    tx_submit would give.
    """
    view = node.view()
    transaction = node.decode(raw)
    if view.location(transaction.hash) is not None:
        refusal = Refusal("ALREADY_COMMITTED", "a transaction that is in no block", bytes_text(transaction.hash))
        raise refused(refusal, hash=bytes_text(transaction.hash))
    return receipt_json(await node.simulate(transaction), transaction.kind.name, None, view.height + 1)


async def _committed_answer(node: NodePort, transaction_hash: bytes) -> Json:
    """Return the answer for a transaction that was pooled or committed, when it is committed.

    Raises RpcError: PENDING after 30 seconds, or why it left the mempool.
    """
    name = bytes_text(transaction_hash)
    try:
        dropped = await node.wait_until_settled(transaction_hash, WAIT_SECONDS)
    except TimeoutError:
        raise _still_pending(name) from None
    if dropped is not None:
        raise refused(dropped.refusal, hash=name)
    view = node.view()
    found = find_committed(node, view, transaction_hash)
    if found is None:
        raise _still_pending(name)
    head = view.sealed_header(view.height)
    return {
        "hash": name,
        "receipt": receipt_json(found.receipt, KINDS[found.raw[0]].name, found.place),
        "proof": transaction_document(view, node.domain, found, head),
    }


def _item_json(raw: bytes, result: bytes | Refusal) -> Json:
    if isinstance(result, bytes):
        return {"hash": bytes_text(result)}
    extra = {"hash": bytes_text(keccak256(raw))} if result.reason in _REPEATED else {}
    return {"error": refused(result, **extra).as_json()}


def _still_pending(name: str) -> RpcError:
    return RpcError("PENDING", f"a block within {WAIT_SECONDS:.0f} seconds", "none yet", hash=name)


TRANSACTION_METHODS: Final = (tx_typedData, tx_submit, tx_submitMany, tx_simulate)

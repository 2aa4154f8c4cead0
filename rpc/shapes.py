"""Ledger objects as the JSON that callers get (docs/rpc.md).

camelCase; quantities as 0x-hex, addresses with their checksum, bytes in lower case; a member
without a value is null, never missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crypto.address import checksum_address
from ledger.receipt import Outcome

from .fields import fields_json, signatures_json
from .values import bytes_text, quantity_text

if TYPE_CHECKING:
    from consensus.pending import Dropped
    from ledger.block import SealedHeader
    from ledger.header import Header
    from ledger.receipt import Receipt
    from ledger.supply import Supply
    from ledger.transaction import AnyTransaction

    from .ports import Sealing

Json = dict[str, Any]
_PAYING: Final = (Outcome.SETTLED, Outcome.SLASHED)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a transaction is in the chain."""

    height: int
    block_hash: bytes
    index: int


def header_json(header: Header) -> Json:
    """Return the ten members of a header, in the order in which they are hashed."""
    return {
        "chainId": quantity_text(header.chain_id),
        "height": quantity_text(header.height),
        "timestamp": quantity_text(header.timestamp),
        "parentHash": bytes_text(header.parent_hash),
        "txRoot": bytes_text(header.tx_root),
        "txCount": quantity_text(header.tx_count),
        "receiptsRoot": bytes_text(header.receipts_root),
        "stateRoot": bytes_text(header.state_root),
        "historyRoot": bytes_text(header.history_root),
        "authority": checksum_address(header.authority),
    }


def sealed_header_json(sealed: SealedHeader) -> Json:
    """Return a block without its transactions: hash, header, headerBytes (the 320 that are hashed), seal."""
    header = sealed.header
    return {
        "hash": bytes_text(header.hash()),
        "header": header_json(header),
        "headerBytes": bytes_text(header.encode()),
        "seal": None if sealed.seal is None else bytes_text(sealed.seal),
    }


def supply_json(genesis_supply: int, supply: Supply) -> Json:
    """Return where all tokens are: genesis = balances + locked + burned."""
    return {
        "genesis": quantity_text(genesis_supply),
        "balances": quantity_text(supply.balances),
        "locked": quantity_text(supply.locked),
        "burned": quantity_text(supply.burned),
    }


def sealing_json(sealing: Sealing) -> str:
    """Return `on-transaction`, `manual` or a quantity of seconds."""
    return sealing if isinstance(sealing, str) else quantity_text(sealing)


def receipt_json(receipt: Receipt, type_name: str, place: Place | None, height: int | None = None) -> Json:
    """Return a receipt, with its place unless it is simulated for the block at `height`.

    Null where the outcome has no such thing: cptxHash of a Transfer, paid unless the target was
    paid, burned and reward unless the pool was slashed. The hashed receipt has zeros there.
    """
    outcome = receipt.outcome
    is_slash = outcome is Outcome.SLASHED
    return {
        "transactionHash": bytes_text(receipt.transaction_hash),
        "type": type_name,
        **_place_json(place, height),
        "outcome": outcome.name.lower(),
        "fee": quantity_text(receipt.fee),
        "cptxHash": None if outcome is Outcome.TRANSFERRED else bytes_text(receipt.cptx_hash),
        "paid": quantity_text(receipt.paid) if outcome in _PAYING else None,
        "burned": quantity_text(receipt.burned) if is_slash else None,
        "reward": quantity_text(receipt.reward) if is_slash else None,
    }


def committed_json(transaction: AnyTransaction, receipt: Receipt, place: Place) -> Json:
    """Return a transaction that is in a block."""
    return _transaction_json(transaction, "committed", place, receipt_json(receipt, transaction.kind.name, place))


def pending_json(transaction: AnyTransaction) -> Json:
    """Return a transaction that waits for a block."""
    return _transaction_json(transaction, "pending")


def dropped_json(dropped: Dropped) -> Json:
    """Return a transaction that left the mempool without a block, with the reason in `dropReason`."""
    refusal = dropped.refusal
    reason = {"reason": refusal.reason, "expected": refusal.expected, "given": refusal.given}
    return {**_transaction_json(dropped.transaction, "dropped"), "dropReason": reason}


def _transaction_json(
    transaction: AnyTransaction,
    status: str,
    place: Place | None = None,
    receipt: Json | None = None,
) -> Json:
    kind, raw = transaction.kind, transaction.raw
    return {
        "hash": bytes_text(transaction.hash),
        "type": kind.name,
        "fields": fields_json(kind, raw),
        **signatures_json(kind, raw),
        "from": checksum_address(transaction.sender),
        "raw": bytes_text(raw),
        "status": status,
        **_place_json(place),
        "receipt": receipt,
        "dropReason": None,
    }


def _place_json(place: Place | None, height: int | None = None) -> Json:
    if place is None:
        return {
            "blockHeight": None if height is None else quantity_text(height),
            "blockHash": None,
            "index": None,
        }
    return {
        "blockHeight": quantity_text(place.height),
        "blockHash": bytes_text(place.block_hash),
        "index": quantity_text(place.index),
    }

"""Blocks, transactions and receipts in the form that Ethereum tools read (execution-apis).

Nothing here is an Ethereum transaction: tools see what corresponds, and enough to show it. One
unit of gas is one transaction and its price is the fee, so that gas times price is what was paid.
The base fee is 0: all of a fee goes to the authority, none is burned. There are no logs, no code
and no uncles. The seal is not in extraData, where 97 bytes make web3.py refuse a block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from crypto.address import ZERO_ADDRESS, checksum_address

from .values import bytes_text, quantity_text

if TYPE_CHECKING:
    from ledger.block import Block
    from ledger.genesis import Genesis
    from ledger.receipt import Receipt
    from ledger.transaction import AnyTransaction

    from .shapes import Json, Place

GAS: Final = "0x1"
ZERO: Final = "0x0"
LEGACY_TYPE: Final = "0x0"
NO_BLOOM: Final = "0x" + 256 * "00"
NO_HASH: Final = "0x" + 32 * "00"
NO_UNCLES: Final = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"
"""Keccak-256 of an empty RLP list."""


def eth_block_json(block: Block, genesis: Genesis, size: int, transactions: list[str] | list[Json]) -> Json:
    """Return a block of `size` bytes with its transactions, given as hashes or objects."""
    header = block.header
    return {
        "number": quantity_text(header.height),
        "hash": bytes_text(header.hash()),
        "parentHash": bytes_text(header.parent_hash),
        "nonce": "0x" + 8 * "00",
        "sha3Uncles": NO_UNCLES,
        "logsBloom": NO_BLOOM,
        "transactionsRoot": bytes_text(header.tx_root),
        "stateRoot": bytes_text(header.state_root),
        "receiptsRoot": bytes_text(header.receipts_root),
        "miner": checksum_address(header.authority),
        "difficulty": ZERO,
        "totalDifficulty": ZERO,
        "extraData": "0x",
        "size": quantity_text(size),
        "gasLimit": quantity_text(genesis.max_block_transactions),
        "gasUsed": quantity_text(header.tx_count),
        "timestamp": quantity_text(header.timestamp),
        "baseFeePerGas": ZERO,
        "mixHash": NO_HASH,
        "uncles": [],
        "transactions": transactions,
    }


def eth_transaction_json(transaction: AnyTransaction, chain_id: int, place: Place | None) -> Json:
    """Return a transaction in the form of a legacy one, and its type here in `poolchainType`.

    A Transfer looks as it does elsewhere. A CreatePool goes to the zero address, for a pool has
    none, with the deposit and collateral as its value. A ServicePayment goes from the target to
    itself with value 0, for what it is paid does not come out of its own account. The nonce is the
    place in the sender's queue: of a ServicePayment, tgtSeq. Of these two, input is the raw
    transaction. r, s and v are real, but over the EIP-712 digest.
    """
    to, value = _movement(transaction)
    is_transfer = transaction.kind.name == "Transfer"
    signature = transaction.raw[-65:]
    return {
        "type": LEGACY_TYPE,
        "hash": bytes_text(transaction.hash),
        **_place_json(place),
        "from": checksum_address(transaction.sender),
        "to": checksum_address(to),
        "value": quantity_text(value),
        "nonce": quantity_text(transaction.kind.lane(transaction).position),
        "gas": GAS,
        "gasPrice": quantity_text(transaction.fields.fee),
        "input": "0x" if is_transfer else bytes_text(transaction.raw),
        "chainId": quantity_text(chain_id),
        "r": quantity_text(int.from_bytes(signature[:32], "big")),
        "s": quantity_text(int.from_bytes(signature[32:64], "big")),
        "v": quantity_text(signature[64]),
        "poolchainType": transaction.kind.name,
    }


def eth_receipt_json(transaction: AnyTransaction, receipt: Receipt, place: Place) -> Json:
    """Return a receipt: status 1, for inclusion means success, and no logs.

    effectiveGasPrice is the fee taken. What else happened is in chain_getTransaction's receipt.
    """
    to, _ = _movement(transaction)
    return {
        "type": LEGACY_TYPE,
        "transactionHash": bytes_text(receipt.transaction_hash),
        **_place_json(place),
        "from": checksum_address(transaction.sender),
        "to": checksum_address(to),
        "cumulativeGasUsed": quantity_text(place.index + 1),
        "gasUsed": GAS,
        "effectiveGasPrice": quantity_text(receipt.fee),
        "contractAddress": None,
        "logs": [],
        "logsBloom": NO_BLOOM,
        "status": "0x1",
        "poolchainOutcome": receipt.outcome.name.lower(),
    }


def _movement(transaction: AnyTransaction) -> tuple[bytes, int]:
    """Return where the sender's tokens go and how many, fee apart."""
    fields = transaction.fields
    match transaction.kind.name:
        case "Transfer":
            return fields.to, fields.amount
        case "CreatePool":
            return ZERO_ADDRESS, fields.deposit + fields.collateral
        case "ServicePayment":
            return fields.target, 0
        case _:
            return ZERO_ADDRESS, 0


def _place_json(place: Place | None) -> Json:
    if place is None:
        return {"blockHash": None, "blockNumber": None, "transactionIndex": None}
    return {
        "blockHash": bytes_text(place.block_hash),
        "blockNumber": quantity_text(place.height),
        "transactionIndex": quantity_text(place.index),
    }

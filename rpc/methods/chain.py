"""The chain itself: status, blocks, headers, transactions by hash."""

# Functions and parameters have the names that callers use.
# ruff: noqa: A002, N802

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from crypto.address import checksum_address
from rpc.errors import RpcError
from rpc.lookup import Block, find_committed, need_height
from rpc.registry import Param, method
from rpc.shapes import (
    Json,
    Place,
    committed_json,
    dropped_json,
    pending_json,
    sealed_header_json,
    sealing_json,
    supply_json,
)
from rpc.values import BLOCK, BOOLEAN, HASH, bytes_text, quantity_text

if TYPE_CHECKING:
    from rpc.limits import Limits
    from rpc.ports import NodePort

TRANSACTIONS_BETWEEN_PAUSES: Final = 32
"""Recovering the signers of a whole block takes long enough that others must get their turn."""


@method(
    "chain_status",
    result="chainId, clientVersion, authority, genesisHash, head {height, hash, timestamp}, pending, sealing, "
    "parameters {blockInterval, minFee, reward}, "
    "limits {maxBodyBytes, maxBatch, maxRaws, maxPageSize, mempoolTransactions}, "
    "supply {genesis, balances, locked, burned}",
)
def chain_status(node: NodePort) -> Json:
    """What this node is and where it stands.

    `sealing` is "on-transaction", "manual" or a quantity of seconds. The supply is that of the
    head: genesis = balances + locked + burned. The parameters are those of the genesis that a client
    needs to state fees, collaterals and durations; the interval in seconds.
    """
    tip = node.view().tip()
    return {
        "chainId": quantity_text(node.domain.chain_id),
        "clientVersion": node.client_version,
        "authority": checksum_address(node.genesis.authority),
        "genesisHash": bytes_text(node.domain.genesis_hash),
        "head": {
            "height": quantity_text(tip.header.height),
            "hash": bytes_text(tip.hash),
            "timestamp": quantity_text(tip.header.timestamp),
        },
        "pending": quantity_text(node.pending_count()),
        "sealing": sealing_json(node.sealing),
        "parameters": {
            "blockInterval": quantity_text(node.genesis.block_interval),
            "minFee": quantity_text(node.genesis.min_fee),
            "reward": quantity_text(node.genesis.reward),
        },
        "limits": _limits_json(node.limits),
        "supply": supply_json(node.genesis.supply, tip.supply),
    }


@method(
    "chain_getBlock",
    Param("block", BLOCK),
    Param("full", BOOLEAN, default=False, about="true for transaction objects instead of hashes"),
    result="hash, header, headerBytes, seal, transactions",
)
async def chain_getBlock(node: NodePort, *, block: Block, full: bool) -> Json:
    """A block: its sealed header and its transactions in their order.

    Unknown: NOT_FOUND. The seal of block 0 is null.
    """
    view = node.view()
    found = node.recent_blocks.read(view, need_height(view, block))
    answer = sealed_header_json(found.block.sealed_header)
    if not full:
        return {**answer, "transactions": [bytes_text(receipt.transaction_hash) for receipt in found.receipts]}
    transactions = []
    for index, (raw, receipt) in enumerate(zip(found.block.transactions, found.receipts, strict=True)):
        place = Place(found.block.header.height, found.hash, index)
        transactions.append(committed_json(node.decode(raw), receipt, place))
        if index % TRANSACTIONS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
    return {**answer, "transactions": transactions}


@method("chain_getGenesis", result="genesisHash, genesis, headerBytes")
def chain_getGenesis(node: NodePort) -> Json:
    """The genesis file, and block 0's header: who trusts the genesis hash checks all parameters with them.

    The Keccak-256 of headerBytes is the genesisHash. The members of `genesis` come in the order of RFC 8785: written
    without white space they are the bytes whose Keccak-256 is that header's parentHash. A file of more allocations
    than an answer has room for, about 300,000: LIMIT.
    """
    return {
        "genesisHash": bytes_text(node.domain.genesis_hash),
        "genesis": json.loads(node.genesis.canonical_bytes()),
        "headerBytes": bytes_text(node.view().sealed_header(0).header.encode()),
    }


@method("chain_getHeader", Param("block", BLOCK), result="hash, header, headerBytes, seal")
def chain_getHeader(node: NodePort, *, block: Block) -> Json:
    """A block's sealed header; headerBytes are the 320 bytes whose Keccak-256 is the hash.

    Unknown: NOT_FOUND. The seal of block 0 is null.
    """
    view = node.view()
    return sealed_header_json(view.sealed_header(need_height(view, block)))


@method("chain_getTransaction", Param("hash", HASH), result="the transaction object")
def chain_getTransaction(node: NodePort, *, hash: bytes) -> Json:
    """A transaction with its status: committed, pending or dropped.

    Of a dropped one `dropReason` is {reason, expected, given}, of all others it is null. The last
    10,000 that left the mempool without a block are known, also when another took their place
    (REPLACED). Unknown: NOT_FOUND.
    """
    found = find_committed(node, node.view(), hash)
    if found is not None:
        return committed_json(node.decode(found.raw), found.receipt, found.place)
    pending = node.pending(hash)
    if pending is not None:
        return pending_json(pending)
    dropped = node.dropped(hash)
    if dropped is not None:
        return dropped_json(dropped)
    raise RpcError("NOT_FOUND", "the hash of a committed, pending or recently dropped transaction", bytes_text(hash))


def _limits_json(limits: Limits) -> Json:
    return {
        "maxBodyBytes": quantity_text(limits.body_bytes_max),
        "maxBatch": quantity_text(limits.batch_max),
        "maxRaws": quantity_text(limits.raws_max),
        "maxPageSize": quantity_text(limits.page_size_max),
        "mempoolTransactions": quantity_text(limits.mempool_transactions),
    }


CHAIN_METHODS: Final = (chain_status, chain_getGenesis, chain_getBlock, chain_getHeader, chain_getTransaction)

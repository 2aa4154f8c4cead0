"""The reads that Ethereum tools begin with, so that ethers, web3.py, viem, cast and wallets connect.

Only reads: our transactions are not Ethereum's, and no wallet can make them through
eth_sendTransaction. They are signed as typed data (tx_typedData) and sent with tx_submit.
eth_sendRawTransaction, eth_estimateGas and eth_call are therefore absent rather than pretended.
"""

# Functions and parameters have the names that callers use.
# ruff: noqa: ARG001, N802

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from ledger.records import ABSENT_ACCOUNT, Account, account_key
from rpc.ethereum_shapes import ZERO, eth_block_json, eth_receipt_json, eth_transaction_json
from rpc.ethereum_values import ETH_BLOCK, ETH_HASH, EthBlock
from rpc.lookup import find_committed, find_height, need_height, past_state
from rpc.registry import Param, method
from rpc.shapes import Json, Place
from rpc.values import ADDRESS, BOOLEAN, bytes_text, quantity_text

from .chain import TRANSACTIONS_BETWEEN_PAUSES

if TYPE_CHECKING:
    from rpc.ports import NodePort
    from storage.chain_view import ChainView

_ADDRESS = Param("address", ADDRESS)
_BLOCK = Param("block", ETH_BLOCK, default="latest")
_FULL = Param("full", BOOLEAN, default=False, about="true for transaction objects instead of hashes")
_HASH = Param("hash", ETH_HASH)


@method("eth_chainId", result="the chain id")
def eth_chainId(node: NodePort) -> str:
    """The chain id, which is also in the signing domain."""
    return quantity_text(node.domain.chain_id)


@method("net_version", result="the chain id as a decimal string")
def net_version(node: NodePort) -> str:
    """The chain id, in decimal as this method has always had it."""
    return str(node.domain.chain_id)


@method("web3_clientVersion", result="name and version")
def web3_clientVersion(node: NodePort) -> str:
    """The node's name and version."""
    return node.client_version


@method("eth_blockNumber", result="the height of the head")
def eth_blockNumber(node: NodePort) -> str:
    """The height of the head."""
    return quantity_text(node.view().height)


@method("eth_getBalance", _ADDRESS, _BLOCK, result="the balance in base units")
def eth_getBalance(node: NodePort, *, address: bytes, block: EthBlock) -> str:
    """An account's balance after a block. "pending" is the head: what is pending is not counted.

    Kept are the states of the head and of the 128 blocks before it; an older one: NOT_READY. No such
    block: NOT_FOUND.
    """
    return quantity_text(_account(node.view(), address, block).balance)


@method("eth_getTransactionCount", _ADDRESS, _BLOCK, result="the nonce")
def eth_getTransactionCount(node: NodePort, *, address: bytes, block: EthBlock) -> str:
    """An account's nonce after a block; with "pending", behind its pending transactions as well.

    Kept are the states of the head and of the 128 blocks before it; an older one: NOT_READY. No such
    block: NOT_FOUND.
    """
    if block == "pending":
        return quantity_text(node.next_nonce(address))
    return quantity_text(_account(node.view(), address, block).nonce)


@method("eth_getCode", _ADDRESS, _BLOCK, result='"0x"')
def eth_getCode(node: NodePort, *, address: bytes, block: EthBlock) -> str:
    """No account has code."""
    return "0x"


@method("eth_getBlockByNumber", _BLOCK, _FULL, result="the block, or null")
async def eth_getBlockByNumber(node: NodePort, *, block: EthBlock, full: bool) -> Json | None:
    """A block in Ethereum's form; null where there is none.

    "safe", "finalized" and "pending" are the head: what is committed is final, and what is pending
    is in no block yet. gasUsed is the number of transactions, gasLimit the most there may be.
    """
    return await _eth_block(node, block, full=full)


@method("eth_getBlockByHash", _HASH, _FULL, result="the block, or null")
async def eth_getBlockByHash(node: NodePort, *, hash: bytes, full: bool) -> Json | None:  # noqa: A002
    """A block in Ethereum's form; null where there is none."""
    return await _eth_block(node, hash, full=full)


@method("eth_getBlockTransactionCountByNumber", _BLOCK, result="the number of transactions, or null")
def eth_getBlockTransactionCountByNumber(node: NodePort, *, block: EthBlock) -> str | None:
    """How many transactions a block has; null where there is no such block."""
    return _transaction_count(node.view(), block)


@method("eth_getBlockTransactionCountByHash", _HASH, result="the number of transactions, or null")
def eth_getBlockTransactionCountByHash(node: NodePort, *, hash: bytes) -> str | None:  # noqa: A002
    """How many transactions a block has; null where there is no such block."""
    return _transaction_count(node.view(), hash)


@method("eth_getTransactionByHash", _HASH, result="the transaction, or null")
def eth_getTransactionByHash(node: NodePort, *, hash: bytes) -> Json | None:  # noqa: A002
    """A committed or pending transaction in the form of a legacy Ethereum one; null for all others.

    A Transfer looks as it does elsewhere. A CreatePool goes to the zero address with the deposit and
    collateral as its value; a ServicePayment goes from the target to itself with value 0 and tgtSeq
    as its nonce; of both, input is the raw transaction. gas is 1 and gasPrice the stated fee. r, s
    and v are over the EIP-712 digest. `poolchainType` is the type here.
    """
    chain_id = node.domain.chain_id
    found = find_committed(node, node.view(), hash)
    if found is not None:
        return eth_transaction_json(node.decode(found.raw), chain_id, found.place)
    pending = node.pending(hash)
    return None if pending is None else eth_transaction_json(pending, chain_id, None)


@method("eth_getTransactionReceipt", _HASH, result="the receipt, or null")
def eth_getTransactionReceipt(node: NodePort, *, hash: bytes) -> Json | None:  # noqa: A002
    """The receipt of a committed transaction in Ethereum's form; null for all others.

    status is always 1: what breaks a rule never enters a block. A settlement that showed a double
    spend is told apart by `poolchainOutcome` "slashed"; amounts are in chain_getTransaction.
    """
    found = find_committed(node, node.view(), hash)
    return None if found is None else eth_receipt_json(node.decode(found.raw), found.receipt, found.place)


@method("eth_gasPrice", result="the genesis minimum fee")
def eth_gasPrice(node: NodePort) -> str:
    """The lowest fee of a transaction, which is one unit of gas."""
    return quantity_text(node.genesis.min_fee)


@method("eth_maxPriorityFeePerGas", result="the genesis minimum fee")
def eth_maxPriorityFeePerGas(node: NodePort) -> str:
    """The lowest fee of a transaction: the base fee is 0, the authority gets all of it."""
    return quantity_text(node.genesis.min_fee)


@method("eth_syncing", result="false")
def eth_syncing(node: NodePort) -> bool:
    """The node serves its own chain and is never behind it."""
    return False


@method("eth_accounts", result="[]")
def eth_accounts(node: NodePort) -> list[str]:
    """The node holds no keys that callers could sign with."""
    return []


@method("net_listening", result="true")
def net_listening(node: NodePort) -> bool:
    """Whoever reads this has reached the node."""
    return True


@method("net_peerCount", result="0x0")
def net_peerCount(node: NodePort) -> str:
    """The node has no peers of its own kind."""
    return ZERO


async def _eth_block(node: NodePort, block: EthBlock, *, full: bool) -> Json | None:
    view = node.view()
    height = find_height(view, block)
    if height is None:
        return None
    found = node.recent_blocks.read(view, height)
    size = len(view.block_bytes(height))
    if not full:
        hashes = [bytes_text(receipt.transaction_hash) for receipt in found.receipts]
        return eth_block_json(found.block, node.genesis, size, hashes)
    objects: list[dict[str, Any]] = []
    for index, raw in enumerate(found.block.transactions):
        place = Place(height, found.hash, index)
        objects.append(eth_transaction_json(node.decode(raw), node.domain.chain_id, place))
        if index % TRANSACTIONS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)
    return eth_block_json(found.block, node.genesis, size, objects)


def _transaction_count(view: ChainView, block: EthBlock) -> str | None:
    height = find_height(view, block)
    return None if height is None else quantity_text(view.sealed_header(height).header.tx_count)


def _account(view: ChainView, address: bytes, block: EthBlock) -> Account:
    """Return an account after a block; raises RpcError NOT_FOUND or NOT_READY."""
    record = past_state(view, need_height(view, block)).get(account_key(address))
    return Account.decode(record) if record else ABSENT_ACCOUNT


ETHEREUM_METHODS: Final = (
    eth_chainId,
    net_version,
    web3_clientVersion,
    eth_blockNumber,
    eth_getBalance,
    eth_getTransactionCount,
    eth_getCode,
    eth_getBlockByNumber,
    eth_getBlockByHash,
    eth_getBlockTransactionCountByNumber,
    eth_getBlockTransactionCountByHash,
    eth_getTransactionByHash,
    eth_getTransactionReceipt,
    eth_gasPrice,
    eth_maxPriorityFeePerGas,
    eth_syncing,
    eth_accounts,
    net_listening,
    net_peerCount,
)

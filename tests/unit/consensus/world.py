"""A chain in memory with its authority and its mempool, and short ways to speak to them.

The parameters are those of tests.model.small_chain: minimum fee 10, reward 100, durations from 2 to 50 blocks, two
expiries in one block; Alice has 1,000,000, Bob 5,000, Dave 100, Carol and the authority nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from consensus.authority import Authority
from consensus.chain import Chain
from consensus.mempool import DEFAULT_CAPACITY, Mempool
from consensus.pending import Dropped, Pending
from crypto.signature import SigningKey
from ledger.errors import Refusal
from ledger.genesis import Genesis, parse_genesis
from storage.chain_store import ChainStore, create_chain
from storage.memory import MemoryDisk, MemoryKeyValue
from storage.memory_signing import MemorySigningFile, MemorySigningRecord
from tests.model import signing
from tests.model.small_chain import ALICE_KEY, AUTHORITY_KEY, CAROL, RESOURCE, genesis
from txtypes.table import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ledger.block import Block
    from ledger.executed import ExecutedBlock
    from ledger.receipt import Receipt
    from ledger.transaction import AnyTransaction

TREE_CACHE_BYTES = 1 << 10
START = 0x6955B900
"""Timestamp of the genesis."""


def small_genesis(**changes: object) -> Genesis:
    return parse_genesis(json.dumps(genesis(**changes)).encode())


def funded(*people: bytes, amount: int = 1_000_000) -> dict[str, str]:
    """An `alloc` in which each of these addresses has the same amount."""
    return {"0x" + who.hex(): hex(amount) for who in people}


class Signer:
    """Makes decoded transactions for one chain."""

    def __init__(self, chain_genesis: Genesis, genesis_hash: bytes) -> None:
        self.domain = chain_genesis.domain(genesis_hash)
        self.signing = signing.Domain(chain_genesis.chain_id, genesis_hash)

    def decode(self, raw: bytes) -> AnyTransaction:
        return decode(raw, self.domain)

    def decode_all(self, raws: Sequence[bytes]) -> Sequence[AnyTransaction]:
        return [decode(raw, self.domain) for raw in raws]

    def transfer(
        self, key: bytes, nonce: int = 0, fee: int = 10, *, to: bytes = CAROL, amount: int = 1
    ) -> AnyTransaction:
        return self.decode(signing.transfer(key, self.signing, to, amount, fee, nonce))

    def create(
        self,
        nonce: int = 0,
        fee: int = 10,
        *,
        key: bytes = ALICE_KEY,
        resource: bytes = RESOURCE,
        deposit: int = 1000,
        collateral: int = 1500,
        duration: int = 10,
    ) -> AnyTransaction:
        numbers = (deposit, collateral, duration, fee, nonce)
        return self.decode(signing.create_pool(key, self.signing, resource, *numbers))

    def pay(
        self, target_key: bytes, pool: bytes, amount: int, seq: int = 1, fee: int = 10, *, creator: bytes = ALICE_KEY
    ) -> AnyTransaction:
        return self.decode(signing.service_payment(creator, target_key, self.signing, amount, pool, seq, fee))

    def again(self, key: bytes, transaction: AnyTransaction, nonce: int = 7) -> AnyTransaction:
        """The same content with another signature of its sender, hence another hash."""
        digest = transaction.kind.digests(transaction.raw, self.domain)[-1]
        return self.decode(transaction.raw[:-65] + signing.sign_with_nonce(key, digest, nonce))


class World(Signer):
    """One node without clock, network or files."""

    def __init__(self, *, capacity: int = DEFAULT_CAPACITY, **changes: object) -> None:
        self.genesis = small_genesis(**changes)
        self.disk = MemoryDisk(undo_max=1000)
        self.store: ChainStore = create_chain(MemoryKeyValue(self.disk), self.genesis)
        super().__init__(self.genesis, self.store.tip().hash)
        self.chain = Chain(self.store, self.genesis, self.domain, TREE_CACHE_BYTES)
        self.file = MemorySigningFile()
        self.record = MemorySigningRecord(self.file)
        self.authority = Authority(self.chain, SigningKey(AUTHORITY_KEY), self.record)
        self.mempool = Mempool(self.genesis, self.chain.state, 0, capacity)

    @property
    def height(self) -> int:
        return self.chain.tip.header.height

    def pool(self, nonce: int = 0, *, deposit: int = 1000, collateral: int = 1500, duration: int = 10) -> bytes:
        """The id of a committed pool of Alice's."""
        creation = self.create(nonce, deposit=deposit, collateral=collateral, duration=duration)
        self.mine(creation)
        return creation.hash

    def add(self, *transactions: AnyTransaction) -> list[Dropped]:
        """Admit transactions in turn; what the last one replaced or pushed out."""
        drops: list[Dropped] = []
        for transaction in transactions:
            drops = self.mempool.add(transaction)
        return drops

    def refuse(self, transaction: AnyTransaction, reason: str) -> Refusal:
        """The mempool refuses the transaction for this reason and stays as it is."""
        before = contents(self.mempool)
        with pytest.raises(Refusal) as caught:
            self.mempool.add(transaction)
        assert caught.value.reason == reason
        assert contents(self.mempool) == before
        return caught.value

    def mine(self, *transactions: AnyTransaction) -> list[Dropped]:
        """Make one block of exactly these, wherever they come from; what the mempool dropped for it."""
        built = self.authority.produce(transactions, START)
        assert not built.skipped
        return self.follow([built.executed])

    def mine_pending(self) -> list[Dropped]:
        """Make one block of what the mempool selects."""
        limits = self.genesis.max_block_transactions, self.genesis.max_block_bytes
        return self.follow([self.authority.produce(self.mempool.select(*limits), START).executed])

    def mine_empty(self, count: int) -> list[Dropped]:
        """Make so many blocks without transactions."""
        drops = []
        while count:
            blocks = self.authority.produce_empty(count, START)
            count -= len(blocks)
            drops += self.follow(blocks)
        return drops

    def follow(self, blocks: Sequence[ExecutedBlock]) -> list[Dropped]:
        """Bring the mempool to the new head, as a node does."""
        hashes = [transaction_hash for executed in blocks for transaction_hash in executed.transaction_hashes]
        last = blocks[-1]
        self.chain.state.advance()
        return self.mempool.on_block(self.chain.state, last.tip.header.height, last.result.changes, hashes)

    def blocks(self) -> list[Block]:
        """All blocks behind block 0."""
        view = self.store.view()
        return [view.block(height) for height in range(1, view.height + 1)]


def contents(mempool: Mempool) -> dict[bytes, list[tuple[bytes, int, Receipt]]]:
    """Everything that is pending, lane by lane: its hash, when it came, what it would do."""
    return {
        key: [(entry.hash, entry.arrival, entry.receipt) for entry in queue.entries]
        for key, queue in mempool._lanes._queues.items()
    }


def judgements(mempool: Mempool) -> list[list[Pending]]:
    """The judgements themselves, lane by lane."""
    return [list(queue.entries) for queue in mempool._lanes._queues.values()]


def reasons(drops: Iterable[Dropped]) -> dict[bytes, str]:
    """Transaction hash -> reason of those that were dropped."""
    return {drop.transaction.hash: drop.refusal.reason for drop in drops}


def hashes(transactions: Iterable[AnyTransaction]) -> list[bytes]:
    return [transaction.hash for transaction in transactions]

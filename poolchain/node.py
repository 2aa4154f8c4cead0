"""A running node: what the RPC methods talk to (rpc.ports.NodePort)."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from consensus.authority import Authority
from consensus.mempool import Mempool
from consensus.pending import Dropped
from crypto.eip712 import Domain
from crypto.signature import SigningKey
from ledger.errors import Refusal
from ledger.executed import ExecutedBlock
from ledger.genesis import Genesis
from ledger.receipt import Receipt
from ledger.records import ABSENT_ACCOUNT, Account, account_key
from ledger.transaction import AnyTransaction, watched_keys
from rpc.errors import StorageFailed
from rpc.limits import Limits
from rpc.ports import BlockListener, Sealing
from rpc.recent_blocks import RecentBlocks
from rpc.subscriptions import Subscriptions
from storage.chain_store import ChainStore
from storage.chain_view import ChainView
from storage.kv import StorageError
from txtypes.table import decode

from .block_maker import BlockMaker
from .clock import Clock
from .signing import sign_transaction
from .verifiers import Verifiers
from .version import VERSION

_STEPS_BETWEEN_PAUSES: Final = 200
"""Lanes that are brought to a new head in one go."""
_ADMISSIONS_BETWEEN_PAUSES: Final = 32
"""Transactions of one call that are judged before other callers get their turn: some milliseconds."""
_READS_BETWEEN_PAUSES: Final = 128
"""Records that are read ahead in one go: about as many as those that are judged in one go ask for."""
_log = logging.getLogger(__name__)


class Node:
    """One chain with its mempool and its block maker. Made and used on the event loop's thread."""

    def __init__(
        self,
        store: ChainStore,
        authority: Authority,
        clock: Clock,
        sealing: Sealing,
        *,
        limits: Limits,
        faucet_key: SigningKey | None = None,
    ) -> None:
        """Begin with an empty mempool at the head; `run` makes blocks."""
        self._store = store
        self._chain = authority.chain
        self._clock = clock
        self._faucet_key = faucet_key
        self.limits = limits
        height = self._chain.tip.header.height
        self._mempool = Mempool(self.genesis, self._chain.state, height, limits.mempool_transactions)
        self.maker = BlockMaker(authority, self._mempool, clock, sealing, self._follow)
        self._waiting: defaultdict[bytes, list[asyncio.Future[Dropped | None]]] = defaultdict(list)
        self.recent_blocks = RecentBlocks()
        self.subscriptions = Subscriptions(limits.websocket_subscriptions_max)
        self._listeners: list[BlockListener] = [self.subscriptions.publish]
        self._verifiers = Verifiers(self.domain)

    @property
    def genesis(self) -> Genesis:
        """The parameters of the chain."""
        return self._chain.genesis

    @property
    def domain(self) -> Domain:
        """The signing domain of the chain."""
        return self._chain.domain

    @property
    def client_version(self) -> str:
        """Name and version."""
        return f"poolchain/{VERSION}"

    @property
    def sealing(self) -> Sealing:
        """How blocks come."""
        return self.maker.sealing

    async def run(self) -> None:
        """Make blocks until `stop` or a failure; then whoever waits for a block is told."""
        await self.maker.run()
        reason = self.maker.failure or "the node is shutting down"
        for future in [future for futures in self._waiting.values() for future in futures if not future.done()]:
            future.set_exception(StorageFailed(reason))

    async def stop(self) -> None:
        """Finish the block in hand and make no more."""
        await self.maker.stop()
        self.subscriptions.stop()
        await self._verifiers.close()

    def readiness(self) -> str | None:
        """Return None while all is well, else why the node is not ready."""
        return self.maker.failure

    def listen(self, listener: BlockListener) -> None:
        """Have `listener` called after every commit, when the mempool has followed."""
        self._listeners.append(listener)

    def view(self) -> ChainView:
        """Return everything at the present head."""
        return self._store.view()

    def pending_count(self) -> int:
        """Return the number of transactions that wait for a block."""
        return len(self._mempool)

    def pending(self, transaction_hash: bytes) -> AnyTransaction | None:
        """Return a transaction that waits for a block."""
        return self._mempool.get(transaction_hash)

    def dropped(self, transaction_hash: bytes) -> Dropped | None:
        """Return how a transaction left the mempool without a block."""
        return self._mempool.dropped(transaction_hash)

    def next_nonce(self, address: bytes) -> int:
        """Return an account's nonce behind all of its pending transactions."""
        queued = self._mempool.next_position(account_key(address))
        if queued is not None:
            return queued
        record = self.view().get(account_key(address))
        return (Account.decode(record) if record else ABSENT_ACCOUNT).nonce

    def decode(self, raw: bytes) -> AnyTransaction:
        """Return the checked transaction; raises Refusal MALFORMED or BAD_SIGNATURE."""
        return decode(raw, self.domain)

    async def simulate(self, transaction: AnyTransaction) -> Receipt:
        """Return what it would do in the next block; raises Refusal."""
        await self.maker.turns.turn()
        self._expect_new(transaction)
        return self._mempool.judge(transaction).receipt

    async def submit(self, raw: bytes) -> bytes:
        """Put a transaction into the mempool and return its hash; raises Refusal or StorageFailed."""
        with self.maker.turns.judging():
            transaction = await self._verifiers.decode(raw)
            await self.maker.turns.turn()
            return self._admit(transaction)

    async def submit_many(self, raws: Sequence[bytes]) -> Sequence[bytes | Refusal]:
        """Submit in order; return the hash or the refusal of each."""
        self.maker.require_alive()
        # A block need not wait for these signatures: it would be idle meanwhile, and is large as it is.
        decoded = await self._verifiers.decode_many(raws)
        results: list[bytes | Refusal] = []
        with self.maker.turns.judging():
            await self._read_ahead([found for found in decoded if not isinstance(found, Refusal)])
            for at in range(0, len(decoded), _ADMISSIONS_BETWEEN_PAUSES):
                await asyncio.sleep(0)
                await self.maker.turns.turn()
                results += map(self._try_admit, decoded[at : at + _ADMISSIONS_BETWEEN_PAUSES])
        return results

    async def _read_ahead(self, transactions: Sequence[AnyTransaction]) -> None:
        """Have the records in memory that judging many will ask for: in their order they are found sooner."""
        keys = watched_keys(transactions)
        for at in range(0, len(keys), _READS_BETWEEN_PAUSES):
            await asyncio.sleep(0)
            await self.maker.turns.turn()
            try:
                self._chain.state.read_ahead(keys[at : at + _READS_BETWEEN_PAUSES])
            except StorageError as error:
                raise self.maker.broken(error) from error

    async def wait_until_settled(self, transaction_hash: bytes, timeout_seconds: float) -> Dropped | None:
        """Return when a pending transaction is committed (None) or dropped; raises TimeoutError."""
        if self.view().location(transaction_hash) is not None:
            return None
        if self._mempool.get(transaction_hash) is None:
            return self._mempool.dropped(transaction_hash)
        future: asyncio.Future[Dropped | None] = asyncio.get_running_loop().create_future()
        self._waiting[transaction_hash].append(future)
        try:
            async with asyncio.timeout(timeout_seconds):
                return await future
        finally:
            self._forget(transaction_hash, future)

    async def mine(self, count: int) -> int:
        """Make `count` blocks now; return the new height."""
        await self.maker.mine(count)
        return self._chain.tip.header.height

    def set_sealing(self, mode: Sealing) -> None:
        """Change how blocks come."""
        self.maker.set_sealing(mode)

    async def increase_time(self, seconds: int) -> int:
        """Move the clock ahead for good; return the offset to the real one in seconds."""
        offset = self._clock.advance(seconds)
        await self.maker.write(self._store.put_clock_offset, offset)
        return offset

    async def faucet(self, address: bytes, amount: int) -> bytes:
        """Submit a Transfer from the devnet's account 9 and return its hash."""
        key = self._faucet_key
        if key is None:
            raise Refusal("NOT_FOUND", "a devnet", "a chain without a faucet")
        await self.maker.turns.turn()
        fields = {
            "to": address,
            "amount": amount,
            "fee": self.genesis.min_fee,
            "nonce": self.next_nonce(key.address),
        }
        return self._admit(self.decode(sign_transaction("Transfer", fields, key, self.domain)))

    def _admit(self, transaction: AnyTransaction) -> bytes:
        self.maker.require_alive()
        try:
            drops = self._try_add(transaction)
        except StorageError as error:
            raise self.maker.broken(error) from error
        self._announce_drops(drops)
        self.maker.wake()
        return transaction.hash

    def _try_add(self, transaction: AnyTransaction) -> list[Dropped]:
        """Add to the mempool; raises Refusal.

        Whatever is in a block breaks a rule if it comes again, so only what is refused is looked up.
        """
        try:
            return self._mempool.add(transaction)
        except Refusal:
            self._expect_new(transaction)
            raise

    def _expect_new(self, transaction: AnyTransaction) -> None:
        location = self.view().location(transaction.hash)
        if location is not None:
            raise Refusal("ALREADY_COMMITTED", "a transaction that is in no block yet", f"block {location.height}")

    def _try_admit(self, found: AnyTransaction | Refusal) -> bytes | Refusal:
        if isinstance(found, Refusal):
            return found
        try:
            return self._admit(found)
        except Refusal as refusal:
            return refusal

    async def _follow(self, blocks: Sequence[ExecutedBlock]) -> None:
        """Bring mempool, waiting callers and listeners to the new head; in pieces, so that reads get their turn."""
        hashes = [transaction_hash for block in blocks for transaction_hash in block.transaction_hashes]
        last = blocks[-1]
        height = last.tip.header.height
        self._chain.state.advance()
        steps = self._mempool.steps_on_block(self._chain.state, height, last.result.changes, hashes)
        for number, drops in enumerate(steps, 1):
            self._announce_drops(drops)
            if number % _STEPS_BETWEEN_PAUSES == 0:
                await asyncio.sleep(0)
        self.recent_blocks.keep(last)
        for transaction_hash in hashes:
            self._resolve(transaction_hash, None)
        for listener in self._listeners:
            listener(blocks)
        _log.info("height=%d hash=0x%s transactions=%d", height, last.tip.hash.hex(), len(hashes))

    def _announce_drops(self, drops: Sequence[Dropped]) -> None:
        for drop in drops:
            self._resolve(drop.transaction.hash, drop)

    def _resolve(self, transaction_hash: bytes, outcome: Dropped | None) -> None:
        for future in self._waiting.get(transaction_hash, ()):
            if not future.done():
                future.set_result(outcome)

    def _forget(self, transaction_hash: bytes, future: asyncio.Future[Dropped | None]) -> None:
        self._waiting[transaction_hash].remove(future)
        if not self._waiting[transaction_hash]:
            del self._waiting[transaction_hash]

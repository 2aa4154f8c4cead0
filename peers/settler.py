"""When and how a cacher settles, and what it does when that fails.

The order is: marker synced, Settlement signed, submitted, committed, book follows the proven state (decision 5). Only
the proven state ends a settlement, never the node's word. What fails is tried again with growing pauses until the pool
is closed; a restart goes on with the same payment, so that no tgtSeq is ever spent on two.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from crypto.signature import SigningKey
from ledger.records import PoolStatus
from light.errors import ProofRefused

from .book import Book, Caps, Moment, SettlePolicy
from .chain_link import ChainLink, ProvenRecords
from .node_rpc import NodeAway, NodeRefused
from .open_books import Account, Accounts, Settlement, Stage
from .payment_store import PaymentStore
from .settlement import sign_settlement

TICK_SECONDS: Final = 0.5
PAUSE_SECONDS: Final = (0.25, 15.0)
_FINAL: Final = frozenset({"POOL_SLASHED", "POOL_EXPIRED", "POOL_UNKNOWN"})
_CHAIN_IS_AHEAD: Final = frozenset({"BAD_SEQUENCE", "AMOUNT_NOT_INCREASED"})
_MORE_FEE: Final = frozenset({"MEMPOOL_FULL", "FEE_TOO_LOW", "REPLACEMENT_UNDERPRICED", "REPLACED"})
_BLOCKS_WITHOUT: Final = 2
"""After so many blocks without it, a settlement that waits is outbid: twice as much is offered."""
_LAST_WAIT_SECONDS: Final = 45
"""With less time than this until the pool's end there is one more wait for a node's answer: all that it is worth is
offered..."""
_LAST_TRIES_SECONDS: Final = 15
"""... and with less than this where the node refuses at once."""
_log = logging.getLogger(__name__)


class Settler:
    """Settles the books of one address. One event loop uses it."""

    def __init__(
        self,
        accounts: Accounts,
        link: ChainLink,
        store: PaymentStore,
        key: SigningKey,
        *,
        policy: SettlePolicy,
        caps: Caps,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """Take the books, the chain, the disk and the key; `on_change` is called when there is something to show."""
        self.policy = policy
        self.caps = caps
        self._accounts = accounts
        self._link = link
        self._store = store
        self._key = key
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._is_closing = False
        self._at_work: set[bytes] = set()

    def wake(self) -> None:
        """Have the books looked at now: something was paid, or the chain moved."""
        self._wake.set()

    def wake_for(self, account: Account) -> None:
        """Have one book looked at if there is a reason to settle it: cheap, after each payment."""
        book = account.book
        if book.unsettled + account.price <= min(self.caps.limit(book.pool), book.pool.remaining):
            return  # the other reasons do not come with a payment
        moment = Moment(self._link.height, account.price, 0.0, self._is_closing)
        if self.policy.reason(book, self.caps, moment) is not None:
            self._wake.set()

    async def run(self) -> None:
        """Settle until cancelled; raises StoreFailed."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_heads())
            while True:
                for account in self._accounts:
                    self._consider(account, tasks)
                if self._is_closing and not self._at_work:
                    self._idle.set()
                self._wake.clear()
                try:
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def close(self, seconds: float) -> bool:
        """Settle what is worth its fee and tell whether all of it was proven in time. `run` has to be running."""
        self._is_closing = True
        self.wake()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _consider(self, account: Account, tasks: asyncio.TaskGroup) -> None:
        """Begin a settlement, or go on with one that a restart interrupted."""
        book = account.book
        if book.cptx_hash in self._at_work or not book.is_open:
            return
        if book.settling is not None:
            reason = account.settlement.reason if account.settlement else "begun before a restart"
        else:
            moment = Moment(self._link.height, account.price, account.quiet_seconds, self._is_closing)
            found = self.policy.reason(book, self.caps, moment)
            if found is None:
                return
            reason = found
            # From here on, before anything is signed or awaited, only the next tgtSeq is accepted.
            account.book = book.begin_settlement(self.policy.fee)
        self._at_work.add(book.cptx_hash)
        tasks.create_task(self._settle(account, reason))

    async def _settle(self, account: Account, reason: str) -> None:
        """See one settlement through to the proven state, or to the closing of the pool."""
        try:
            settling = account.book.settling
            if settling is None:
                return
            promise = settling.promise
            status = Settlement(reason, promise.amount, promise.tgt_seq, account.book.settling_fee)
            status.offered_at = self._link.height
            account.settlement = status
            await self._store.save(account.book)
            account.is_kept = True
            self._on_change()
            pause = PAUSE_SECONDS[0]
            while account.book.settling == settling:
                if await self._attempt(account, status):
                    pause = PAUSE_SECONDS[0]
                    continue
                self._on_change()
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS[1])
            done = account.book.record.seq >= promise.tgt_seq
            status.stage = Stage.SETTLED if done else Stage.LOST
            status.error = _slashed(account.book) if done else _lost(account.book, status.error)
        finally:
            self._at_work.discard(account.book.cptx_hash)
            self.wake()
            self._on_change()

    async def _attempt(self, account: Account, status: Settlement) -> bool:
        """Submit once and follow the chain; return whether it may go on without a pause."""
        book = account.book
        if book.settling is None:
            return True
        raw = sign_settlement(book.settling, book.settling_fee, self._key, self._link.domain)
        status.attempts += 1
        status.stage = Stage.SUBMITTED
        self._on_change()
        try:
            await self._link.submit(raw)
            await self._link.refresh()
            await self._follow([account])
        except NodeRefused as refused:
            return await self._take_refusal(account, status, refused)
        except (NodeAway, ProofRefused) as error:
            status.stage, status.error = Stage.RETRYING, f"{error}; it is tried again"
            return False
        if account.book.settling is not None:
            status.stage, status.error = Stage.RETRYING, "the node says committed but proves nothing; it is tried again"
        return account.book.settling is None

    async def _take_refusal(self, account: Account, status: Settlement, refused: NodeRefused) -> bool:
        """Note why the node refused and what happens next; the proven state decides whether that is the end."""
        if refused.reason == "PENDING":
            status.error = "in no block yet; it is waited for"
            if self._link.height - status.offered_at >= _BLOCKS_WITHOUT:
                await self._offer(account, status, 2 * account.book.settling_fee, _LAST_WAIT_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS[0])  # a node answers so after 30 seconds, another thing maybe at once
            return True
        next_step = "it is tried again"
        if refused.reason in _FINAL:
            next_step = "final, once the chain proves it"
        elif refused.reason in _CHAIN_IS_AHEAD:
            next_step = "the chain is followed, then it is tried again"
        elif refused.reason == "INSUFFICIENT_BALANCE" and account.book.settling_fee > self._link.parameters.min_fee:
            # The payment does not cover such a fee: better to wait for a place than to be refused for ever.
            await self._set_fee(account, status, self._link.parameters.min_fee)
            next_step = f"it is tried again with a fee of {status.fee}"
        elif refused.reason in _MORE_FEE:
            fee = account.book.settling_fee
            await self._offer(account, status, fee + fee // 4 + 1, _LAST_TRIES_SECONDS)
            next_step = f"it is tried again with a fee of {account.book.settling_fee}"
        status.stage, status.error = Stage.RETRYING, f"{refused.reason}: {refused}; {next_step}"
        _log.warning("settlement of pool 0x%s: %s", account.book.cptx_hash.hex(), status.error)
        try:
            await self._link.refresh()
            await self._follow([account])
        except (NodeAway, NodeRefused, ProofRefused) as error:
            status.error += f" ({error})"
        return account.book.settling is None

    async def _offer(self, account: Account, status: Settlement, fee: int, last_seconds: int) -> None:
        """Offer a higher fee, if it is worth that: at least the chain's least, and near the end all that it may."""
        book, chain = account.book, self._link.parameters
        most = book.fee_worth(self.policy.reward)
        seconds_left = (book.pool.expires_at - self._link.height - 1) * chain.block_interval
        fee = max(chain.min_fee, most if seconds_left < last_seconds else min(fee, most))
        if fee > book.settling_fee:
            await self._set_fee(account, status, fee)

    async def _set_fee(self, account: Account, status: Settlement, fee: int) -> None:
        """Offer this fee from now on; it is on the disk before anything is signed with it."""
        account.book = account.book.offer(fee)
        await self._store.save(account.book)
        status.fee, status.offered_at = fee, self._link.height

    async def _follow_heads(self) -> None:
        """Keep all books at the newest proven state, one pass after the other."""
        height = -1
        while True:
            height = (await self._link.wait_above(height)).header.height
            try:
                await self._follow([account for account in self._accounts if account.book.is_open])
            except (NodeAway, NodeRefused, ProofRefused) as error:
                _log.warning("the books could not follow the chain: %s", error)
                await asyncio.sleep(PAUSE_SECONDS[0])
                height -= 1
            self.wake()

    async def _follow(self, accounts: list[Account]) -> None:
        """Bring books to the newest proven state and save what changed; raises what the link raises, StoreFailed."""
        pools = [account.book.cptx_hash for account in accounts]
        found = await self._link.many_records(pools, self._key.address)
        for account, records in zip(accounts, found, strict=True):
            await self._take(account, records)

    async def _take(self, account: Account, records: ProvenRecords) -> None:
        before = account.book
        if records.pool is None:  # proven, though a pool once made is never deleted: the authority broke the rules
            raise ProofRefused("WRONG_POOL", "the pool has vanished from the state")
        height = records.head.header.height
        account.book = before.follow(records.pool, records.target, height)
        if (before.pool, before.record) == (records.pool, records.target):
            return
        self._on_change()
        if account.book.is_open:
            if account.is_kept:
                await self._store.save(account.book)
        elif account.is_kept:
            if account.book.unsettled:
                _log.error(
                    "pool 0x%s is %s: %d base units were not settled",
                    account.book.cptx_hash.hex(),
                    account.book.pool.status.name.lower(),
                    account.book.unsettled,
                )
            account.is_kept = False
            await self._store.forget(account.book.cptx_hash)


def _slashed(book: Book) -> str | None:
    """Return what a settlement that proved a double spend was paid; None for any other."""
    if book.pool.status is not PoolStatus.SLASHED:
        return None
    return "the creator had promised more than the deposit: the pool is slashed, and paid what remained and the reward"


def _lost(book: Book, before: str | None) -> str:
    """Return why a settlement came too late, and that nothing follows; `before` is why its last attempt failed."""
    status = book.pool.status.name.lower()
    lost = f"the pool is {status}: {book.unsettled} base units will not be paid, and nothing more is tried"
    return f"{lost} (the last attempt: {before.partition('; ')[0]})" if before else lost

"""The selling program: handshakes, paid chunks, settlements (the paper, steps 2 to 4; docs/peers.md, sections 3 and 4).

Nothing is delivered before the payment for it is on disk. A payment is judged between two awaits, against the book as
it is at that moment, so that no two requests are paid by the same tokens.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from crypto.address import checksum_address
from crypto.signature import SigningKey
from light.errors import ProofRefused
from light.verify import Trust
from storage.kv import StorageError

from .book import Book, Caps, Declined, SettlePolicy
from .chain_link import ChainLink, connect_patiently
from .handshake import HandshakeRequest, Terms, Vantage, agreement, book_of, check, fresh_seconds, judge
from .manifest import Manifest
from .node_rpc import NodeAway, NodeRefused
from .open_books import Account, Accounts
from .payment import BadPayment, Payment
from .payment_store import PaymentStore, StoreFailed
from .refused import Json, Refused
from .settler import Settler
from .shelf import Shelf
from .signers import Signers
from .till import charge, expect_ours, expect_sellable, read_payment, refuse
from .transfer import NoAnswer, open_session

HANDSHAKES_AT_ONCE: Final = 4
FOLLOWED_MAX: Final = 3
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CacherSettings:
    """How a cacher sells. Amounts in base units; None is the default that follows from the chain's parameters."""

    price_per_chunk: int
    origin_url: str | None = None
    resource_ids: tuple[bytes, ...] = ()
    """What is sold; empty for all that the origin lists and all that is on disk."""
    fee: int | None = None
    """Of a settlement; by default the chain's least."""
    first_amount: int | None = None
    """The least first payment; by default two settlement fees, and at least the price of a chunk."""
    unsettled_max: int | None = None
    """The absolute cap in one pool; by default none but the share of the deposit."""
    share_of_deposit: tuple[int, int] = (1, 2)
    worth_factor: int = 20
    quiet_seconds: float = 30.0
    margin_blocks: int = 50
    live_chunk_seconds: int = 1
    stop_seconds: float = 60.0
    """How long settlements may take at the end."""


class Cacher:
    """One seller. `Cacher.open` makes it; inside the context it sells."""

    def __init__(
        self,
        settings: CacherSettings,
        link: ChainLink,
        store: PaymentStore,
        shelf: Shelf,
        *,
        key: SigningKey,
        on_change: Callable[[], None],
    ) -> None:
        """Put the parts together; the link is connected. Begins with the books that are on disk."""
        parameters = link.parameters
        fee = parameters.min_fee if settings.fee is None else settings.fee
        first = max(2 * fee, settings.price_per_chunk) if settings.first_amount is None else settings.first_amount
        self.link = link
        self.shelf = shelf
        self.target = key.address
        self.accounts = Accounts()
        self.url: str | None = None
        """Where viewers reach it: see `listen_at`."""
        self._is_reachable = asyncio.Event()
        self.is_settled: bool | None = None
        """At the end: whether all that was worth its fee was settled in time."""
        self._settings = settings
        self._store = store
        self._signers = Signers(link.domain)
        self._terms = Terms(
            resource_id=b"",
            price_per_chunk=settings.price_per_chunk,
            chunk_count=0,
            first_amount=max(first, settings.price_per_chunk),
            settlement_fee=fee,
            reward=parameters.reward,
            margin_blocks=settings.margin_blocks,
            block_interval=parameters.block_interval,
        )
        self._terms_of: dict[bytes, tuple[Manifest, Terms]] = {}
        """Resource -> the manifest that its terms were made of, and they."""
        no_cap = 1 << 128
        unsettled_max = no_cap if settings.unsettled_max is None else settings.unsettled_max
        self._caps = Caps(unsettled_max, settings.share_of_deposit, self._terms.first_amount)
        policy = SettlePolicy(
            fee, parameters.reward, settings.worth_factor, settings.quiet_seconds, settings.margin_blocks
        )
        self.settler = Settler(self.accounts, link, store, key, policy=policy, caps=self._caps, on_change=on_change)
        self._on_change = on_change
        self._is_closing = False
        self._proving = asyncio.Semaphore(HANDSHAKES_AT_ONCE)
        self._counts = {"payments": 0, "repeats": 0, "handshakes": 0}
        self._refusals: dict[str, int] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: CacherSettings,
        node_url: str,
        trust: Trust,
        *,
        key: SigningKey,
        folder: Path,
        on_change: Callable[[], None] = lambda: None,
        on_away: Callable[[str], None] = lambda _: None,
    ) -> AsyncIterator[Cacher]:
        """Open the store in `folder` and sell inside; at the end settle what is worth its fee.

        Waits for the node, and tells `on_away` why. Raises StorageError, NotTrusted, ProofRefused, BadManifest and
        NoAnswer (nothing to sell); an exception group with StoreFailed or NotTrusted when it cannot go on.
        """
        await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
        link = ChainLink(node_url, trust, folder / "head.json")
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(link.close)
            store = await asyncio.to_thread(PaymentStore.open, folder / "payments", trust.genesis_hash, key.address)
            stack.push_async_callback(store.close)
            await connect_patiently(link, on_away)
            session = await stack.enter_async_context(open_session())
            shelf = Shelf(folder / "chunks", session, settings.origin_url, link.domain)
            stack.callback(shelf.close)
            cacher = cls(settings, link, store, shelf, key=key, on_change=on_change)
            stack.callback(cacher._signers.close)
            await cacher._begin()
            async with cacher._selling():
                yield cacher

    async def _begin(self) -> None:
        """Put the resources on the shelf and take the books from the disk."""
        wanted = self._settings.resource_ids or await self._all_resources()
        for resource_id in wanted:
            await self.shelf.add(resource_id)
        for book in [*self._store.load()]:
            if not book.is_open:
                await self._store.forget(book.cptx_hash)
                continue
            terms = self._find_terms(book.pool.resource_id)
            self.accounts.add(Account(book, terms, paid_at=time.monotonic(), is_kept=True))

    async def _all_resources(self) -> list[bytes]:
        found = self.shelf.stored()
        try:
            found += [resource_id for resource_id in await self.shelf.listed() if resource_id not in found]
        except NoAnswer as error:
            if not found:
                raise
            self.shelf.origin_away = str(error)
        return found

    @asynccontextmanager
    async def _selling(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            working = [
                tasks.create_task(work)
                for work in (
                    self._follow(),
                    self.settler.run(),
                    self.shelf.follow_live(),
                    self._announce(),
                    self._stop_on_failure(),
                )
            ]
            yield
            # Not after a failure: then nothing may be signed any more.
            self._is_closing = True
            self.is_settled = await self.settler.close(self._settings.stop_seconds)
            for task in working:
                task.cancel()

    def listen_at(self, url: str) -> None:
        """Learn where viewers reach this cacher: from now on that is announced."""
        self.url = url
        self._is_reachable.set()

    async def _announce(self) -> None:
        await self._is_reachable.wait()
        price = hex(self._settings.price_per_chunk)
        await self.shelf.announce({"url": self.url, "target": checksum_address(self.target), "pricePerChunk": price})

    async def _follow(self) -> None:
        async with self.link.running():
            await asyncio.Event().wait()

    async def _stop_on_failure(self) -> None:
        await self._store.failed.wait()
        raise StoreFailed(self._store.failure)

    # What viewers ask

    def offer(self, resource_id: bytes) -> Json:
        """Return {target, pricePerChunk, firstAmount} of a resource; raises Refused."""
        terms = self._need_terms(resource_id)
        return {
            "target": checksum_address(self.target),
            "pricePerChunk": hex(terms.price_per_chunk),
            "firstAmount": hex(terms.first_amount),
        }

    async def handshake(self, body: object) -> Json:
        """Answer a handshake; raises Refused."""
        self._expect_open()
        request = HandshakeRequest.from_json(body)
        terms = self._need_terms(request.resource_id)
        async with self._proving:
            vantage = Vantage(self.target, self.link.trust, self.link.head, time.time())
            proven = await asyncio.to_thread(check, request, terms, vantage)
        known = book_of(proven, self.target)
        if self.accounts.get(proven.cptx_hash) is None:
            known = await self._as_it_is_now(known)
        account = self.accounts.get(proven.cptx_hash)
        if account is not None:
            known = account.book.follow(known.pool, known.record, known.height)
        judge(known, max(known.height, self.link.height), terms)
        if account is None:
            account = Account(known, terms, paid_at=time.monotonic())
            self.accounts.add(account)
        account.book, account.terms = known, terms
        self._counts["handshakes"] += 1
        self._on_change()
        return agreement(known, terms)

    async def chunk(self, resource_id: bytes, index: int, payment_header: str | None) -> bytes:
        """Return a chunk that is paid for; the payment is on disk. Raises Refused."""
        self._expect_open()
        manifest = self.shelf.find(resource_id)
        if manifest is None or not 0 <= index < manifest.chunk_count:
            raise Refused("UNKNOWN_CHUNK", "a chunk that is sold here", index)
        terms = self._need_terms(resource_id)
        payment = read_payment(payment_header, terms)
        account = self._need_account(payment, terms)
        signer = await self._signer(payment, account.book)
        if not self.shelf.has(resource_id, index):  # nothing is fetched for a payment that will not do
            await self._charge(account, payment, signer, terms, index=index)
        data = await self.shelf.chunk(resource_id, index)
        book, is_sold = await self._charge(account, payment, signer, terms, index=index)
        # No await between the judgement and the change, and none of either's data goes out before it is synced.
        if not is_sold:
            account.repeats += 1
            self._counts["repeats"] += 1
        if book == account.book:
            return data
        account.book, account.paid_at, account.is_kept = book, time.monotonic(), True
        await self._save(book, index if is_sold else None)
        self._counts["payments"] += 1
        self.settler.wake_for(account)
        return data

    def status(self) -> Json:
        """Return what an operator wants to know: the chain, the risk of each pool, counters."""
        height = self.link.height
        rows = [account.to_json(height) for account in self.accounts]
        return {
            "target": checksum_address(self.target),
            "url": self.url,
            "head": {"height": hex(height), "hash": f"0x{self.link.head.hash.hex()}"},
            "nodeAway": self.link.away,
            "originAway": self.shelf.origin_away,
            "pricePerChunk": hex(self._terms.price_per_chunk),
            "firstAmount": hex(self._terms.first_amount),
            "settlementFee": hex(self._terms.settlement_fee),
            "resources": [
                {"resourceId": f"0x{found.resource_id.hex()}", "name": found.name, "chunkCount": found.chunk_count}
                for found in self.shelf.resources
            ],
            "unsettled": hex(sum(account.book.unsettled for account in self.accounts)),
            "pools": rows,
            "counts": dict(self._counts),
            "refusals": dict(self._refusals),
        }

    def count_refusal(self, refused: Refused) -> None:
        """Count a refusal by its reason."""
        self._refusals[refused.reason] = self._refusals.get(refused.reason, 0) + 1

    # How a payment is judged

    async def _charge(
        self, account: Account, payment: Payment, signer: bytes, terms: Terms, *, index: int
    ) -> tuple[Book, bool]:
        """Return the book after the sale, and whether the chunk was not paid for before; raises Refused."""
        expect_ours(account.book, payment, signer)
        was_paid = account.is_kept and account.may_repeat and await self._was_paid(account.book.cptx_hash, index)
        book = account.book
        if not was_paid:
            expect_sellable(book, self.link.height, terms)
        try:
            return charge(book, payment, signer, terms, caps=self._caps, was_paid=was_paid), not was_paid
        except Declined as declined:
            # Less remains than was promised: nothing is sold, but what was signed is evidence.
            account.book = book.witness(payment, signer)
            refused = refuse(declined, book, book.least_amount(terms.price_per_chunk, terms.first_amount))
        if account.book is not book:
            account.is_kept = True
            await self._save(account.book, None)
            self.settler.wake()
        raise refused

    async def _signer(self, payment: Payment, book: Book) -> bytes:
        """Return who signed: known without arithmetic of a payment that the book has already."""
        if payment == book.best:
            return book.pool.creator
        try:
            return await self._signers.signer(payment, self._store.waiting)
        except BadPayment as error:
            raise Refused("BAD_PAYMENT", "a signature of the pool's creator", error) from error

    async def _save(self, book: Book, index: int | None) -> None:
        try:
            await self._store.save(book, index)
        except StoreFailed as error:
            raise Refused("NOT_READY", "a disk that can be written", error) from error

    async def _was_paid(self, cptx_hash: bytes, index: int) -> bool:
        try:
            return await self._store.was_paid(cptx_hash, index)
        except (StoreFailed, StorageError) as error:
            raise Refused("NOT_READY", "a disk that can be read", error) from error

    async def _as_it_is_now(self, book: Book) -> Book:
        """Bring a pool that was proven against an older head to the newest one; raises Refused.

        Nobody else does it before the next block, and meanwhile it may have been drained or slashed.
        """
        try:
            for _ in range(FOLLOWED_MAX):
                if book.height >= self.link.height:
                    break
                now = await self.link.records(book.cptx_hash, book.target)
                if now.pool is not None:
                    book = book.follow(now.pool, now.target, now.head.header.height)
        except (NodeAway, NodeRefused, ProofRefused) as error:
            raise Refused("STALE_PROOF", "documents against the newest head", error) from error
        return book

    def _expect_open(self) -> None:
        """Sell nothing while settlements could not follow: at the end, or when the chain is out of sight."""
        if self._is_closing or self._store.failure is not None:
            raise Refused("NOT_READY", "a cacher that is running", "it is stopping")
        limit = fresh_seconds(self.link.parameters.block_interval)
        if self.link.away_seconds > limit:
            raise Refused("NOT_READY", "a node that answers", self.link.away)

    def _need_account(self, payment: Payment, terms: Terms) -> Account:
        account = self.accounts.get(payment.promise.cptx_hash)
        if account is None:
            raise Refused("NO_HANDSHAKE", "a handshake for this pool first", f"0x{payment.promise.cptx_hash.hex()}")
        if account.book.pool.resource_id != terms.resource_id:
            paid_for = f"0x{account.book.pool.resource_id.hex()}"
            raise Refused("WRONG_RESOURCE", f"a pool for 0x{terms.resource_id.hex()}", paid_for)
        return account

    def _need_terms(self, resource_id: bytes) -> Terms:
        terms = self._find_terms(resource_id)
        if terms is None:
            raise Refused("UNKNOWN_RESOURCE", "a resource that is served here", f"0x{resource_id.hex()}")
        return terms

    def _find_terms(self, resource_id: bytes) -> Terms | None:
        manifest = self.shelf.find(resource_id)
        if manifest is None:
            return None
        made_of, terms = self._terms_of.get(resource_id, (None, self._terms))
        if made_of is not manifest:
            is_live = manifest.live is not None and not manifest.live.ended
            terms = replace(
                self._terms,
                resource_id=resource_id,
                chunk_count=manifest.chunk_count,
                live_chunk_seconds=self._settings.live_chunk_seconds if is_live else None,
            )
            self._terms_of[resource_id] = manifest, terms
        return terms

"""What viewers ask of a cacher: offers, handshakes, chunks (docs/peers.md, sections 2 to 4).

Nothing is delivered before the payment for it is on disk. A payment is judged between two awaits, against the book as
it is at that moment, so that no two requests are paid by the same tokens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from crypto.address import checksum_address
from light.errors import ProofRefused
from storage.kv import StorageError

from .book import Book, Declined
from .chain_link import ChainLink
from .handshake import HandshakeRequest, Terms, Vantage, agreement, book_of, check, fresh_seconds, judge
from .node_rpc import NodeAway, NodeRefused
from .open_books import Account, Accounts
from .payment import BadPayment, Payment
from .payment_store import PaymentStore, StoreFailed
from .price_list import PriceList
from .refused import Json, Refused
from .settler import Settler
from .shelf import Shelf
from .signers import Signers
from .till import charge, expect_ours, expect_sellable, read_payment, refuse

HANDSHAKES_AT_ONCE: Final = 4
FOLLOWED_MAX: Final = 3


class Desk:
    """Sells to viewers, one request after the other. One event loop uses it."""

    def __init__(
        self,
        accounts: Accounts,
        link: ChainLink,
        store: PaymentStore,
        shelf: Shelf,
        *,
        prices: PriceList,
        settler: Settler,
        signers: Signers,
        on_change: Callable[[], None],
    ) -> None:
        """Take what it works with; `on_change` is called when there is something to show."""
        self.is_closing = False
        """Whether nothing more is sold."""
        self.counts = {"payments": 0, "repeats": 0, "handshakes": 0}
        self.refusals: dict[str, int] = {}
        """Reason -> how often."""
        self.shelf = shelf
        self._accounts = accounts
        self._link = link
        self._store = store
        self._prices = prices
        self._settler = settler
        self._target = store.target
        self._on_change = on_change
        self._signers = signers
        self._proving = asyncio.Semaphore(HANDSHAKES_AT_ONCE)

    def offer(self, resource_id: bytes) -> Json:
        """Return {target, pricePerChunk, firstAmount} of a resource; raises Refused."""
        terms = self._need_terms(resource_id)
        return {
            "target": checksum_address(self._target),
            "pricePerChunk": hex(terms.price_per_chunk),
            "firstAmount": hex(terms.first_amount),
        }

    async def handshake(self, body: object) -> Json:
        """Answer a handshake; raises Refused."""
        self._expect_open()
        request = HandshakeRequest.from_json(body)
        terms = self._need_terms(request.resource_id)
        async with self._proving:
            vantage = Vantage(self._target, self._link.trust, self._link.head, time.time())
            proven = await asyncio.to_thread(check, request, terms, vantage)
        known = book_of(proven, self._target)
        if self._accounts.get(proven.cptx_hash) is None:
            known = await self._as_it_is_now(known)
        account = self._accounts.get(proven.cptx_hash)
        if account is not None:
            known = account.book.follow(known.pool, known.record, known.height)
        judge(known, max(known.height, self._link.height), terms)
        if account is None:
            account = Account(known, terms, paid_at=time.monotonic())
            self._accounts.add(account)
        account.book, account.terms = known, terms
        self.counts["handshakes"] += 1
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
        self._expect_open()  # it may have taken a while
        if not self.shelf.has(resource_id, index):  # nothing is fetched for a payment that will not do
            await self._charge(account, payment, signer, terms, index=index)
        data = await self.shelf.chunk(resource_id, index)
        book, is_sold = await self._charge(account, payment, signer, terms, index=index)
        # No await between the judgement and the change, and none of either's data goes out before it is synced.
        if not is_sold:
            account.repeats += 1
            self.counts["repeats"] += 1
        if book == account.book:
            return data
        account.book, account.paid_at, account.is_kept = book, time.monotonic(), True
        await self._save(book, index if is_sold else None)
        self.counts["payments"] += 1
        self._on_change()
        self._settler.wake_for(account)
        return data

    def count_refusal(self, refused: Refused) -> None:
        """Count a refusal by its reason."""
        self.refusals[refused.reason] = self.refusals.get(refused.reason, 0) + 1

    # How a payment is judged

    async def _charge(
        self, account: Account, payment: Payment, signer: bytes, terms: Terms, *, index: int
    ) -> tuple[Book, bool]:
        """Return the book after the sale, and whether the chunk was not paid for before; raises Refused."""
        expect_ours(account.book, payment, signer)
        was_paid = account.is_kept and account.may_repeat and await self._was_paid(account.book.cptx_hash, index)
        book = account.book
        if not was_paid:
            expect_sellable(book, self._link.height, terms)
        try:
            return charge(book, payment, signer, terms, caps=self._prices.caps, was_paid=was_paid), not was_paid
        except Declined as declined:
            # Less remains than was promised: nothing is sold, but what was signed is evidence.
            account.book = book.witness(payment, signer)
            refused = refuse(declined, book, book.least_amount(terms.price_per_chunk, terms.first_amount))
        if account.book is not book:
            account.is_kept = True
            await self._save(account.book, None)
            self._settler.wake()
        raise refused

    async def _signer(self, payment: Payment, book: Book) -> bytes:
        """Return who signed: known without arithmetic of a payment that the book has already."""
        if payment == book.best:
            return book.pool.creator
        try:
            return await self._signers.signer(payment)
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
                if book.height >= self._link.height:
                    break
                now = await self._link.records(book.cptx_hash, book.target)
                if now.pool is not None:
                    book = book.follow(now.pool, now.target, now.head.header.height)
        except (NodeAway, NodeRefused, ProofRefused) as error:
            raise Refused("NOT_READY", "a node that answers", error) from error
        return book

    def _expect_open(self) -> None:
        """Sell nothing while settlements could not follow: at the end, or when the chain is out of sight."""
        if self.is_closing or self._store.failure is not None:
            raise Refused("NOT_READY", "a cacher that is running", "it is stopping")
        limit = fresh_seconds(self._link.parameters.block_interval)
        if self._link.away_seconds > limit:
            raise Refused("NOT_READY", "a node that answers", self._link.away)

    def _need_account(self, payment: Payment, terms: Terms) -> Account:
        account = self._accounts.get(payment.promise.cptx_hash)
        if account is None:
            raise Refused("NO_HANDSHAKE", "a handshake for this pool first", f"0x{payment.promise.cptx_hash.hex()}")
        if account.book.pool.resource_id != terms.resource_id:
            paid_for = f"0x{account.book.pool.resource_id.hex()}"
            raise Refused("WRONG_RESOURCE", f"a pool for 0x{terms.resource_id.hex()}", paid_for)
        return account

    def _need_terms(self, resource_id: bytes) -> Terms:
        manifest = self.shelf.find(resource_id)
        if manifest is None:
            raise Refused("UNKNOWN_RESOURCE", "a resource that is served here", f"0x{resource_id.hex()}")
        return self._prices.of(manifest)

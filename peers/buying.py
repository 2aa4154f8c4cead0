"""Buying chunks from many peers at once, in playing order, with the origin to fall back on.

Each peer has a task that shakes hands and workers that take chunks from one queue, buy them and put them into the
store. A peer that fails gives its chunk back before all others: switching needs no transaction and no waiting.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from crypto.address import checksum_address

from .chunk_store import ChunkMissing, ChunkStore
from .deal import DEPTH_MAX, GRACE_SECONDS, Deal
from .manifest import BadManifest, ChunkData, Manifest
from .origin_client import OriginClient
from .payer_ledger import LedgerRefused
from .progress import FetchFailed, PeerShare, Progress, Settings
from .purse import Distrust, Purse, Verdict
from .queue_of_chunks import ChunkQueue
from .seller import Busy, Documents, Left, NotThere, Offer, Seller, Terms, read_offer
from .transfer import NoAnswer
from .under_way import UnderWay

_TICK_SECONDS = 0.2
_ORIGIN_FAILURES_MAX = 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Market:
    """Whom a viewer can ask, and on what terms."""

    session: aiohttp.ClientSession
    documents: Documents
    origin: OriginClient | None
    terms: Terms
    settings: Settings


class Buying:
    """A running purchase of one resource. Made by `viewer.Purchase`."""

    def __init__(
        self, market: Market, store: ChunkStore, under_way: UnderWay, distrust: Distrust, purse: Purse | None
    ) -> None:
        """Take what it works with; without a purse everything comes from the origin."""
        self.queue = ChunkQueue(market.settings.window)
        self.store = store
        self.resumed = store.count()
        self._session = market.session
        self._documents = market.documents
        self._origin = market.origin
        self._terms = market.terms
        self._settings = market.settings
        self._under_way = under_way
        self._distrust = distrust
        self._purse = purse
        self._unasked = 0
        self._held = {index: target for target, indices in under_way.before.items() for index in indices}
        """Chunks that a peer was paid for before an interruption, and that nobody else is to be paid for meanwhile."""
        self._deals: dict[str, Deal] = {}
        self._spare: dict[str, Offer] = {}
        """Peers that there was no place for: they take over when one is left."""
        self._passed_over: dict[str, str] = {}
        """Why a peer by this url is not bought from."""
        self._tasks: asyncio.TaskGroup | None = None
        self._dealing: set[asyncio.Task[None]] = set()
        self._started = time.monotonic()
        self._moved = self._peers_moved = self._started
        self._bytes = 0
        self._from_origin = 0
        self._origin_failures = 0
        self._origin_words = "none was named" if market.origin is None else "it was not asked"

    @asynccontextmanager
    async def running(self, urls: tuple[str, ...] = ()) -> AsyncIterator[None]:
        """Buy what is wanted while inside.

        Raises FetchFailed when nobody can deliver, LedgerRefused, BadManifest and OSError.
        """
        self._started = self._moved = self._peers_moved = time.monotonic()
        self._unasked = 0 if self._purse is None else 1 + len(urls)
        if self._purse is None:
            self._held.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                helpers = [tasks.create_task(self._watch()), tasks.create_task(self._from_origin_loop())]
                helpers += [tasks.create_task(self._add_url(url)) for url in urls]
                helpers.append(tasks.create_task(self._ask_tracker()))
                try:
                    yield
                finally:
                    for task in [*helpers, *self._dealing]:
                        task.cancel()
        except BaseExceptionGroup as group:
            failed = group.split((FetchFailed, LedgerRefused, BadManifest, OSError))[0]
            if failed is None:
                raise
            raise _first(failed) from None
        finally:
            self._note_debts()

    def _note_debts(self) -> None:
        """Remember what peers have had and not given when a purchase ends: they work it off in the next one."""
        for deal in self._deals.values():
            seller, purse = deal.seller, self._purse
            if purse is None or seller is None or deal.is_over:
                continue
            debt = seller.account.debt
            if debt != self._distrust.past(purse.cptx_hash, deal.offer.target).debt:
                self._distrust.note(purse, deal.offer.url, deal.offer.target, Verdict("the purchase ended"), debt)

    async def all_here(self) -> None:
        """Wait until everything that is wanted is in the store."""
        while not self.queue.is_done:
            await self.queue.wait_for_change()

    async def chunk(self, index: int) -> bytes:
        """Return a chunk, bought before all others if it is not here."""
        while True:
            with suppress(ChunkMissing):
                return self.store.read(index)
            self.queue.want([index], urgent=True)
            await self.queue.wait_for(index)

    def follow(self, manifest: Manifest) -> None:
        """Buy by a newer manifest of a live resource."""
        for deal in self._deals.values():
            if deal.seller is not None:
                deal.seller.manifest = manifest
                deal.seller.lacks.clear()

    def progress(self) -> Progress:
        """Return where the purchase stands."""
        peers = [
            PeerShare(
                deal.offer.url,
                checksum_address(deal.offer.target),
                deal.seller.account.bought if deal.seller else 0,
                deal.seller.spent if deal.seller else 0,
                deal.state,
            )
            for deal in self._deals.values()
        ]
        return Progress(
            self.store.count(),
            self.store.manifest.chunk_count,
            self._bytes,
            time.monotonic() - self._started,
            self._from_origin,
            tuple(peers),
        )

    def add(self, offer: Offer) -> None:
        """Begin to buy from a peer, unless it is known, too dear or has cheated; later, where there are enough."""
        known = self._deals.get(offer.url)
        if self._purse is None or self._tasks is None or known is not None:
            return
        if (why := self._why_not(offer, self._purse)) is not None:
            self._passed_over[offer.url] = why
            return
        self._passed_over.pop(offer.url, None)
        if self._places_taken() >= self._settings.peers_max:
            self._spare[offer.url] = offer
            return
        self._spare.pop(offer.url, None)
        deal = self._deals[offer.url] = Deal(offer)
        self._dealing.add(task := self._tasks.create_task(self._deal(deal, self._purse)))
        task.add_done_callback(self._dealing.discard)

    def _places_taken(self) -> int:
        """Count the peers that are bought from, or have just been begun with."""
        now = time.monotonic()
        return sum(deal.holds_place(now) for deal in self._deals.values())

    def _take_spares(self) -> None:
        """Begin with peers that there was no place for, as far as there is one now."""
        for offer in [*self._spare.values()]:
            self.add(offer)

    def _why_not(self, offer: Offer, purse: Purse) -> str | None:
        """Return why an offer is not taken, None where nothing is against it."""
        if offer.price > self._terms.price_max:
            return "asks more for a chunk than is accepted"
        if offer.target == purse.key.address:
            return "sells for the buyer's own address"
        if any(deal.offer.target == offer.target for deal in self._deals.values()):
            return "sells for an address that another peer sells for"  # the book of a target is in one place
        if self._distrust.is_banned(offer.url, checksum_address(offer.target)):
            return "has cheated before"
        return None

    async def _deal(self, deal: Deal, purse: Purse) -> None:
        """Shake hands and buy until the peer is left."""
        offer = deal.offer
        seller = deal.seller = Seller(
            self._session,
            offer,
            self.store.manifest,
            purse=purse,
            terms=self._terms,
            documents=self._documents,
            past=self._distrust.past(purse.cptx_hash, offer.target),
            on_part=deal.move,
        )
        try:
            await seller.shake_hands()
            deal.state = "buying"
            async with asyncio.TaskGroup() as workers:
                for number in range(min(DEPTH_MAX, seller.account.chunks_max)):
                    workers.create_task(self._work(deal, seller, purse, number))
        except* Left as group:
            verdict = group.exceptions[0].verdict if isinstance(group.exceptions[0], Left) else Verdict("left")
            deal.state = f"left: {verdict.reason}"
            _log.info("%s %s", offer.url, deal.state)
            if verdict.lost or verdict.cheat:
                self._distrust.note(purse, offer.url, offer.target, verdict, seller.account.debt)
            self._let_go(offer.target)
            self.queue.wake()
            self._take_spares()

    async def _work(self, deal: Deal, seller: Seller, purse: Purse, number: int) -> None:
        """Buy one chunk after the other; raises Left."""
        again = [*self._under_way.before.get(deal.offer.target, [])] if number == 0 else []
        while True:
            if number == 0 and not again:
                self._let_go(deal.offer.target)
            pause = deal.paused_until - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
                continue
            index = None
            if seller.account.is_exhausted:
                raise Left(Verdict("it has had too much for nothing"))
            if number < deal.depth and seller.account.has_room():
                self._expect_worth_the_risk(seller, purse)
                index = self._next(seller, again)
            if index is None:
                await self.queue.wait_for_change()
                continue
            await self._buy(deal, seller, index)
            deal.measure(seller.account.bought)

    def _next(self, seller: Seller, again: list[int]) -> int | None:
        while again:
            if self.queue.take_this(index := again.pop()):
                return index
        return self.queue.take(lambda index: index not in seller.lacks and not self._is_held(index))

    def _is_held(self, index: int) -> bool:
        """Tell whether a chunk waits for the peer that was paid for it; not for long, if that peer does not come."""
        if self._held and time.monotonic() - self._started > self._settings.reply_seconds:
            self._held.clear()
        return index in self._held

    def _let_go(self, target: bytes) -> None:
        self._held = {index: owner for index, owner in self._held.items() if owner != target}

    async def _buy(self, deal: Deal, seller: Seller, index: int) -> None:
        target = deal.offer.target
        self._under_way.begin(target, index)
        deal.ask(index)
        arrived = False
        try:
            self._keep(index, await seller.buy(index))
            self._peers_moved = time.monotonic()
            arrived = True
        except NotThere:
            seller.lacks.add(index)
        except Busy as busy:
            deal.paused_until = time.monotonic() + busy.seconds
        finally:
            deal.on_the_way.discard(index)
            if arrived:
                self._under_way.end(target, index)
            elif not self.store.has(index):  # the origin may have had mercy meanwhile
                self.queue.give_back(index)

    def _keep(self, index: int, data: ChunkData) -> None:
        self.store.put(index, data)
        self._bytes += len(data)
        self._moved = time.monotonic()
        self.queue.arrived(index)

    def _expect_worth_the_risk(self, seller: Seller, purse: Purse) -> None:
        """Refuse to pay an unknown peer once too much was lost: one operator can have many addresses."""
        numerator, denominator = self._settings.lost_share
        now = time.monotonic()
        # Of those that are silent it may be lost, and will not be noted before they are given up.
        lost = self._distrust.lost(purse.cptx_hash) + sum(deal.at_risk(now) for deal in self._deals.values())
        if not seller.account.bought and lost and lost * denominator >= purse.deposit * numerator:
            raise Left(Verdict("not paid: this pool has lost its share to unknown peers"))

    async def _from_origin_loop(self) -> None:
        """Fetch what no peer can deliver now, and what a silent one does not."""
        while True:
            late = self._late()
            index = self._take_for_origin() if late is None else late
            if index is None or self._origin is None:
                await self.queue.wait_for_change()
                continue
            arrived = False
            try:
                self._keep(index, await self._origin.chunk(self.store.manifest, index))
                self._from_origin += 1
                self._origin_failures, arrived = 0, True
            except NoAnswer as error:
                self._origin_words, self._origin_failures = str(error), self._origin_failures + 1
                await asyncio.sleep(min(0.05 * 2**self._origin_failures, 2.0))
            finally:
                if not arrived and late is None:
                    self.queue.give_back(index)

    def _late(self) -> int | None:
        """Return a chunk that a peer was asked for, and of which nothing has come for too long."""
        now = time.monotonic()
        late = (index for deal in self._deals.values() if deal.is_silent(now) for index in deal.on_the_way)
        return None if self._origin is None else next((index for index in late if not self.store.has(index)), None)

    def _take_for_origin(self) -> int | None:
        """Take a chunk that no peer that is at work, or about to be, could deliver.

        Where no peer has delivered for some time, any: announcing new ones costs nobody anything.
        """
        now = time.monotonic()
        if self._origin is None:
            return None
        if now - self._peers_moved > GRACE_SECONDS:
            return self.queue.take(lambda index: not self._is_held(index))
        at_work = [deal for deal in self._deals.values() if deal.is_at_work(now)]
        if self._unasked > 0 or any(deal.seller is not None and not deal.seller.lacks for deal in at_work):
            return None  # at once, without a look at any chunk
        return self.queue.take(
            lambda index: (
                not self._is_held(index)
                and not any(deal.seller is None or index not in deal.seller.lacks for deal in at_work)
            )
        )

    async def _watch(self) -> None:
        """Give up when nothing moves; raises FetchFailed."""
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self.queue.wake()  # for what comes with time alone: the end of a pause, or of patience
            self._take_spares()
            now = time.monotonic()
            if self.queue.is_done:
                self._moved = self._peers_moved = now
            at_work = any(not deal.is_over for deal in self._deals.values())
            hopeless = self._origin is None or self._origin_failures >= _ORIGIN_FAILURES_MAX
            patience = self._settings.patience_seconds
            if now - self._moved > (patience if hopeless and not at_work else 4 * patience):
                raise FetchFailed(self._where_it_stands())

    def _where_it_stands(self) -> str:
        """Say of everybody who was asked what came of it."""
        states = [f"{deal.offer.url} {deal.state}" for deal in self._deals.values()]
        states += [f"{url} {why}" for url, why in self._passed_over.items()]
        return "; ".join([*states, f"origin: {self._origin_words}"])

    async def _ask_tracker(self) -> None:
        is_first = True
        while True:
            if self._origin is not None:
                with suppress(NoAnswer):
                    for offer in await self._origin.offers(self.store.manifest.resource_id):
                        self.add(offer)
            self._unasked -= 1 if is_first else 0
            is_first = False
            await asyncio.sleep(self._settings.tracker_seconds)

    async def _add_url(self, url: str) -> None:
        """Ask a peer of which only the url is known who it is, again while it does not answer."""
        is_first = True
        while True:
            offer = await read_offer(self._session, url, self.store.manifest.resource_id, self._settings.reply_seconds)
            if offer is not None:
                self.add(offer)
            else:
                self._passed_over[url] = "does not answer, or does not sell this"
            self._unasked -= 1 if is_first else 0
            is_first = False
            if offer is not None:
                return
            await asyncio.sleep(self._settings.tracker_seconds)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found

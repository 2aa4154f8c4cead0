"""The selling program, from its start to its end: opens what is on disk, sells, follows the chain, settles, stops.

What viewers ask of it is in `desk.py`, what it asks of them in `price_list.py`, when it settles in `settler.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.signature import SigningKey
from light.verify import Trust

from .chain_link import ChainLink, connect_patiently
from .desk import Desk
from .manifest import BadManifest
from .open_books import Account, Accounts
from .payment_store import PaymentStore, StoreFailed
from .price_list import CacherSettings, PriceList
from .refused import Json
from .settler import Settler
from .shelf import Shelf
from .signers import Signers, SignersInPlace
from .transfer import NoAnswer, open_session

_SHELF_SECONDS: Final = 10.0
"""For so long an origin is asked at the start where something is to be settled; what it would have sold is not sold."""
_log = logging.getLogger(__name__)


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
        signers: Signers,
        on_change: Callable[[], None],
    ) -> None:
        """Put the parts together; the link is connected. Begins with the books that are on disk."""
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
        self._prices = prices = PriceList(settings, link.parameters)
        self.settler = Settler(
            self.accounts, link, store, key, policy=prices.policy, caps=prices.caps, on_change=on_change
        )
        self.desk = Desk(
            self.accounts,
            link,
            store,
            shelf,
            prices=prices,
            settler=self.settler,
            signers=signers,
            on_change=on_change,
        )

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
        signers_of: Callable[[Domain], Signers] = SignersInPlace,
        on_change: Callable[[], None] = lambda: None,
        on_away: Callable[[str], None] = lambda _: None,
    ) -> AsyncIterator[Cacher]:
        """Open the store in `folder` and sell inside; at the end settle what is worth its fee.

        `signers_of` may hand in what finds signers faster than one after the other, for the chain that it is told.
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
            signers = signers_of(link.domain)
            stack.push_async_callback(signers.close)
            cacher = cls(settings, link, store, shelf, key=key, signers=signers, on_change=on_change)
            await cacher._begin()
            async with cacher._selling():
                yield cacher

    async def _begin(self) -> None:
        """Put the resources on the shelf and take the books from the disk.

        What an origin does not give, or the disk, keeps nobody from settling: it raises only where nothing is to be
        settled, for a resource that was named and where there is nothing to sell.
        """
        books = [*self._store.load()]
        failure: Exception | None
        try:
            async with asyncio.timeout(_SHELF_SECONDS if any(book.is_open for book in books) else None):
                failure = await self._fill_shelf()
        except TimeoutError:
            failure = NoAnswer("the origin takes too long")
        self.shelf.origin_away = None if failure is None else str(failure)
        for book in books:
            if not book.is_open:
                await self._store.forget(book.cptx_hash)
                continue
            manifest = self.shelf.find(book.pool.resource_id)
            terms = None if manifest is None else self._prices.of(manifest)
            self.accounts.add(Account(book, terms, paid_at=time.monotonic(), is_kept=True))
        is_wanting = self._settings.resource_ids or not self.shelf.resources
        if failure is not None and is_wanting and not [*self.accounts]:
            raise failure

    async def _fill_shelf(self) -> Exception | None:
        """Put on the shelf what there is, what is on the disk first; return why something is not, if so."""
        named = [*self._settings.resource_ids]
        stored = [] if named else self.shelf.stored()
        failure = await self._add(named or stored)
        if not named:
            try:
                listed = await self.shelf.listed()
            except NoAnswer as error:
                return error
            failure = await self._add([found for found in listed if found not in stored]) or failure
        return failure

    async def _add(self, wanted: Iterable[bytes]) -> Exception | None:
        failure: Exception | None = None
        for resource_id in wanted:
            try:
                await self.shelf.add(resource_id)
            except (NoAnswer, BadManifest, OSError) as error:
                failure = error
                _log.warning("the resource 0x%s is not sold: %s", resource_id.hex(), error)
        return failure

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
            self.desk.is_closing = True
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
            "pricePerChunk": hex(self._prices.terms.price_per_chunk),
            "firstAmount": hex(self._prices.terms.first_amount),
            "settlementFee": hex(self._prices.terms.settlement_fee),
            "resources": [
                {"resourceId": f"0x{found.resource_id.hex()}", "name": found.name, "chunkCount": found.chunk_count}
                for found in self.shelf.resources
            ],
            "unsettled": hex(sum(account.book.unsettled for account in self.accounts if account.book.is_open)),
            "pools": rows,
            "counts": dict(self.desk.counts),
            "refusals": dict(self.desk.refusals),
        }

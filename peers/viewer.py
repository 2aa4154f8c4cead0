"""Buying a resource: three calls.

    async with Viewer(link, key, folder) as viewer:
        purchase = await viewer.open(resource_id, origin="http://127.0.0.1:9000")
        await purchase.fund(duration=3600)
        report = await purchase.save(Path("film.mp4"), print)

`link` is a connected and running `chain_link.ChainLink`. Everything that must survive a crash is below `folder`: the
pools with their ledgers, the chunks that are here, and who has cheated. The same three calls after kill -9 go on where
it ended: the pool is found again, nothing that is here is bought twice, and nothing is promised beyond the deposit.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Self

import aiohttp

from crypto.eip712 import Domain
from crypto.signature import SigningKey

from .buying import Buying, Market
from .chunk_store import MANIFEST_FILE, ChunkMissing, ChunkStore, OriginFiles
from .manifest import BadManifest, Manifest
from .manifest_reader import read_manifest
from .node_rpc import Json
from .origin_client import OriginClient
from .pools_of_viewer import Chain, PoolTerms, ViewerPools
from .progress import FetchFailed, Progress, Settings
from .purse import Distrust, Purse
from .seller import Terms
from .transfer import NoAnswer, open_session
from .under_way import UnderWay

DURATION_DEFAULT: Final = 3600
"""Blocks that a new pool can be settled for."""
FIRST_AMOUNT_FEES: Final = 40
"""A firstAmount of more minimum fees is not paid: it is what a peer could run away with."""
PEERS_EXPECTED: Final = 8
_PROGRESS_SECONDS: Final = 0.25
_LIVE_SECONDS: Final = 1.0
_CACHERS_LAG_SECONDS: Final = 1.3
_BLOCK_SECONDS_MAX: Final = 15.0


class Viewer:
    """One key that buys. Used by one event loop."""

    def __init__(self, chain: Chain, key: SigningKey, folder: Path, settings: Settings | None = None) -> None:
        """Keep pools, chunks and distrust below `folder`, which is made if it is not there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.chain = chain
        self.key = key
        self.folder = folder
        self.settings = settings or Settings()
        self.pools = ViewerPools(folder / "pools", chain, key)
        self.distrust = Distrust(folder / "distrust.jsonl")
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Be ready to ask."""
        self.session: aiohttp.ClientSession = await self._stack.enter_async_context(open_session())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close files, locks and connections."""
        await self._stack.aclose()

    async def open(
        self,
        resource_id: bytes,
        *,
        origin: str | None = None,
        peers: Iterable[str] = (),
        publisher: bytes | None = None,
    ) -> Purchase:
        """Learn what a resource consists of, from its origin or from an interrupted purchase.

        `publisher` is who must have signed a live manifest. Raises NoAnswer, BadManifest and OSError (another process
        buys the same).
        """
        folder = self.folder / "chunks" / f"0x{resource_id.hex()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._stack.callback(os.close, _lock(folder))
        client = None if origin is None else OriginClient(self.session, origin, self.settings.reply_seconds)
        urls = [url.rstrip("/") for url in peers]
        sources = (*(() if client is None else (client,)), *(OriginClient(self.session, url) for url in urls))
        store, hint = await self._open_store(folder, resource_id, publisher, sources, client)
        self._stack.callback(store.close)
        under_way = UnderWay(folder / "under-way")
        self._stack.callback(under_way.close)
        price = Price(folder / "price", hint)
        return Purchase(self, store, under_way, origin=client, sources=sources, price=price)

    def keep(self, purse: Purse) -> Purse:
        """Close a purse when the viewer ends."""
        self._stack.callback(purse.ledger.close)
        return purse

    async def _open_store(
        self,
        folder: Path,
        resource_id: bytes,
        publisher: bytes | None,
        sources: Iterable[OriginClient],
        origin: OriginClient | None,
    ) -> tuple[ChunkStore, int | None]:
        """Take the manifest from whoever has it: it is checked, so that anybody may give it. But for the price.

        The price is returned beside it where the origin names it. A name does not say whose a live resource is: who was
        seen first stays, and an older state is not gone back to.
        """
        domain = self.chain.domain
        kept = _read_kept(folder / MANIFEST_FILE, domain)
        failures: list[Exception] = [NoAnswer("nobody was named who has the resource")]
        hint: int | None = None
        for source in sources:
            try:
                found = await source.manifest(resource_id, domain)
                _expect_publisher(found, publisher)
                hint = found.price_per_chunk if source is origin else hint
                if kept is None or kept.live is None or found.follows(kept):
                    return ChunkStore(folder, found), hint
            except (NoAnswer, BadManifest) as error:
                failures.append(error)
        if kept is None:
            raise failures[-1]
        _expect_publisher(kept, publisher)
        return ChunkStore(folder, kept), hint


class PriceUnknown(FetchFailed):
    """Nobody but sellers says what a chunk is worth."""


class Price:
    """What may be paid for a chunk at most: an id does not commit to it, so a seller's word for it is nothing."""

    def __init__(self, path: Path, hint: int | None) -> None:
        """Take what the origin says now, None where it says nothing; what was accepted before is in the file."""
        self._path = path
        self._hint = hint

    def accept(self, given: int | None) -> int:
        """Return the given price, else the origin's, else the one that was accepted before; raises PriceUnknown."""
        price = self._hint if given is None else given
        if price is None and self._path.exists():
            kept = self._path.read_text()
            price = int(kept) if kept.isdigit() else None
        if price is None:
            raise PriceUnknown(
                "only sellers say what a chunk costs: say what it may (--max-price), or name an origin that answers"
            )
        self._path.write_text(str(price))
        return price


class Purchase:
    """One resource, as far as it is here. Made by `Viewer.open`."""

    def __init__(
        self,
        viewer: Viewer,
        store: ChunkStore,
        under_way: UnderWay,
        *,
        origin: OriginClient | None,
        sources: tuple[OriginClient, ...],
        price: Price,
    ) -> None:
        """Without `fund` everything comes from the origin."""
        self.store = store
        self.purse: Purse | None = None
        self.price_max = 0
        """The dearest peer that is bought from, in base units for a chunk; `fund` sets it."""
        self._price = price
        self._viewer = viewer
        self._under_way = under_way
        self._origin = origin
        self._sources = sources
        """Who gives manifests: the origin, and the peers that were named."""

    @property
    def manifest(self) -> Manifest:
        """What the resource consists of."""
        return self.store.manifest

    async def fund(
        self,
        *,
        deposit: int | None = None,
        duration: int = DURATION_DEFAULT,
        price_max: int | None = None,
        collateral: int | None = None,
        fee: int | None = None,
    ) -> bytes:
        """Open an own pool for this resource, or make one and wait for its block; return its cptxHash.

        Amounts in base units, the duration in blocks. By default the deposit is the price of the whole resource at the
        highest accepted price (the origin's hint unless given), and room for what eight peers may have been promised
        and not delivered; what is not used comes back. Raises PriceUnknown, NodeRefused, NodeAway, ProofRefused,
        LedgerRefused and OSError.
        """
        self.price_max = self._price.accept(price_max)
        missing = self.manifest.chunk_count - self.store.count()
        found = await self._viewer.pools.find(self.manifest.resource_id, self.price_max, missing)
        if found is None:
            room = PEERS_EXPECTED * max(self._first_amount_usual(), self.price_max)
            amount = self._chunks_to_pay(duration) * self.price_max + room if deposit is None else deposit
            terms = PoolTerms(amount, duration, collateral, fee)
            found = await self._viewer.pools.create(self.manifest.resource_id, terms, self.price_max)
        self.purse = self._viewer.keep(found)
        return found.cptx_hash

    @asynccontextmanager
    async def buying(self) -> AsyncIterator[Buying]:
        """Have peers at work while inside; what is wanted is put into `queue`, or asked for with `chunk`."""
        viewer = self._viewer
        market = Market(viewer.session, self._documents, self._origin, self._terms(), viewer.settings)
        buying = Buying(market, self.store, self._under_way, viewer.distrust, self.purse)
        peers = tuple(source.url for source in self._sources if source is not self._origin)
        async with buying.running(peers):
            following = asyncio.create_task(self._follow_live(buying))
            try:
                yield buying
            finally:
                following.cancel()
                with suppress(asyncio.CancelledError):
                    await following

    async def save(self, out: Path, on_progress: Callable[[Progress], object] | None = None) -> Progress:
        """Buy what is missing and write the file or folder; `on_progress` is called a few times a second.

        Raises FetchFailed, LedgerRefused and OSError.
        """
        async with self.buying() as buying:
            while True:
                buying.queue.want(self.store.missing())
                await self._until_here(buying, on_progress)
                if self.store.check() == self.manifest.chunk_count and self._has_ended():
                    break
                await asyncio.sleep(0 if self._has_ended() else _PROGRESS_SECONDS)
            report = buying.progress()
        await asyncio.to_thread(self.store.export, out)
        return report

    async def is_at(self, out: Path) -> bool:
        """Tell whether all of it is in a file or folder already, so that nothing need be bought. Reads all of that.

        Raises OSError where it is not, and could not be written there either.
        """
        if self._has_ended() and await self._is_whole(OriginFiles(out, self.manifest)):
            return True
        await asyncio.to_thread(self.store.expect_place, out)
        return False

    async def _is_whole(self, files: OriginFiles) -> bool:
        """Compare files with the manifest, chunk by chunk: whoever waits may give up."""
        try:
            if not await asyncio.to_thread(files.are_whole):
                return False
            for index in range(self.manifest.chunk_count):
                await asyncio.to_thread(files.read, index)
        except (OSError, ChunkMissing):
            return False
        return True

    async def _until_here(self, buying: Buying, on_progress: Callable[[Progress], object] | None) -> None:
        waiting = asyncio.ensure_future(buying.all_here())
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=_PROGRESS_SECONDS)
                if on_progress is not None:
                    on_progress(buying.progress())
        finally:
            waiting.cancel()

    def _has_ended(self) -> bool:
        return self.manifest.live is None or self.manifest.live.ended

    async def _follow_live(self, buying: Buying) -> None:
        """Take newer manifests of a live resource, from whoever has one, until it ends."""
        while not self._has_ended():
            await asyncio.sleep(_LIVE_SECONDS)
            for source in self._sources:
                with suppress(NoAnswer, BadManifest):
                    newer = await source.manifest(self.manifest.resource_id, self._viewer.chain.domain)
                    if newer.follows(self.manifest):
                        # Cachers look once a second, too: asked at once, they would not know these chunks yet.
                        await asyncio.sleep(_CACHERS_LAG_SECONDS)
                        self.store.follow(newer)
                        buying.follow(newer)
                        break

    async def _documents(self, cptx_hash: bytes, target: bytes) -> Json:
        return await self._viewer.chain.handshake_documents(cptx_hash, target)

    def _chunks_to_pay(self, duration: int) -> int:
        """Return how many chunks a pool has to cover: of a live resource one for each second until it expires."""
        if self.manifest.live is None:
            return self.manifest.chunk_count
        return self.manifest.chunk_count + duration * self._viewer.chain.parameters.block_interval

    def _first_amount_usual(self) -> int:
        """Return what a cacher asks for at first by default: twice its settlement fee."""
        return 2 * self._viewer.chain.parameters.min_fee

    def _terms(self) -> Terms:
        parameters, settings = self._viewer.chain.parameters, self._viewer.settings
        accepted = settings.first_amount_max
        return Terms(
            price_max=self.price_max,
            first_amount_max=FIRST_AMOUNT_FEES * parameters.min_fee if accepted is None else accepted,
            reply_seconds=settings.reply_seconds,
            block_seconds=min(parameters.block_interval, _BLOCK_SECONDS_MAX),
        )


def _read_kept(path: Path, domain: Domain) -> Manifest | None:
    """Return the manifest of an interrupted purchase; None where there is none that can be read."""
    try:
        return read_manifest(path.read_bytes(), domain)
    except (FileNotFoundError, BadManifest):
        return None


def _expect_publisher(manifest: Manifest, publisher: bytes | None) -> None:
    """Refuse a live resource of somebody else than the one who is expected."""
    live = manifest.live
    if live is not None and publisher not in (None, live.publisher):
        raise BadManifest("the resource is of another publisher")


def _lock(folder: Path) -> int:
    """Return the lock of a resource's folder; raises OSError when another process buys the same."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise BlockingIOError(error.errno, "another process is fetching this resource", str(folder)) from error
    return descriptor


__all__ = ["FetchFailed", "PriceUnknown", "Progress", "Purchase", "Settings", "Viewer"]

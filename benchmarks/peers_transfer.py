"""How much paying costs: one file from three peers over loopback, with a payment for each chunk and without.

Without: three origins, each asked for every third chunk, so many at a time as a viewer has on the way to one peer,
verified and stored in the same way. With: three cachers on a real chain, whose payments are synced to disk before each
chunk. Every server is a process of its own, and all have sent the file before the clock starts. Both in turn, a few
times a round, over the file of the time before: where a virtual machine's memory has gone back to its host, a new page
takes up to 8 us, and those of 200 MB a third of the whole transfer or nothing, as it happens.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from peers.chunk_store import ChunkStore, cut_path
from peers.manifest import CHUNK_BYTES_DEFAULT, Manifest
from peers.origin_client import OriginClient
from peers.transfer import open_session
from peers.viewer import Viewer
from poolchain import event_loop
from poolchain.units import format_tokens
from tests.functional.cacher_process import CacherProcess
from tests.functional.node_process import NodeProcess
from tests.functional.peer_commands import PeerCommand

from .figures import Goal, Sample, Scale
from .peer_stage import VIEWER, chain_link, stock

PAID: Final = "file from three peers, paid chunk by chunk"
UNPAID: Final = "file from three peers, without payments"
GOALS: Final = (Goal(PAID, 0.75, UNPAID),)
PEERS: Final = 3
PRICE: Final = 10**11
"""Of a chunk of 256 KiB; the cachers' firstAmount is twenty times that, so that several are on the way at once."""
_UNDER_WAY: Final = 4
_WARM_UP: Final = 4
"""A cacher compares a chunk with the manifest when it reads it for the first time, and sells others each time."""
_MEGABYTE: Final = 1_000_000


def part(scale: Scale) -> Iterator[Sample]:
    """Measure both, in turn."""
    megabytes, times = (24, 1) if scale.quick else (200, 4)
    with ExitStack() as stack:
        market = Market.open(scale.folder, scale.seed, megabytes, stack)
        market.unpaid()
        for _ in range(_WARM_UP):
            market.paid()
        unpaid, paid = [], []
        for _ in range(times):
            unpaid.append(market.unpaid())
            paid.append(market.paid())
    yield Sample(UNPAID, "MB per second", statistics.median(unpaid))
    yield Sample(PAID, "MB per second", statistics.median(paid))


@dataclass(frozen=True, slots=True)
class Market:
    """A file, who gives it and who sells it."""

    folder: Path
    node: NodeProcess
    manifest: Manifest
    origins: Sequence[str]
    sellers: Sequence[str]

    @classmethod
    def open(cls, folder: Path, seed: int, megabytes: int, stack: ExitStack) -> Market:
        """Start everything."""
        content = random.Random(seed).randbytes(megabytes * _MEGABYTE)
        film = folder / "film.bin"
        film.write_bytes(content)
        manifest = cut_path(film, chunk_bytes=CHUNK_BYTES_DEFAULT, price_per_chunk=PRICE)
        node = stack.enter_context(NodeProcess(folder))
        publish = ("publish", str(film), "--price", format_tokens(PRICE))
        origins = [
            stack.enter_context(PeerCommand(folder, f"origin-{number}", *publish)).url for number in range(PEERS)
        ]
        sellers = []
        for number in range(1, PEERS + 1):
            cacher = CacherProcess(folder, node.url, price=PRICE, account=f"devnet:{number}")
            stock(cacher.data_dir / "chunks", manifest, content)
            sellers.append(stack.enter_context(cacher).url)
        return cls(folder, node, manifest, origins, sellers)

    def unpaid(self) -> float:
        """Return the speed without payments, in MB a second."""
        return self.manifest.size / event_loop.run(self._fetch_unpaid(), asyncio.new_event_loop) / _MEGABYTE

    def paid(self) -> float:
        """Return the speed with a payment for each chunk, in MB a second."""
        return self.manifest.size / event_loop.run(self._fetch_paid(), asyncio.new_event_loop) / _MEGABYTE

    async def _fetch_unpaid(self) -> float:
        store = ChunkStore(self.folder / "unpaid", self.manifest)

        async def pull(origin: OriginClient, wanted: Iterator[int]) -> None:
            for index in wanted:
                store.put(index, await origin.chunk(self.manifest, index))

        async with open_session() as session:
            start = time.perf_counter()
            pulls = []
            for number, url in enumerate(self.origins):
                wanted = iter(range(number, self.manifest.chunk_count, PEERS))
                pulls += [pull(OriginClient(session, url), wanted) for _ in range(_UNDER_WAY)]
            await asyncio.gather(*pulls)
            seconds = time.perf_counter() - start
        _forget(store, self.folder / "unpaid")
        return seconds

    async def _fetch_paid(self) -> float:
        link = chain_link(self.node, self.folder)
        await link.connect()
        folder = self.folder / "viewer"
        # A viewer that remembers its pool would get what it has paid for again, for nothing.
        shutil.rmtree(folder / "pools", ignore_errors=True)
        folder.mkdir(exist_ok=True)
        async with link.running(), Viewer(link, VIEWER, folder) as viewer:
            purchase = await viewer.open(self.manifest.resource_id, origin=self.origins[0], peers=self.sellers)
            await purchase.fund()
            async with purchase.buying() as buying:
                start = time.perf_counter()
                buying.queue.want(purchase.store.missing())
                await buying.all_here()
                seconds = time.perf_counter() - start
                found = buying.progress()
            if found.from_origin or found.spent < PRICE * self.manifest.chunk_count:
                raise RuntimeError(f"not everything was bought: {found}")
            _forget(purchase.store, folder / "chunks" / f"0x{self.manifest.resource_id.hex()}")
        return seconds


def _forget(store: ChunkStore, folder: Path) -> None:
    """Have nothing of what was fetched but its place on the disk; raises RuntimeError unless all of it is there."""
    if store.check() != store.manifest.chunk_count:
        raise RuntimeError("chunks are missing")
    store.close()
    (folder / "have").unlink()

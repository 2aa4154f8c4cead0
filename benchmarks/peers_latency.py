"""How long a viewer waits: for a handshake, and for the next peer when one has gone.

A handshake is shown to a real cacher's process over a kept-alive connection, with real proofs of a pool that the cacher
has not seen before. Switching: a viewer buys from one of several cachers at a time; that one is killed, and the clock
runs from the last chunk that came from it to the first one from the next, with the handshake that this needs.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from peers.buying import Buying
from peers.chunk_store import cut_path
from peers.progress import Settings
from peers.viewer import Viewer
from tests.functional.cacher_process import CacherProcess
from tests.functional.node_process import NodeProcess

from .caller import Caller
from .figures import Goal, Sample, Scale
from .peer_stage import SELLERS, VIEWER, chain_link, create_pools, encoded, handshake_body, http_post, stock

HANDSHAKE: Final = "handshake over HTTP, p50"
HANDSHAKE_P95: Final = "handshake over HTTP, p95"
SWITCH: Final = "switch to another peer when one is killed, p50"
SWITCH_P95: Final = "switch to another peer when one is killed, p95"
GOALS: Final = (Goal(HANDSHAKE_P95, 10.0, at_most=True),)
PRICE: Final = 10**13
_CHUNK_BYTES: Final = 64 * 1024
_CHUNKS: Final = 2_000
_BOUGHT_BEFORE: Final = 5
"""Chunks from a peer before it is killed."""
_PATIENCE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.0005


def part(scale: Scale) -> Iterator[Sample]:
    """Measure both."""
    found = sorted(handshakes(scale.folder / "handshakes", 20 if scale.quick else 200))
    yield Sample(HANDSHAKE, "ms", 1e3 * statistics.median(found))
    yield Sample(HANDSHAKE_P95, "ms", 1e3 * _percentile_95(found))
    found = sorted(switches(scale.folder / "switches", scale.seed, 3 if scale.quick else 8))
    yield Sample(SWITCH, "ms", 1e3 * statistics.median(found))
    yield Sample(SWITCH_P95, "ms", 1e3 * _percentile_95(found))


def handshakes(folder: Path, count: int) -> list[float]:
    """Return the seconds of so many first handshakes."""
    folder.mkdir()
    found = []
    with NodeProcess(folder) as node:
        cacher = CacherProcess(folder, node.url, price=PRICE)
        manifest = cacher.resource([bytes(_CHUNK_BYTES)], chunk_bytes=_CHUNK_BYTES)
        pools = create_pools(node, manifest.resource_id, count, 10**16)
        with cacher:
            target = SELLERS[0].address
            bodies = [encoded(handshake_body(node, manifest.resource_id, pool, target)) for pool in pools]
            with Caller(urlsplit(cacher.url).port or 0) as caller:
                for body in bodies:
                    start = time.perf_counter()
                    answer = caller.exchange(http_post("/handshake", body))
                    found.append(time.perf_counter() - start)
                    if b'"firstAmount"' not in answer:
                        raise RuntimeError(answer.decode())
    return found


def switches(folder: Path, seed: int, count: int) -> list[float]:
    """Return the seconds of so many switches."""
    folder.mkdir()
    content = random.Random(seed).randbytes(_CHUNKS * _CHUNK_BYTES)
    film = folder / "film.bin"
    film.write_bytes(content)
    manifest = cut_path(film, chunk_bytes=_CHUNK_BYTES, price_per_chunk=PRICE)
    with ExitStack() as stack:
        node = stack.enter_context(NodeProcess(folder))
        cachers = {}
        for number in range(1, count + 2):
            cacher = CacherProcess(folder, node.url, price=PRICE, account=f"devnet:{number}")
            stock(cacher.data_dir / "chunks", manifest, content)
            stack.enter_context(cacher)
            cachers[cacher.url] = cacher
        return asyncio.run(_switch_all(folder, node, manifest.resource_id, cachers))


async def _switch_all(
    folder: Path, node: NodeProcess, resource_id: bytes, cachers: dict[str, CacherProcess]
) -> list[float]:
    link = chain_link(node, folder)
    await link.connect()
    found = []
    async with link.running(), Viewer(link, VIEWER, folder / "viewer", Settings(peers_max=1)) as viewer:
        purchase = await viewer.open(resource_id, peers=cachers)
        await purchase.fund(price_max=PRICE)
        async with purchase.buying() as buying:
            watch = _Watch(buying)
            buying.queue.want(purchase.store.missing())
            old = await watch.next_seller()
            while len(cachers) > 1:
                await watch.count(old, _BOUGHT_BEFORE)
                await asyncio.to_thread(cachers.pop(old).kill)
                new = await watch.next_seller()
                found.append(watch.first[new] - watch.last[old])
                old = new
    return found


class _Watch:
    """When chunks came from whom, looked at twice a millisecond."""

    def __init__(self, buying: Buying) -> None:
        self.first: dict[str, float] = {}
        """Url -> the moment of the first chunk."""
        self.last: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._buying = buying

    async def next_seller(self) -> str:
        """Return who sells when that is somebody new."""
        before = len(self.first)
        await self._until(lambda: len(self.first) > before)
        return max(self.first, key=lambda url: self.first[url])

    async def count(self, url: str, chunks: int) -> None:
        """Wait for so many chunks from a seller."""
        await self._until(lambda: self._counts.get(url, 0) >= chunks)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not holds():
                await asyncio.sleep(_LOOK_SECONDS)
                self._look()

    def _look(self) -> None:
        now = time.perf_counter()
        for peer in self._buying.progress().peers:
            if peer.chunks > self._counts.get(peer.url, 0):
                self._counts[peer.url] = peer.chunks
                self.first.setdefault(peer.url, now)
                self.last[peer.url] = now


def _percentile_95(found: list[float]) -> float:
    return found[min(len(found) - 1, len(found) * 95 // 100)]

"""How much paying costs: one file from three peers over loopback, with a payment for each chunk and without.

    python -m benchmarks.peers_transfer --megabytes 200

Without: three origins, each asked for every third chunk, verified and stored in the same way. With: three cachers on a
real chain, whose payments are synced to disk before each chunk. Every server is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from light.verify import Trust
from peers.chain_link import ChainLink
from peers.chunk_store import ChunkStore, OriginFiles, cut_path
from peers.manifest import CHUNK_BYTES_DEFAULT, Manifest
from peers.origin_client import OriginClient
from peers.transfer import open_session
from peers.viewer import Viewer
from poolchain.chain_client import read_facts
from poolchain.devnet import devnet_keys
from poolchain.rpc_client import RpcClient
from poolchain.units import parse_tokens

PEERS: Final = 3
_MEGABYTE: Final = 1_000_000


@contextmanager
def served(folder: Path, name: str, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run a command of poolchain that serves; give the object that it prints first."""
    out = folder / f"{name}.out"
    with out.open("wb") as writer, (folder / f"{name}.err").open("wb") as errors:
        command = [sys.executable, "-m", "poolchain", *arguments, "--port", "0", "--json"]
        # Our own commands.
        process = subprocess.Popen(  # noqa: S603
            command, stdout=writer, stderr=errors, stdin=subprocess.DEVNULL
        )
    try:
        while b"\n" not in out.read_bytes():
            time.sleep(0.05)
            if process.poll() is not None:
                raise RuntimeError((folder / f"{name}.err").read_text())
        yield json.loads(out.read_text().splitlines()[0])
    finally:
        process.terminate()
        process.wait(30)


async def fetch_unpaid(folder: Path, manifest: Manifest, urls: list[str]) -> float:
    """Return the seconds that it takes without payments."""
    async with open_session() as session:
        store = ChunkStore(folder / "unpaid", manifest)

        async def pull(number: int, url: str) -> None:
            origin = OriginClient(session, url)
            for index in range(number, manifest.chunk_count, len(urls)):
                store.put(index, await origin.chunk(manifest, index))

        start = time.perf_counter()
        await asyncio.gather(*(pull(number, url) for number, url in enumerate(urls)))
        seconds = time.perf_counter() - start
        store.remove()
    return seconds


async def fetch_paid(folder: Path, rpc: str, resource_id: bytes, origin: str, peers: list[str]) -> float:
    """Return the seconds from the first handshake to the last chunk."""
    facts = read_facts(RpcClient(rpc).call("chain_status"))
    link = ChainLink(rpc, Trust(facts.authority, facts.domain.genesis_hash), folder / "head.json")
    await link.connect()
    key = devnet_keys().accounts[0]
    async with link.running(), Viewer(link, key, folder / "viewer") as viewer:
        purchase = await viewer.open(resource_id, origin=origin, peers=peers)
        await purchase.fund()
        async with purchase.buying() as buying:
            start = time.perf_counter()
            buying.queue.want(purchase.store.missing())
            await buying.all_here()
            seconds = time.perf_counter() - start
            progress = buying.progress()
        shares = [peer.chunks for peer in progress.peers]
        sys.stdout.write(f"paid shares {shares}, from the origin {progress.from_origin}\n")
        purchase.store.remove()
    return seconds


def main() -> None:
    """Measure both, a few times in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--price", default="0.0000001", help="tokens for a chunk; firstAmount is 0.000002")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        os.environ["POOLCHAIN_HOME"] = str(folder / "home")
        film = folder / "film.bin"
        film.write_bytes(os.urandom(chosen.megabytes * _MEGABYTE))
        manifest = cut_path(film, chunk_bytes=CHUNK_BYTES_DEFAULT, price_per_chunk=parse_tokens(chosen.price))
        rpc = stack.enter_context(served(folder, "node", "devnet", "--data-dir", str(folder / "devnet")))["rpc"]
        publish = ("publish", str(film), "--price", chosen.price)
        origins = [stack.enter_context(served(folder, f"o{number}", *publish))["url"] for number in range(PEERS)]
        peers = []
        for number in range(1, PEERS + 1):
            data_dir = folder / f"cacher-{number}"
            with ChunkStore(data_dir / "chunks" / manifest.resource_id.hex(), manifest) as store:
                for index in range(manifest.chunk_count):
                    store.put(index, OriginFiles(film, manifest).read(index))
            sell = ("serve", "--price", chosen.price, "--from", f"devnet:{number}", "--rpc", rpc)
            started = stack.enter_context(served(folder, f"c{number}", *sell, "--data-dir", str(data_dir)))
            peers.append(started["url"])
        for _ in range(chosen.rounds):
            unpaid = asyncio.run(fetch_unpaid(folder, manifest, origins))
            paid = asyncio.run(fetch_paid(folder, rpc, manifest.resource_id, origins[0], peers))
            speeds = [manifest.size / seconds / _MEGABYTE for seconds in (unpaid, paid)]
            sys.stdout.write(
                f"without payments {speeds[0]:.0f} MB/s, with {speeds[1]:.0f} MB/s: {speeds[1] / speeds[0]:.2f}\n"
            )


if __name__ == "__main__":
    main()

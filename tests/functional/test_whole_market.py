"""The commands together: a publisher, three cachers that begin with nothing, a viewer; n payees, n + 1 transactions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from .cacher_process import CacherProcess
from .node_process import ROOT, NodeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PRICE = 10**13
CHUNK_BYTES = 16_384
CHUNKS = 60
PATIENCE_S = 30


@contextmanager
def publishing(path: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """`poolchain publish`: its first line."""
    options = ["--port", "0", "--json", "--chunk-bytes", str(CHUNK_BYTES)]
    with subprocess.Popen(
        [sys.executable, "-m", "poolchain", "publish", str(path), *options],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


def count_transactions(node: NodeProcess) -> int:
    height = int(node.call("chain_status")["head"]["height"], 16)
    return sum(len(node.call("chain_getBlock", hex(at))["transactions"]) for at in range(1, height + 1))


def test_three_cachers_settle_once_each(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(CHUNKS * CHUNK_BYTES - 5))
    with ExitStack() as stack:
        node = stack.enter_context(NodeProcess(tmp_path))
        environment = {**os.environ, "POOLCHAIN_HOME": str(tmp_path / "home"), "POOLCHAIN_RPC": node.url}
        banner = stack.enter_context(publishing(film, environment))
        cachers = [
            CacherProcess(tmp_path, node.url, "--origin", banner["url"], price=PRICE, account=f"devnet:{number}")
            for number in (1, 2, 3)
        ]
        for cacher in cachers:
            stack.enter_context(cacher)
        time.sleep(0.5)  # a tracker is told within this time
        copy = tmp_path / "copy.bin"
        wish = [banner["resourceId"], "--origin", banner["url"], "--from", "devnet:0", "--out", str(copy), "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "poolchain", "fetch", *wish],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            timeout=PATIENCE_S,
            check=True,
        )
        bought = json.loads(done.stdout)
        assert copy.read_bytes() == film.read_bytes()
        assert bought["fromOrigin"] == 0
        assert sum(peer["chunks"] for peer in bought["peers"]) == CHUNKS
        assert int(bought["spent"], 16) == CHUNKS * PRICE
        assert count_transactions(node) == 1
        statuses = [cacher.status() for cacher in cachers]
        assert sum(int(status["unsettled"], 16) for status in statuses) == CHUNKS * PRICE
        assert [cacher.terminate() for cacher in cachers] == [0, 0, 0]
        sellers = sum(bool(status["pools"]) for status in statuses)
        assert count_transactions(node) == 1 + sellers
        pool = node.call("pool_get", cptxHash=bought["cptxHash"])
        assert int(pool["spent"], 16) == CHUNKS * PRICE

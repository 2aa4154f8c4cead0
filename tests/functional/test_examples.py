"""The examples do what they say, on a real chain; docs/peers.md shows them as they are."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from crypto.address import checksum_address
from poolchain.devnet import devnet_keys

from .node_process import ROOT, NodeProcess
from .peer_commands import PeerCommand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUYER, SELLER, READER = devnet_keys().accounts[:3]
CHUNK_BYTES = 10_000
CHUNKS = 30
PRICE = 10**13
PATIENCE_S = 60


class Fair:
    """A node, a publisher, and the cacher of `examples/sell.py`."""

    def __init__(self, folder: Path, node: NodeProcess, origin: PeerCommand) -> None:
        self.folder, self.node, self.origin = folder, node, origin
        self.trusted = ["--node", node.url, "--authority", node.banner["authority"]]
        self.trusted += ["--genesis", node.banner["genesisHash"]]

    def run(self, name: str, *arguments: str, key: Any = BUYER) -> bytes:
        """Carry out an example that ends by itself; return what it prints."""
        done = subprocess.run(
            self._command(name, *arguments),
            cwd=ROOT,
            env=self._environment(key),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    @contextmanager
    def selling(self) -> Iterator[subprocess.Popen[str]]:
        """The cacher, until it has told where it listens; inside it may be ended."""
        with subprocess.Popen(
            self._command("sell", self.origin.url, str(self.folder / "sell"), "--port", "0"),
            cwd=ROOT,
            env=self._environment(SELLER),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert '"url": "http://127.0.0.1:' in process.stdout.readline()
            try:
                yield process
            finally:
                process.terminate()

    def _command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", f"examples.{name}", *arguments, *self.trusted]

    def _environment(self, key: Any) -> dict[str, str]:
        return {**os.environ, "POOLCHAIN_KEY": f"0x{key.secret.hex()}"}


@pytest.fixture(scope="module")
def film() -> bytes:
    return os.urandom(CHUNKS * CHUNK_BYTES - 7)


@pytest.fixture
def fair(tmp_path: Path, film: bytes) -> Iterator[Fair]:
    (tmp_path / "film.bin").write_bytes(film)
    published = ("publish", str(tmp_path / "film.bin"), "--chunk-bytes", str(CHUNK_BYTES))
    with NodeProcess(tmp_path) as node, PeerCommand(tmp_path, "origin", *published) as origin:
        yield Fair(tmp_path, node, origin)


def test_a_resource_is_sold_bought_and_streamed(fair: Fair, film: bytes) -> None:
    resource, out = fair.origin.banner["resourceId"], fair.folder / "copy.bin"
    with fair.selling() as seller:
        time.sleep(0.5)  # a tracker is told within this time
        told = fair.run("buy", resource, fair.origin.url, str(out))
        assert out.read_bytes() == film
        assert " chunks from http://127.0.0.1:" in told.decode()
        streamed = fair.run("stream", resource, fair.origin.url, str(fair.folder / "stream"), key=READER)
        assert streamed == film
        seller.terminate()
        assert seller.stdout is not None
        assert seller.stdout.read() == '{"isSettled": true, "unsettled": "0x0"}\n'
        assert seller.wait(PATIENCE_S) == 0
    pools = fair.node.call("pool_list", resourceId=resource)["pools"]
    # One cacher lets half of a deposit stand unsettled; what it does not sell meanwhile comes from the origin.
    assert all(CHUNKS // 2 * PRICE <= int(pool["spent"], 16) <= CHUNKS * PRICE for pool in pools)
    assert {pool["creator"] for pool in pools} == {checksum_address(key.address) for key in (BUYER, READER)}


def test_a_second_run_of_the_same_purchase_pays_nothing(fair: Fair, film: bytes) -> None:
    resource, out = fair.origin.banner["resourceId"], fair.folder / "copy.bin"
    with fair.selling():
        time.sleep(0.5)
        first = fair.run("buy", resource, fair.origin.url, str(out)).decode()
        out.unlink()
        again = fair.run("buy", resource, fair.origin.url, str(out)).decode()
    assert out.read_bytes() == film
    assert " base units" in first
    assert " for 0 base units" in again or "base units" not in again
    assert len(fair.node.call("pool_list", resourceId=resource)["pools"]) == 1


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs/peers.md").read_text()
    section = page[page.index("## 5. As a library") :]
    block = textwrap.dedent(section[section.index("    async def buy(") : section.index("\n`trust` is")])
    assert block.strip() in (ROOT / "examples/buy.py").read_text()
    assert textwrap.indent((ROOT / "examples/play.html").read_text(), "    ") in page

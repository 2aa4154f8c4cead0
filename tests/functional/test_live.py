"""Live resources through real processes: a folder that grows, sold and bought while it does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from crypto.address import checksum_address
from crypto.eip712 import Domain
from peers.manifest import live_id
from peers.manifest_reader import read_manifest
from poolchain.devnet import devnet_keys

from .cacher_process import CacherProcess
from .node_process import ROOT, NodeProcess
from .peer_commands import PeerCommand, ffmpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PRICE = 10**13
CHUNK_BYTES = 4096
PATIENCE_S = 40
PUBLISHER = devnet_keys().accounts[4]


class Concert(NamedTuple):
    """A node, a publisher of a growing folder, and one cacher."""

    folder: Path
    node: NodeProcess
    origin: PeerCommand
    cacher: CacherProcess

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "POOLCHAIN_HOME": str(self.folder / "home"), "POOLCHAIN_RPC": self.node.url}

    def buying(self, *options: str) -> list[str]:
        """Arguments that name the resource by its name, the publisher that is expected, and who pays."""
        who = ["--publisher", checksum_address(PUBLISHER.address), "--from", "devnet:0"]
        return ["concert", "--origin", self.origin.url, "--peer", self.cacher.url, *who, "--duration", "200", *options]

    @property
    def paid_chunks(self) -> int:
        count: int = self.cacher.status()["counts"]["payments"]
        return count

    def has_sold(self, count: int) -> bool:
        return self.paid_chunks >= count

    def manifest(self) -> Any:
        """The newest manifest that the cacher sells by, its signature checked."""
        status = self.node.call("chain_status")
        domain = Domain.of(int(status["chainId"], 16), bytes.fromhex(status["genesisHash"][2:]))
        reply = self.cacher.request("GET", f"/manifest/0x{live_id('concert').hex()}")
        assert reply.status == 200
        return read_manifest(reply.body, domain)


@contextmanager
def concert(folder: Path, encoder: Path) -> Iterator[Concert]:
    with ExitStack() as stack:
        node = stack.enter_context(NodeProcess(folder))
        signing = ("--live", "--name", "concert", "--from", "devnet:4")
        published = ("publish", str(encoder), *signing, "--chunk-bytes", str(CHUNK_BYTES), "--price", "0.00001")
        origin = stack.enter_context(PeerCommand(folder, "origin", *published, rpc=node.url))
        cacher = CacherProcess(folder, node.url, "--origin", origin.url, price=PRICE, account="devnet:1")
        yield Concert(folder, node, origin, stack.enter_context(cacher))


def write(encoder: Path, segments: dict[str, bytes], *, ended: bool = False) -> None:
    """What an encoder does: a new segment, then the playlist anew."""
    lines = [f"#EXTINF:2.0,\n{name}\n" for name in segments]
    for name, data in segments.items():
        if not (encoder / name).exists():
            (encoder / name).write_bytes(data)
    draft = encoder / ".index.m3u8"
    draft.write_text("#EXTM3U\n" + "".join(lines) + ("#EXT-X-ENDLIST\n" if ended else ""))
    draft.replace(encoder / "index.m3u8")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_live_folder_is_bought_while_it_grows_and_until_it_ends(tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    segments = {"1.ts": os.urandom(3 * CHUNK_BYTES + 1)}
    write(encoder, segments)
    with concert(tmp_path, encoder) as found:
        until(lambda: found.manifest().chunk_count == 5)
        first = found.manifest()
        assert first.live.publisher == PUBLISHER.address
        out = tmp_path / "out"
        with (tmp_path / "fetch.err").open("wb") as errors:
            fetching = subprocess.Popen(
                [sys.executable, "-m", "poolchain", "fetch", *found.buying("--out", str(out))],
                cwd=ROOT,
                env=found.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        until(lambda: found.paid_chunks >= 5)
        for number in (2, 3):
            segments[f"{number}.ts"] = os.urandom(2 * CHUNK_BYTES + number)
            write(encoder, segments, ended=number == 3)
            until(partial(found.has_sold, first.chunk_count + (number - 1) * 4))
            assert fetching.poll() is None or number == 3, (tmp_path / "fetch.err").read_text()
        assert fetching.wait(PATIENCE_S) == 0, (tmp_path / "fetch.err").read_text()
        last = found.manifest()
        assert (last.live.ended, last.follows(first)) == (True, True)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == {
            **segments,
            "index.m3u8": (encoder / "index.m3u8").read_bytes(),
        }
        # Every chunk was bought from the cacher, and each once.
        (pool,) = found.cacher.status()["pools"]
        assert int(pool["delivered"], 16) == last.chunk_count * PRICE
        assert found.cacher.terminate() == 0
        assert int(found.node.call("pool_get", cptxHash=pool["cptxHash"])["spent"], 16) == last.chunk_count * PRICE


def test_a_live_resource_of_another_publisher_is_not_bought(tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    write(encoder, {"1.ts": b"x"}, ended=True)
    with concert(tmp_path, encoder) as found:
        wish = ["concert", "--origin", found.origin.url, "--from", "devnet:0", "--out", str(tmp_path / "out")]
        stranger = checksum_address(devnet_keys().accounts[5].address)
        done = subprocess.run(
            [sys.executable, "-m", "poolchain", "fetch", *wish, "--publisher", stranger],
            cwd=ROOT,
            env=found.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert done.returncode == 1
        assert "the resource is of another publisher" in done.stderr
        assert found.node.call("pool_list")["pools"] == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.slow
def test_a_player_plays_a_live_stream_while_an_encoder_makes_it(tmp_path: Path) -> None:
    encoder = tmp_path / "encoder"
    encoder.mkdir()
    video = ["-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=8"]
    coded = ["-c:v", "mpeg2video", "-b:v", "500k", "-g", "25", "-f", "hls", "-hls_time", "1", "-hls_list_size", "0"]
    flags = ["-hls_flags", "temp_file", "-hls_playlist_type", "event"]
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", *video, *coded, *flags, str(encoder / "index.m3u8")]
    with concert(tmp_path, encoder) as found, subprocess.Popen(command) as encoding:
        until(lambda: found.manifest().find("index.m3u8") is not None)
        assert not found.manifest().live.ended
        playing = PeerCommand(tmp_path, "play", "play", *found.buying(), home=tmp_path / "home", rpc=found.node.url)
        copied = ["-c", "copy", "-f", "mpegts", "-mpegts_flags", "initial_discontinuity"]
        with playing:
            ffmpeg("-live_start_index", "0", "-i", playing.banner["playlist"], *copied, str(tmp_path / "bought.ts"))
        assert encoding.wait(PATIENCE_S) == 0
        ffmpeg("-i", str(encoder / "index.m3u8"), *copied, str(tmp_path / "direct.ts"))
        assert (tmp_path / "bought.ts").read_bytes() == (tmp_path / "direct.ts").read_bytes()
        (pool,) = found.cacher.status()["pools"]
        assert int(pool["delivered"], 16) >= len([*encoder.glob("*.ts")]) * PRICE

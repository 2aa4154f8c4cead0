"""A file and a film, bought from real cachers on a real chain: what arrives, what was paid, what the chain has seen."""

from __future__ import annotations

import http.client
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .node_process import ROOT, NodeProcess
from .peer_commands import PeerCommand, ffmpeg, make_hls
from .town import CHUNK_BYTES, PRICE, town

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "http://localhost:3000"


def asked_by_a_page(url: str, method: str, page: str) -> tuple[int, str | None]:
    """Status, and the page that a browser would let read the answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request(method, parts.path, headers={"Origin": page, "Sec-Fetch-Site": "cross-site"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("Access-Control-Allow-Origin")


def balance(node: NodeProcess, address: str) -> int:
    return int(node.call("account_get", address=address)["balance"], 16)


def test_a_file_is_bought_from_three_cachers_with_four_transactions(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(200 * CHUNK_BYTES - 100))
    with town(tmp_path, film) as found:
        before = [balance(found.node, cacher.banner["target"]) for cacher in found.cachers]
        report = found.line.json("fetch", *found.buying(), "--out", str(tmp_path / "out.bin"))
        assert (tmp_path / "out.bin").read_bytes() == film.read_bytes()
        chunks = {peer["target"]: peer["chunks"] for peer in report["peers"]}
        assert report["fromOrigin"] == 0
        assert sum(chunks.values()) == 200
        # About equal shares: nobody comes near the half of the deposit at which it would have to settle early.
        assert max(chunks.values()) < 100
        assert int(report["spent"], 16) == 200 * PRICE
        for cacher in found.cachers:
            cacher.terminate()
        pool = found.node.call("pool_get", cptxHash=report["cptxHash"])
        assert int(pool["spent"], 16) == 200 * PRICE
        fee = 10**12
        for cacher, had in zip(found.cachers, before, strict=True):
            target = cacher.banner["target"]
            paid = chunks[target] * PRICE
            assert balance(found.node, target) == had + paid - fee
            record = found.node.call("pool_getTarget", cptxHash=report["cptxHash"], target=target)
            assert (int(record["seq"], 16), int(record["paid"], 16)) == (1, paid)
        height = int(found.node.call("chain_status")["head"]["height"], 16)
        headers = [found.node.call("chain_getBlock", block=hex(number)) for number in range(1, height + 1)]
        assert sum(len(block["transactions"]) for block in headers) == 4


def test_a_purchase_that_is_watched_is_drawn_on_the_terminal(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(100 * CHUNK_BYTES))
    with town(tmp_path, film) as found:
        own, terminal = pty.openpty()
        environment = {**os.environ, "POOLCHAIN_HOME": str(tmp_path / "home"), "POOLCHAIN_RPC": found.node.url}
        with subprocess.Popen(
            [sys.executable, "-m", "poolchain", "fetch", *found.buying(), "--out", str(tmp_path / "out.bin")],
            cwd=ROOT,
            env={**environment, "TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
        ) as process:
            os.close(terminal)
            seen = b""
            with suppress(OSError):  # Linux says so when the other side has closed a terminal
                while part := os.read(own, 65536):
                    seen += part
            assert process.stdout is not None
            summary = process.stdout.read().decode()
            assert process.wait() == 0
        os.close(own)
        assert "100 chunks" in seen.decode()
        assert "MB/s" in seen.decode()
        for cacher in found.cachers:
            assert cacher.url.removeprefix("http://") in seen.decode()
            assert cacher.url in summary
        assert b"\x1b[" in seen, "the picture is drawn over the one before"


def test_what_was_bought_counts_for_what_is_signed_by_hand_and_the_other_way_round(tmp_path: Path) -> None:
    """One ledger of a pool, whatever command promises: two would promise more than the deposit, and lose it all."""
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(20 * CHUNK_BYTES))
    with town(tmp_path, film) as found:
        wish = ("fetch", *found.buying(), "--deposit", "0.0005")
        pool = found.line.json(*wish, "--out", str(tmp_path / "copy.bin"))["cptxHash"]
        sign = ("payment", "sign", "--from", "devnet:0", "--pool", pool, "--target", "devnet:5", "--amount")
        assert found.line.refuse(1, *sign, "0.0005") == "OVERSPENT"
        found.line.json(*sign, "0.0003", "--out", str(tmp_path / "payment.json"))
        found.line.json(*wish, "--out", str(tmp_path / "again.bin"))
        pools = found.node.call("pool_list", resourceId=found.resource)["pools"]
        assert len(pools) == 2, "nothing is left in the first one for all chunks"
        found.line.json("settle", str(tmp_path / "payment.json"), "--from", "devnet:5")
        for cacher in found.cachers:
            cacher.terminate()
        for one in found.node.call("pool_list", resourceId=found.resource)["pools"]:
            assert one["status"] == "open"
        assert int(found.node.call("pool_get", cptxHash=pool)["spent"], 16) == 3 * 10**14 + 20 * PRICE


def test_what_a_chunk_may_cost_is_never_a_sellers_word(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(20 * CHUNK_BYTES))
    with town(tmp_path, film) as found:
        peers = [argument for cacher in found.cachers for argument in ("--peer", cacher.url)]
        wish = ("fetch", found.resource, *peers, "--from", "devnet:0", "--out", str(tmp_path / "copy.bin"))
        found.line.json("fetch", *found.buying(), "--out", str(tmp_path / "first.bin"))  # so that the cachers have it
        refused = found.line.run(*wish)
        assert (refused.status, "only sellers say what a chunk costs" in refused.err) == (1, True)
        assert len(found.node.call("pool_list", resourceId=found.resource)["pools"]) == 1
        assert found.line.json(*wish, "--max-price", "0.00001")["fromOrigin"] == 0
        assert (tmp_path / "copy.bin").read_bytes() == film.read_bytes()


def test_what_is_there_is_not_bought_again_and_a_bad_place_is_refused_first(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(20 * CHUNK_BYTES))
    (tmp_path / "folder").mkdir()
    with town(tmp_path, film) as found:
        refused = found.line.run("fetch", *found.buying(), "--out", str(tmp_path / "folder"))
        assert (refused.status, "the name of a file" in refused.err) == (3, True)
        assert found.node.call("pool_list", resourceId=found.resource)["pools"] == []
        copy = tmp_path / "copy.bin"
        shutil.copyfile(film, copy)
        report = found.line.json("fetch", *found.buying(), "--out", str(copy))
        assert (report["fetchedBytes"], report["spent"], report["cptxHash"]) == (0, "0x0", None)
        assert found.node.call("pool_list", resourceId=found.resource)["pools"] == []
        copy.write_bytes(copy.read_bytes() + b"not of the film")
        assert found.line.json("fetch", *found.buying(), "--out", str(copy))["fetchedBytes"] == 20 * CHUNK_BYTES
        assert copy.read_bytes() == film.read_bytes()


def test_killed_in_between_it_goes_on_and_pays_for_each_chunk_once(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(1500 * CHUNK_BYTES))
    with town(tmp_path, film) as found:
        arguments = ["fetch", *found.buying(), "--out", str(tmp_path / "out.bin")]
        environment = {**os.environ, "POOLCHAIN_HOME": str(tmp_path / "home"), "POOLCHAIN_RPC": found.node.url}
        process = subprocess.Popen(
            [sys.executable, "-m", "poolchain", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        data = tmp_path / "home" / "viewer" / "chunks" / found.resource / "have"
        deadline = time.monotonic() + 30
        while not data.exists() or sum(byte.bit_count() for byte in data.read_bytes()) < 200:
            assert process.poll() is None, "it was done before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        report = found.line.json(*arguments)
        assert (tmp_path / "out.bin").read_bytes() == film.read_bytes()
        assert len(found.node.call("pool_list", resourceId=found.resource)["pools"]) == 1
        assert report["fetchedBytes"] <= 1300 * CHUNK_BYTES
        for cacher in found.cachers:
            cacher.terminate()
        pool = found.node.call("pool_get", cptxHash=report["cptxHash"])
        assert int(pool["spent"], 16) == 1500 * PRICE


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_an_unmodified_player_plays_a_film_that_is_bought_segment_by_segment(tmp_path: Path) -> None:
    hls = tmp_path / "hls"
    coded = ["-c:v", "mpeg2video", "-b:v", "2M", "-g", "25", "-c:a", "mp2", "-hls_time", "2"]
    make_hls(hls, *coded, picture="size=640x360:rate=25", seconds=12)
    with town(tmp_path, hls) as found:
        wish = (*found.buying(), "--page", PAGE)
        playing = PeerCommand(tmp_path, "play", "play", *wish, home=tmp_path / "home", rpc=found.node.url)
        with playing:
            for method, status in (("OPTIONS", 204), ("GET", 200)):
                assert asked_by_a_page(playing.banner["playlist"], method, PAGE) == (status, PAGE)
                assert asked_by_a_page(playing.banner["playlist"], method, "http://evil.example") == (403, None)
            copied = ["-map", "0", "-c", "copy", "-f", "mpegts", "-mpegts_flags", "initial_discontinuity"]
            ffmpeg("-i", playing.banner["playlist"], *copied, str(tmp_path / "bought.ts"))
        ffmpeg("-i", str(hls / "index.m3u8"), *copied, str(tmp_path / "direct.ts"))
        assert (tmp_path / "bought.ts").read_bytes() == (tmp_path / "direct.ts").read_bytes()
        for cacher in found.cachers:
            cacher.terminate()
        (pool,) = found.node.call("pool_list", resourceId=found.resource)["pools"]
        chunks = found.origin.banner["chunkCount"] - 1  # the index is in the manifest
        assert int(pool["spent"], 16) <= chunks * PRICE
        assert int(pool["spent"], 16) >= chunks * PRICE * 3 // 4

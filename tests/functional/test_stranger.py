"""docs/peers.md is enough: a viewer in JavaScript, written from the page, buys from a real cacher and is settled."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from crypto.address import checksum_address
from poolchain.devnet import devnet_keys
from tests.js_oracle import ask_node
from tests.unit.peers.manifests import DOMAIN, KEY, live_files

from .cacher_process import CacherProcess
from .node_process import NodeProcess
from .peer_commands import PeerCommand

if TYPE_CHECKING:
    from pathlib import Path

PRICE = 10**13
TOKEN = 10**18
FEE = 10**12
CHUNK_BYTES, CHUNKS = 1000, 7
STRANGER = devnet_keys().accounts[6]


@pytest.mark.node
def test_a_viewer_that_was_written_from_the_page_buys_and_is_settled(tmp_path: Path) -> None:
    film = tmp_path / "film.bin"
    film.write_bytes(os.urandom(CHUNKS * CHUNK_BYTES - 3))
    concert = live_files(4, ("Ünder 1.ts", 8), ("index.m3u8", 3), chunks=3)
    with ExitStack() as stack:
        node = stack.enter_context(NodeProcess(tmp_path))
        published = ("publish", str(film), "--chunk-bytes", str(CHUNK_BYTES), "--price", "0.00001")
        origin = stack.enter_context(PeerCommand(tmp_path, "origin", *published))
        cacher = stack.enter_context(CacherProcess(tmp_path, node.url, "--origin", origin.url, price=PRICE))
        deposit = 3 * CHUNKS * PRICE
        found = ask_node(
            "stranger.mjs",
            {
                "node": node.url,
                "origin": origin.url,
                "cacher": cacher.url,
                "resourceId": origin.banner["resourceId"],
                "secret": f"0x{STRANGER.secret.hex()}",
                "deposit": hex(deposit),
                "collateral": hex(deposit + 1 + TOKEN + 10 * FEE),
                "fee": hex(FEE),
                "duration": "0x3e8",
                "live": {
                    "manifest": concert.to_json(),
                    "domain": {
                        "name": "Poolchain",
                        "version": "1",
                        "chainId": DOMAIN.chain_id,
                        "salt": f"0x{DOMAIN.genesis_hash.hex()}",
                    },
                },
            },
        )
        assert b"".join(bytes.fromhex(chunk[2:]) for chunk in found["chunks"]) == film.read_bytes()
        assert found["root"] == origin.banner["resourceId"]
        assert found["repeated"] == found["chunks"][0], "what was paid for costs nothing more"
        told = [
            [refusal.get(name) for name in ("status", "reason", "amount", "tgtSeq")] for refusal in found["refusals"]
        ]
        assert told == [
            [402, "PAYMENT_REQUIRED", hex(PRICE), "0x1"],
            [402, "WRONG_SEQUENCE", hex(PRICE), "0x1"],
            [404, "UNKNOWN_CHUNK", None, None],
        ]
        assert found["again"].items() >= {"status": 200, "lastPayment": found["lastPayment"], "tgtSeq": "0x1"}.items()
        assert found["publisher"] == checksum_address(KEY.address)
        (row,) = cacher.status()["pools"]
        assert (row["cptxHash"], int(row["promised"], 16)) == (found["pool"], CHUNKS * PRICE)
        assert cacher.terminate() == 0
        record = node.call("pool_getTarget", cptxHash=found["pool"], target=found["offer"]["target"])
        assert int(record["paid"], 16) == CHUNKS * PRICE

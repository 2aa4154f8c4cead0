"""A real node and a real cacher: handshake, chunks, settlement, kills of either, and both again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from peers.payment import Payment, Promise
from poolchain.devnet import devnet_keys
from poolchain.signing import sign_transaction

from .cacher_process import CacherProcess
from .node_process import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from peers.manifest import Manifest

    from .node_process import Reply

Json = dict[str, Any]
ALICE, BOB = devnet_keys().accounts[:2]
TOKEN: Final = 10**18
FEE: Final = 10**12
PRICE: Final = 10**15
CHUNKS: Final = [bytes([index]) * 1000 for index in range(40)]
PATIENCE_S: Final = 20


class Market:
    """A devnet, a cacher with one resource, and Alice's pool for it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.node = NodeProcess(folder)
        self.node.start()
        self.domain = Domain.of(int(self.node.banner["chainId"], 16), raw_bytes(self.node.banner["genesisHash"]))
        self.cacher = CacherProcess(folder, self.node.url, *options, price=PRICE)
        self.manifest: Manifest = self.cacher.resource(CHUNKS, chunk_bytes=1000)
        self.cacher.start()
        self.pool_id = b""

    def close(self) -> None:
        self.cacher.close()
        self.node.close()

    def restart_node(self) -> None:
        """Start the node where the cacher knows it."""
        port = self.node.url.rsplit(":", 1)[1]
        self.node.start("--port", port)

    def create_pool(self, deposit: int, duration: int = 1000) -> None:
        fields = {
            "resourceId": self.manifest.resource_id,
            "deposit": deposit,
            "collateral": deposit + 1 + TOKEN + 10 * FEE,
            "duration": duration,
            "fee": FEE,
            "nonce": int(self.node.call("eth_getTransactionCount", checksum_address(ALICE.address), "latest"), 16),
        }
        raw = sign_transaction("CreatePool", fields, ALICE, self.domain)
        self.node.call("tx_submit", raw=text(raw), wait="committed")
        self.pool_id = keccak256(raw)

    def documents(self) -> Json:
        pool = {"cptxHash": text(self.pool_id)}
        return {
            "creation": self.node.call("proof_getTransaction", text(self.pool_id)),
            "poolState": self.node.call("proof_getState", pool),
            "targetState": self.node.call("proof_getState", {**pool, "target": checksum_address(BOB.address)}),
        }

    def shake_hands(self) -> Reply:
        body = {"version": 1, "resourceId": text(self.manifest.resource_id), **self.documents()}
        return self.cacher.request("POST", "/handshake", json.dumps(body).encode())

    def payment(self, amount: int, seq: int = 1) -> str:
        return text(Payment.sign(Promise(BOB.address, amount, self.pool_id, seq), ALICE, self.domain).encode())

    def buy(self, index: int, amount: int, seq: int = 1) -> Reply:
        header = {"Poolchain-Payment": self.payment(amount, seq)}
        return self.cacher.request("GET", f"/chunk/{text(self.manifest.resource_id)}/{index}", headers=header)

    def pool_row(self) -> Json:
        (row,) = self.cacher.status()["pools"]
        found: Json = row
        return found

    @property
    def record(self) -> tuple[int, int]:
        found = self.node.call("pool_getTarget", text(self.pool_id), checksum_address(BOB.address))
        return int(found["seq"], 16), int(found["paid"], 16)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self.cacher.errors()
            time.sleep(0.05)


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    found = Market(tmp_path, "--quiet", "1000")
    yield found
    found.close()


def text(data: bytes) -> str:
    return "0x" + data.hex()


def raw_bytes(name: str) -> bytes:
    return bytes.fromhex(name[2:])


def refused(reply: Reply, status: int, reason: str) -> Json:
    found: Json = json.loads(reply.body)
    assert (reply.status, found["reason"]) == (status, reason)
    assert found.keys() >= {"reason", "expected", "given"}
    return found


def test_a_whole_resource_is_bought_and_settled(market: Market) -> None:
    market.create_pool(100 * PRICE)
    refused(market.buy(0, PRICE), 403, "NO_HANDSHAKE")
    agreed = json.loads(market.shake_hands().body)
    assert agreed["target"] == checksum_address(BOB.address)
    assert (agreed["pricePerChunk"], agreed["tgtSeq"], agreed["lastPayment"]) == (hex(PRICE), "0x1", None)
    for index, chunk in enumerate(CHUNKS):
        reply = market.buy(index, (index + 1) * PRICE)
        assert (reply.status, reply.body) == (200, chunk)
        assert reply.headers["content-type"] == "application/octet-stream"
    last = json.loads(market.shake_hands().body)["lastPayment"]
    assert last == market.payment(len(CHUNKS) * PRICE)
    assert market.record == (0, 0)
    assert market.cacher.terminate() == 0
    assert market.record == (1, len(CHUNKS) * PRICE)
    final = market.cacher.lines()[-1]["pools"][0]
    assert final["settlement"]["stage"] == "settled"
    assert final["unsettled"] == "0x0"


def test_the_same_request_gets_the_same_chunk_for_nothing(market: Market) -> None:
    market.create_pool(100 * PRICE)
    market.shake_hands()
    for _ in range(3):
        assert market.buy(7, PRICE).body == CHUNKS[7]
    assert market.pool_row()["delivered"] == hex(PRICE)
    found = refused(market.buy(8, PRICE), 402, "PAYMENT_REQUIRED")
    assert (found["amount"], found["tgtSeq"]) == (hex(2 * PRICE), "0x1")
    assert market.buy(8, 2 * PRICE).body == CHUNKS[8]
    assert market.buy(7, PRICE).body == CHUNKS[7]
    market.cacher.kill()
    market.cacher.start()
    assert market.buy(7, PRICE).body == CHUNKS[7]
    assert market.buy(8, 2 * PRICE).body == CHUNKS[8]
    assert market.pool_row()["delivered"] == hex(2 * PRICE)


def test_the_cap_makes_it_settle_and_then_the_next_number_counts(market: Market) -> None:
    market.create_pool(40 * PRICE)
    market.shake_hands()
    for index in range(20):
        assert market.buy(index, (index + 1) * PRICE).status == 200
    market.until(lambda: market.record == (1, 20 * PRICE))
    found = refused(market.buy(20, 21 * PRICE), 402, "WRONG_SEQUENCE")
    assert found["tgtSeq"] == "0x2"
    market.until(lambda: market.pool_row()["unsettled"] == "0x0")
    for index in range(20, 40):
        assert market.buy(index, (index + 1) * PRICE, 2).status == 200
    market.until(lambda: market.record == (2, 40 * PRICE))


def test_no_accepted_payment_is_lost_by_a_kill(market: Market) -> None:
    market.create_pool(100 * PRICE)
    market.shake_hands()
    for index in range(10):
        assert market.buy(index, (index + 1) * PRICE).status == 200
    market.cacher.kill()
    market.cacher.start()
    assert market.pool_row()["unsettled"] == hex(10 * PRICE)
    assert market.buy(10, 11 * PRICE).status == 200  # without another handshake
    assert market.cacher.terminate() == 0
    assert market.record == (1, 11 * PRICE)


def test_a_node_that_is_away_delays_settling_and_loses_nothing(market: Market) -> None:
    market.create_pool(40 * PRICE)
    market.shake_hands()
    for index in range(19):
        assert market.buy(index, (index + 1) * PRICE).status == 200
    market.node.kill()
    market.until(lambda: market.cacher.status()["nodeAway"] is not None)
    assert market.buy(19, 20 * PRICE).status == 200  # for as long as a head counts as fresh
    market.until(lambda: market.pool_row()["settlement"]["stage"] == "retrying")
    assert "tried again" in market.pool_row()["settlement"]["error"]
    market.cacher.kill()
    market.restart_node()
    market.cacher.start()
    market.until(lambda: market.record == (1, 20 * PRICE))
    market.until(lambda: market.pool_row()["unsettled"] == "0x0")


def test_it_waits_for_a_node_that_starts_later(market: Market) -> None:
    market.cacher.terminate()
    market.node.terminate()
    with pytest.raises(RuntimeError, match="Waiting for the node"):
        market.cacher.start(patience_s=3)
    market.restart_node()
    market.cacher.start()
    assert market.cacher.status()["nodeAway"] is None


def test_strange_requests_are_refused(market: Market) -> None:
    name = text(market.manifest.resource_id)
    ask = market.cacher.request
    refused(ask("GET", "/"), 404, "UNKNOWN_PATH")
    refused(ask("POST", f"/chunk/{name}/0"), 404, "UNKNOWN_PATH")
    refused(ask("GET", f"/chunk/{name}/00"), 404, "UNKNOWN_PATH")
    refused(ask("GET", f"/chunk/{name}/40"), 404, "UNKNOWN_CHUNK")
    refused(ask("GET", f"/chunk/0x{'00' * 32}/0"), 404, "UNKNOWN_CHUNK")
    refused(ask("GET", f"/manifest/0x{'00' * 32}"), 404, "UNKNOWN_RESOURCE")
    refused(ask("GET", f"/offer/0x{'00' * 32}"), 404, "UNKNOWN_RESOURCE")
    refused(ask("POST", "/handshake", b"{"), 400, "MALFORMED")
    refused(ask("POST", "/handshake", b"[" * 100_000), 400, "MALFORMED")
    refused(ask("POST", "/handshake", b"{}"), 400, "MALFORMED")
    refused(ask("POST", "/handshake", b" " * 262_145), 413, "TOO_LARGE")
    refused(ask("GET", f"/chunk/{name}/0", headers={"Poolchain-Payment": "0x00"}), 403, "BAD_PAYMENT")
    assert refused(ask("GET", f"/chunk/{name}/0"), 402, "PAYMENT_REQUIRED")["amount"] == hex(PRICE)
    offer = json.loads(ask("GET", f"/offer/{name}").body)
    assert offer == {"target": checksum_address(BOB.address), "pricePerChunk": hex(PRICE), "firstAmount": hex(PRICE)}
    assert json.loads(ask("GET", f"/manifest/{name}").body) == market.manifest.to_json()


def test_two_cachers_cannot_share_their_payments(market: Market) -> None:
    second = CacherProcess(market.folder, market.node.url, price=PRICE)
    with pytest.raises(RuntimeError, match="STORAGE_FAILED"):
        second.start()
    assert market.cacher.running

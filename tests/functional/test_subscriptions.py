"""Subscriptions and proofs of a real node: what a creator, a payee and a light client do with them."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import ClientConnection, connect

from crypto.eip712 import Domain
from light.documents import ConsistencyProof, read_document, read_sealed
from light.handshake import verify_handshake
from light.head import HeadFollower
from light.verify import Trust, verify_document
from poolchain.devnet import devnet_keys
from poolchain.signing import sign_payment, sign_settlement, sign_transaction

from .node_process import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Json = dict[str, Any]
PATIENCE_S = 20
MIN_FEE = 10**12
ALICE, BOB = devnet_keys().accounts[:2]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path, "--seal", "manual") as node:
        yield node


class Socket:
    """One WebSocket to a node."""

    def __init__(self, client: ClientConnection) -> None:
        self._client = client
        self._events: list[Json] = []
        self._calls = 0

    def call(self, method: str, *params: Any) -> Any:
        self._calls += 1
        self._client.send(json.dumps({"jsonrpc": "2.0", "id": self._calls, "method": method, "params": params}))
        while "id" not in (message := json.loads(self._client.recv(PATIENCE_S))):
            self._events.append(message)
        assert message["id"] == self._calls
        return message["result"]

    def events(self, count: int) -> list[Json]:
        """The next events, as {subscription, result}."""
        while len(self._events) < count:
            self._events.append(json.loads(self._client.recv(PATIENCE_S)))
        found, self._events = self._events[:count], self._events[count:]
        assert all(event["method"] == "chain_subscription" for event in found)
        return [event["params"] for event in found]


@contextlib.contextmanager
def open_socket(node: NodeProcess) -> Iterator[Socket]:
    with connect(node.url.replace("http", "ws") + "/ws", compression=None, max_size=None) as client:
        yield Socket(client)


def domain_of(node: NodeProcess) -> Domain:
    status = node.call("chain_status")
    return Domain.of(int(status["chainId"], 16), bytes.fromhex(status["genesisHash"][2:]))


def trust_in(node: NodeProcess) -> Trust:
    status = node.call("chain_status")
    return Trust(bytes.fromhex(status["authority"][2:]), bytes.fromhex(status["genesisHash"][2:]))


def creation(node: NodeProcess, nonce: int = 0, duration: int = 100) -> str:
    fields = {"resourceId": bytes(32), "deposit": 10**18, "collateral": 3 * 10**18, "duration": duration}
    raw = sign_transaction("CreatePool", {**fields, "fee": MIN_FEE, "nonce": nonce}, ALICE, domain_of(node))
    return "0x" + raw.hex()


def settlement(node: NodeProcess, pool: str, amount: int) -> str:
    domain = domain_of(node)
    fields = {"target": BOB.address, "amount": amount, "cptxHash": bytes.fromhex(pool[2:]), "tgtSeq": 1, "fee": MIN_FEE}
    return "0x" + sign_settlement(fields, sign_payment(fields, ALICE, domain), BOB, domain).hex()


def test_the_life_of_a_pool_over_a_websocket(node: NodeProcess) -> None:
    with open_socket(node) as peer:
        heads, transactions = peer.call("chain_subscribe", "newHeads"), peer.call("chain_subscribe", "transactions", {})
        pool = node.call("tx_submit", creation(node, duration=3))["hash"]
        life = peer.call("chain_subscribe", "pool", {"cptxHash": pool})
        node.call("dev_mine")
        paid = node.call("tx_submit", settlement(node, pool, 10**17))["hash"]
        node.call("dev_mine", "0x3")
        events = peer.events(4 + 2 + 3)
        assert [event["result"] for event in events if event["subscription"] == heads] == [
            node.call("chain_getHeader", hex(height)) for height in range(1, 5)
        ]
        assert [event["result"] for event in events if event["subscription"] == transactions] == [
            node.call("chain_getTransaction", name) for name in (pool, paid)
        ]
        lived = [event["result"] for event in events if event["subscription"] == life]
        assert [(step["event"], step["transactionHash"], step["blockHeight"]) for step in lived] == [
            ("created", pool, "0x1"),
            ("settled", paid, "0x2"),
            ("expired", None, "0x4"),
        ]
        for step in lived:
            assert step["pool"] == node.call("proof_getState", {"cptxHash": pool}, step["blockHeight"])["record"]
        assert peer.call("chain_unsubscribe", heads) is True
        node.call("dev_mine")
        assert peer.call("chain_unsubscribe", heads) is False
        assert peer._events == []


def consistency(node: NodeProcess, follower: HeadFollower, to: str) -> ConsistencyProof:
    assert follower.head is not None
    proof = read_document(node.call("proof_getConsistency", "0x" + follower.head.hash.hex(), to))
    assert isinstance(proof, ConsistencyProof)
    return proof


def test_a_light_client_follows_the_heads_it_is_told_of(node: NodeProcess, tmp_path: Path) -> None:
    trust, kept = trust_in(node), tmp_path / "head.json"
    follower = HeadFollower(trust, domain_of(node).chain_id, kept)
    header = node.call("chain_getHeader", "latest")
    follower.accept_first(read_sealed(header["headerBytes"], header["seal"]))
    with open_socket(node) as peer:
        peer.call("chain_subscribe", "newHeads")
        node.call("dev_mine", "0x20")
        for event in peer.events(0x20):
            follower.accept(consistency(node, follower, event["result"]["hash"]))
    node.call("dev_mine", "0x20")
    node.restart()
    again = HeadFollower(trust, domain_of(node).chain_id, kept)
    assert again.head is not None
    assert again.head.header.height == 0x20
    again.accept(consistency(node, again, "latest"))
    assert again.head.header.height == 0x40


def test_a_handshake_is_served_and_checked_also_after_a_restart(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        trust = trust_in(node)
        answer = node.call("tx_submit", creation(node), "committed")
        verify_document(read_document(answer["proof"]), trust)
        pool = answer["hash"]
        node.call("tx_submit", settlement(node, pool, 10**17), "committed")
        node.kill()
        node.start()
        head = node.call("chain_getHeader", "latest")["hash"]
        key = {"cptxHash": pool}
        documents = [
            node.call("proof_getTransaction", pool, head),
            node.call("proof_getState", key, head),
            node.call("proof_getState", {**key, "target": "0x" + BOB.address.hex()}, head),
        ]
        found = verify_handshake(*map(read_document, documents), BOB.address, trust)  # type: ignore[call-arg,arg-type]
        assert (found.pool.spent, found.target.seq, found.target.paid) == (10**17, 1, 10**17)
        assert found.head.header.height == 2


def test_a_block_of_thousands_reaches_a_reader_whole(node: NodeProcess) -> None:
    domain, count = domain_of(node), 3_000
    fields = {"to": BOB.address, "amount": 1, "fee": MIN_FEE}
    raws = [
        "0x" + sign_transaction("Transfer", {**fields, "nonce": nonce}, ALICE, domain).hex() for nonce in range(count)
    ]
    hashes = []
    for start in range(0, count, 1_000):
        hashes += [item["hash"] for item in node.call("tx_submitMany", raws[start : start + 1_000])]
    with open_socket(node) as peer:
        peer.call("chain_subscribe", "transactions")
        node.call("dev_mine")
        assert [event["result"]["hash"] for event in peer.events(count)] == hashes


def test_a_subscriber_that_does_not_read_is_dropped_and_nobody_waits(node: NodeProcess) -> None:
    with open_socket(node) as quick, contextlib.closing(connect_without_reading(node)) as slow:
        quick.call("chain_subscribe", "newHeads")
        subscribe = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "chain_subscribe", "params": ["newHeads"]})
        for _ in range(500):
            slow.sendall(masked(subscribe.encode()))
        time.sleep(1)
        started = time.monotonic()
        node.call("dev_mine", "0x50")
        assert len(quick.events(0x50)) == 0x50
        assert time.monotonic() - started < PATIENCE_S
        assert is_cut_off(slow)
        assert node.call("chain_status")["head"]["height"] == "0x50"


def connect_without_reading(node: NodeProcess) -> socket.socket:
    """A WebSocket with a tiny receive buffer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(PATIENCE_S)
    port = int(node.url.rsplit(":", 1)[1])
    client.connect(("127.0.0.1", port))
    lines = ["GET /ws HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13", "", ""]
    client.sendall("\r\n".join(lines).encode())
    assert client.recv(4_096).startswith(b"HTTP/1.1 101 ")
    return client


def masked(text: bytes) -> bytes:
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text)]) + bytes(4) + text


def is_cut_off(client: socket.socket) -> bool:
    """Read what was sent; tell whether it ends."""
    deadline = time.monotonic() + PATIENCE_S
    with contextlib.suppress(ConnectionError):
        while client.recv(1 << 16):
            if time.monotonic() > deadline:
                return False
    return True

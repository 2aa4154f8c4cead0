"""The WebSocket at /ws over a real socket: the same methods, the same door, bounded queues."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from poolchain.http_server import HttpLimits
from rpc.doors import Doors

from .toy_server import LIMITS, PATIENCE_SECONDS, Edge, read_to_end, request, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    limits = HttpLimits(request_seconds=1.0, idle_seconds=1.0, stall_seconds=1.0)
    with running(http_limits=limits, doors=Doors(origins=("http://localhost:*",))) as edge:
        yield edge


@pytest.fixture(autouse=True)
def _untouched(edge: Edge) -> Iterator[None]:
    yield
    edge.toy.sessions.clear()
    edge.toy.closed.clear()
    assert edge.is_honest()
    assert edge.complaints == []


def open_socket(edge: Edge, path: str = "/ws", **options: Any) -> ClientConnection:
    address = f"ws://127.0.0.1:{edge.port}{path}"
    client: ClientConnection = connect(address, compression=None, max_size=None, **options)
    return client


def ask(client: ClientConnection, message: object) -> Any:
    client.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return json.loads(client.recv(PATIENCE_SECONDS))


def test_request_and_batch_are_answered(edge: Edge) -> None:
    with open_socket(edge) as client:
        assert ask(client, request("echo", 7)) == {"jsonrpc": "2.0", "id": 1, "result": 7}
        answers = ask(client, [request("echo", 1, id="a"), 7, request("echo", 2, id="b")])
        assert [answer["id"] for answer in answers] == ["a", None, "b"]


def test_connection_outlives_the_limits_of_http(edge: Edge) -> None:
    with open_socket(edge) as client:
        time.sleep(1.5)
        assert ask(client, request("echo", 7))["result"] == 7


def test_notification_is_not_answered(edge: Edge) -> None:
    with open_socket(edge) as client:
        client.send('{"jsonrpc":"2.0","method":"echo","params":["silent"]}')
        assert ask(client, request("echo", 7))["result"] == 7
    assert "silent" in edge.toy.calls


@pytest.mark.parametrize("message", ["", "{", "nope", "\ufeff{}", "[" * 1_000, b"", b"{}"])
def test_bad_text_and_binary_frames_are_parse_errors(edge: Edge, message: str | bytes) -> None:
    with open_socket(edge) as client:
        answer = ask(client, message)
        assert (answer["id"], answer["error"]["code"]) == (None, -32700)
        assert ("a binary message" in answer["error"]["message"]) is isinstance(message, bytes)
        assert ask(client, request("echo", 7))["result"] == 7


def test_slow_call_does_not_hold_up_others(edge: Edge) -> None:
    with open_socket(edge) as client:
        client.send(json.dumps(request("sleep", "0x12c", id="slow")))
        client.send(json.dumps(request("echo", 7, id="fast")))
        order = [json.loads(client.recv(PATIENCE_SECONDS))["id"] for _ in range(2)]
        assert order == ["fast", "slow"]


def test_message_above_the_limit_closes_the_connection(edge: Edge) -> None:
    with open_socket(edge) as client:
        edge.toy.calls.clear()
        client.send(json.dumps(request("echo", "x" * LIMITS.body_bytes_max)))
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PATIENCE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
    assert edge.toy.calls == []


def test_message_at_the_limit_is_answered(edge: Edge) -> None:
    body = json.dumps(request("echo", 7))
    with open_socket(edge) as client:
        assert ask(client, body + " " * (LIMITS.body_bytes_max - len(body)))["result"] == 7


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/", {}, 404),
        ("/other", {}, 404),
        ("/ws", {"origin": "https://evil.example"}, 403),
        ("/ws", {"origin": "null"}, 403),
        ("/ws", {"host": "evil.example"}, 403),
    ],
)
def test_door_is_the_same(edge: Edge, path: str, options: dict[str, str], status: int) -> None:
    host = options.get("host", "127.0.0.1")
    origin = f"Origin: {options['origin']}\r\n" if "origin" in options else ""
    answer = edge.talk(handshake(path, host, origin))
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def handshake(path: str = "/ws", host: str = "localhost", more: str = "") -> bytes:
    lines = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    )
    return f"{lines}{more}\r\n".encode()


def test_listed_origin_may_connect(edge: Edge) -> None:
    with open_socket(edge, origin="http://localhost:5173") as client:
        assert ask(client, request("echo", 7))["result"] == 7


def test_plain_request_to_ws_is_not_found(edge: Edge) -> None:
    assert edge.send(verb="GET", path="/ws").status == 404


def test_incomplete_or_wrong_handshakes_are_refused(edge: Edge) -> None:
    assert edge.talk(handshake()[:-2]).startswith(b"HTTP/1.1 408 ")
    for old, new in ((b"Version: 13", b"Version: 7"), (b"Key: AAAA", b"Key: ")):
        answer = edge.talk(handshake().replace(old, new))
        assert answer.startswith(b"HTTP/1.1 4")


def test_subscriber_gets_events_until_it_leaves(edge: Edge) -> None:
    with open_socket(edge) as client:
        assert ask(client, request("subscribe"))["result"] == 0
        assert edge.call("publish", "0x3", "0x1")["result"] == 3
        events = [json.loads(client.recv(PATIENCE_SECONDS)) for _ in range(3)]
        assert (
            events
            == [
                {
                    "jsonrpc": "2.0",
                    "method": "event",
                    "params": {"subscription": "0x0", "result": "x"},
                }
            ]
            * 3
        )
    wait_until(lambda: edge.toy.closed == [0])
    assert edge.call("publish", "0x3", "0x1")["result"] == 0


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_connection_that_is_torn_off_closes_its_session(edge: Edge) -> None:
    with open_socket(edge) as client:
        ask(client, request("subscribe"))
        client.send(json.dumps(request("sleep", "0x2710")))
        client.socket.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: edge.toy.closed == [0])


def subscribe_without_reading(edge: Edge) -> socket.socket:
    """Connect with a tiny receive buffer, subscribe, and read nothing more."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.settimeout(PATIENCE_SECONDS)
    client.connect(("127.0.0.1", edge.port))
    client.sendall(handshake())
    assert client.recv(4_096).startswith(b"HTTP/1.1 101 ")
    client.sendall(masked(json.dumps(request("subscribe")).encode()))
    wait_until(lambda: edge.toy.sessions)
    return client


def masked(text: bytes) -> bytes:
    head = bytes([0x81, 0x80 | len(text)]) if len(text) < 126 else b"\x81\xfe" + len(text).to_bytes(2, "big")
    return head + b"\0\0\0\0" + text


def test_subscriber_that_does_not_read_is_dropped(edge: Edge) -> None:
    with contextlib.closing(subscribe_without_reading(edge)) as client:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while edge.call("publish", "0xa", "0x4000")["result"]:
            assert time.monotonic() < deadline
        assert edge.toy.closed == [0]
        time.sleep(2)  # the rest in its socket is cut off after stall_seconds
        assert len(read_to_end(client)) < 50_000_000
    assert edge.is_honest()


def test_caller_that_does_not_read_is_no_longer_read(edge: Edge) -> None:
    """Answers wait for their reader; the server takes no further requests from it meanwhile."""
    blow = masked(json.dumps(request("blow", "0x4000")).encode())
    with contextlib.closing(subscribe_without_reading(edge)) as client:
        client.settimeout(0.3)
        sent = 0
        with contextlib.suppress(OSError):
            for _ in range(100_000):
                client.sendall(blow)
                sent += 1
        assert sent < 100_000
        wait_until(lambda: edge.toy.closed == [0])
    assert edge.is_honest()


def test_burst_of_requests_is_answered_to_the_last(edge: Edge) -> None:
    async def count() -> int:
        async with connect_async(f"ws://127.0.0.1:{edge.port}/ws", compression=None) as client:
            for number in range(1_000):
                await client.send(json.dumps(request("echo", "x" * 100, id=number)))
            ids = [json.loads(await client.recv())["id"] for _ in range(1_000)]
            return len(set(ids))

    assert asyncio.run(asyncio.wait_for(count(), PATIENCE_SECONDS)) == 1_000


def test_too_many_websockets_are_refused_and_it_recovers(edge: Edge) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(LIMITS.websocket_sessions_max):
            stack.enter_context(open_socket(edge))
        with pytest.raises(InvalidStatus) as caught:
            open_socket(edge)
        assert caught.value.response.status_code == 503
    wait_until(lambda: can_connect(edge))


def can_connect(edge: Edge) -> bool:
    try:
        with open_socket(edge) as client:
            return bool(ask(client, request("echo", 7))["result"] == 7)
    except InvalidStatus:
        return False


def test_stopping_server_says_goodbye() -> None:
    with contextlib.ExitStack() as stack:
        with running() as edge:
            client = stack.enter_context(open_socket(edge))
            ask(client, request("subscribe"))
        with pytest.raises(ConnectionClosed) as caught:
            client.recv(PATIENCE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1012
        assert edge.toy.closed == [0]

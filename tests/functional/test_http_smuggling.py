"""Requests that two readers could understand in two ways, and what pipelining and half-said requests may cost.

Everything here is raw bytes on a socket: what is refused is refused with 400, the connection ends, and
nothing behind it is executed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from poolchain.http_limits import HttpLimits

from .toy_server import LIMITS, Edge, http_request, read_to_end, request, running

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 0.6
ECHO = json.dumps(request("echo", 7)).encode()
SLOW = http_request(json.dumps(request("sleep", "0x12c")).encode())
SLOW_ANSWER = b'"result":300}'
EVIL = http_request(json.dumps(request("echo", "evil")).encode())
LENGTH = b"Content-Length: %d" % len(ECHO)
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TE = b"Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running(http_limits=HttpLimits(request_seconds=DEADLINE, connections_max=40)) as edge:
        yield edge


@pytest.fixture(autouse=True)
def _untouched(edge: Edge) -> Iterator[None]:
    edge.toy.calls.clear()
    yield
    assert "evil" not in edge.toy.calls
    assert edge.is_honest()
    assert edge.complaints == []


def with_line(line: bytes) -> bytes:
    """Return an ordinary request with one header line more."""
    return http_request(ECHO).replace(b"Host:", line + b"\r\nHost:", 1)


def with_length(line: bytes) -> bytes:
    return http_request(ECHO).replace(LENGTH, line, 1)


def chunked(body: bytes, head: bytes = TE) -> bytes:
    return http_request(b"").replace(b"Content-Length: 0", head, 1) + body


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(data), extension, data)


LAST = b"0\r\n\r\n"
REFUSED = {
    "folded line": with_line(b"X: a\r\n b"),
    "folded with a tab": with_line(b"X: a\r\n\tb"),
    "folded length": with_length(b"Content-Length:\r\n %d" % len(ECHO)),
    "space before the first header": http_request(ECHO).replace(b"Host:", b" Host:", 1),
    "bare LF after a header": http_request(ECHO).replace(b"localhost\r\n", b"localhost\n", 1),
    "bare LF after the request line": http_request(ECHO).replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n", 1),
    "bare LF at the end": http_request(ECHO).replace(b"\r\n\r\n", b"\r\n\n", 1),
    "bare CR in a value": with_line(b"X: a\rb"),
    "bare CR before a header": with_line(b"X: a\rTransfer-Encoding: chunked"),
    "NUL in a value": with_line(b"X: a\0b"),
    "control character in a value": with_line(b"X: a\x01b"),
    "space after a name": with_line(b"X : a"),
    "space after Content-Length": with_length(b"Content-Length : %d" % len(ECHO)),
    "space after Transfer-Encoding": chunked(chunk(ECHO) + LAST, b"Transfer-Encoding : chunked"),
    "no name": with_line(b": a"),
    "no colon": with_line(b"abc"),
    "NUL in a name": with_line(b"X\0: a"),
    "gzip, chunked": chunked(chunk(ECHO) + LAST, b"Transfer-Encoding: gzip, chunked"),
    "chunked, gzip": chunked(chunk(ECHO) + LAST, b"Transfer-Encoding: chunked, gzip"),
    "chunked twice": chunked(chunk(ECHO) + LAST, TE + b", chunked"),
    "chunked in two lines": chunked(chunk(ECHO) + LAST, TE + b"\r\n" + TE),
    "identity": chunked(ECHO, b"Transfer-Encoding: identity\r\n" + LENGTH),
    "xchunked": chunked(chunk(ECHO) + LAST, b"Transfer-Encoding: xchunked"),
    "vertical tab before chunked": chunked(chunk(ECHO) + LAST, b"Transfer-Encoding:\x0bchunked"),
    "chunked in HTTP/1.0": chunked(chunk(ECHO) + LAST).replace(b"HTTP/1.1", b"HTTP/1.0", 1),
    "chunked, then a length": chunked(chunk(ECHO) + LAST, TE + b"\r\n" + LENGTH),
    "a length, then chunked": chunked(chunk(ECHO) + LAST, LENGTH + b"\r\n" + TE),
    "the same length twice": with_length(LENGTH + b"\r\n" + LENGTH),
    "two lengths": with_length(LENGTH + b"\r\nContent-Length: 3"),
    "two lengths in a line": with_length(LENGTH + b", %d" % len(ECHO)),
    "negative length": with_length(b"Content-Length: -1"),
    "length with a plus": with_length(b"Content-Length: +%d" % len(ECHO)),
    "hexadecimal length": with_length(b"Content-Length: 0x%x" % len(ECHO)),
    "length with a space": with_length(b"Content-Length: 3 7"),
    "length with an underscore": with_length(b"Content-Length: 3_7"),
    "no length": with_length(b"Content-Length: "),
    "length beyond 64 bits": with_length(b"Content-Length: " + b"9" * 30),
    "length that wraps to the right one": with_length(b"Content-Length: %d" % (2**64 + len(ECHO))),
    "negative chunk": chunked(b"-1\r\n" + LAST),
    "chunk with a plus": chunked(b"+7\r\n1234567\r\n" + LAST),
    "chunk with 0x": chunked(b"0x7\r\n1234567\r\n" + LAST),
    "chunk with a space": chunked(b"7 \r\n1234567\r\n" + LAST),
    "chunk without a size": chunked(b"\r\n1234567\r\n" + LAST),
    "chunk beyond 64 bits": chunked(b"10000000000000007\r\n1234567\r\n" + LAST),
    "chunk that is longer than it says": chunked(b"6\r\n1234567\r\n" + LAST),
    "bare LF after a chunk size": chunked(b"7\n1234567\r\n" + LAST),
    "bare LF after an extension": chunked(b"7;a\n1234567\r\n" + LAST),
    "bare LF after a chunk": chunked(b"7\r\n1234567\n" + LAST),
    "bare CR after a chunk size": chunked(b"7\r1234567\r\n" + LAST),
    "length in a trailer": chunked(chunk(ECHO) + b"0\r\nContent-Length: 5\r\n\r\n"),
    "folded trailer": chunked(chunk(ECHO) + b"0\r\nX: a\r\n b\r\n\r\n"),
    "leading empty line": b"\r\n" + http_request(ECHO),
    "leading LF": b"\n" + http_request(ECHO),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": http_request(ECHO).replace(b"HTTP/1.1", b"HTTP/1.2", 1),
    "HTTP/2.0": http_request(ECHO).replace(b"HTTP/1.1", b"HTTP/2.0", 1),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "space in the target": http_request(ECHO).replace(b"POST /", b"POST /a b", 1),
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "request line over the limit": http_request(ECHO).replace(b"POST /", b"POST /" + b"a" * 66_000, 1),
    "endless request line": b"POST /" + b"a" * 70_000,
    "header over the limit": with_line(b"X: " + b"a" * 66_000),
    "Upgrade twice": HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: h2c\r\nUpgrade: websocket", 1),
    "frames before the handshake is answered": HANDSHAKE + b"\x81\x80\0\0\0\0",
}


@pytest.mark.parametrize("name", REFUSED)
def test_two_readings_are_refused_and_end_the_connection(edge: Edge, name: str) -> None:
    answer = edge.talk(REFUSED[name] + EVIL)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    assert edge.toy.calls == []


@pytest.mark.parametrize("name", ["bare LF after a header", "chunk with 0x", "negative length", "folded line"])
def test_refusal_does_not_depend_on_how_the_bytes_arrive(edge: Edge, name: str) -> None:
    with edge.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(ConnectionError):
            for byte in REFUSED[name]:
                client.sendall(bytes([byte]))
        assert read_to_end(client).startswith(b"HTTP/1.1 400 ")


TAKEN = {
    "chunk extension": chunked(chunk(ECHO, b";name=value;flag") + LAST),
    "trailer": chunked(chunk(ECHO) + b"0\r\nX-Trailer: a\r\nHost: evil.example\r\n\r\n"),
    "chunks of one byte": chunked(b"".join(chunk(bytes([byte])) for byte in ECHO) + LAST),
    "zeros before a size": chunked(b"000000000" + chunk(ECHO) + LAST),
    "Chunked": chunked(chunk(ECHO) + LAST, b"Transfer-Encoding: Chunked"),
    "space around a value": with_length(b"Content-Length: \t %d \t" % len(ECHO)),
    "no space before a value": with_length(LENGTH.replace(b" ", b"")),
    "upgrade to h2c": with_line(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"),
    "upgrade to a WebSocket with a body": with_line(b"Connection: Upgrade\r\nUpgrade: websocket"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_unusual_but_clear_requests_leave_the_next_where_it_begins(edge: Edge, name: str) -> None:
    answer = edge.talk(TAKEN[name] * 3 + http_request(ECHO, "Connection: close"))
    assert answer.count(b"HTTP/1.1 200 OK") == answer.count(b'"result":7}') == 4
    assert b"HTTP/1.1 101" not in answer


@pytest.mark.parametrize("part", ["extension", "many extensions", "trailer", "many trailers", "zeros"])
def test_what_is_around_a_body_is_bounded(edge: Edge, part: str) -> None:
    bodies = {
        "extension": chunk(b" ", b";" + b"a" * 66_000),
        "many extensions": chunk(b" ", b";" + b"a" * 900) * 80,
        "trailer": chunk(ECHO) + b"0\r\nX: " + b"a" * 66_000,
        "many trailers": chunk(ECHO) + b"0\r\n" + (b"X: " + b"a" * 900 + b"\r\n") * 80,
        "zeros": b"0" * 66_000 + b"7\r\n",
    }
    assert edge.talk(chunked(bodies[part])).startswith(b"HTTP/1.1 400 ")
    assert edge.toy.calls == []


def test_body_of_a_request_that_wants_another_protocol_is_no_request(edge: Edge) -> None:
    for upgrade in ("h2c", "websocket", "WebSocket", "x"):
        length = f"Content-Length: {len(EVIL)}"
        head = http_request(b"", "Connection: Upgrade, close", f"Upgrade: {upgrade}").replace(
            b"Content-Length: 0", length.encode()
        )
        answer = edge.talk(head + EVIL)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b'"code":-32700' in answer


def test_absolute_target_is_no_other_name_for_the_endpoint(edge: Edge) -> None:
    absolute = EVIL.replace(b"POST /", b"POST http://evil.example/", 1)
    assert edge.send(ECHO, path="http://localhost/").status == 404
    assert edge.talk(absolute.replace(b"Host:", b"Connection: close\r\nHost:", 1)).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("line", ["Connection: close", "Connection: x, Close"])
def test_data_after_the_last_request_is_not_executed(edge: Edge, line: str) -> None:
    for pause in (0, 0.05):
        with edge.connect() as client:
            client.sendall(http_request(ECHO, line) + (b"" if pause else EVIL))
            time.sleep(pause)
            with contextlib.suppress(ConnectionError):
                client.sendall(EVIL)
            answer = read_to_end(client)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert answer.endswith(b'"result":7}')


def test_broken_request_waits_for_the_answers_before_it(edge: Edge) -> None:
    for broken in (b"nonsense\r\n\r\n", REFUSED["negative length"], REFUSED["chunk with 0x"], b"\0"):
        answer = edge.talk(SLOW + http_request(ECHO) + broken + EVIL)
        statuses = [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"200", b"400"]
        assert answer.index(SLOW_ANSWER) < answer.index(b'"result":7}') < answer.index(b"400 Bad")


def test_websocket_behind_an_answer_that_is_due_is_refused(edge: Edge) -> None:
    for pause in (0, 0.05):
        with edge.connect() as client:
            client.sendall(SLOW)
            time.sleep(pause)
            client.sendall(HANDSHAKE)
            first, second = read_to_end(client).split(b"HTTP/1.1 ")[1:]
        assert first.endswith(SLOW_ANSWER)
        assert second.startswith(b"400 ")
    with edge.connect() as client:
        client.sendall(http_request(ECHO))
        assert client.recv(65536).endswith(b'"result":7}')
        client.sendall(HANDSHAKE)
        assert client.recv(65536).startswith(b"HTTP/1.1 101 ")


def test_peer_that_sends_much_and_shuts_down_gets_all_answers(edge: Edge) -> None:
    with edge.connect() as client:
        began = time.monotonic()
        client.sendall(http_request(ECHO) * 200 + EVIL[:-1])
        client.shutdown(socket.SHUT_WR)
        assert read_to_end(client).count(b'"result":7}') == 200
        assert time.monotonic() - began < 5
    assert edge.toy.calls == [7] * 200


def test_flood_of_pipelined_requests_is_not_taken_in(edge: Edge) -> None:
    """While one request is answered, what the server keeps of the rest is bounded."""
    small = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    flood = small * 200_000
    tracemalloc.start()
    try:
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(edge.connect()) for _ in range(4)]
            for client in clients:
                client.sendall(http_request(json.dumps(request("sleep", "0x5dc")).encode()))
                client.settimeout(0.1)
            time.sleep(0.1)
            before = tracemalloc.get_traced_memory()[0]
            for client in clients:
                with contextlib.suppress(TimeoutError):
                    client.sendall(flood)
            assert tracemalloc.get_traced_memory()[0] - before < len(clients) * 1_000_000
    finally:
        tracemalloc.stop()


def test_pipelined_bodies_are_not_taken_in(edge: Edge) -> None:
    """A request that waits is read only as far as it came with the one before it."""
    big = http_request(ECHO + b" " * (LIMITS.body_bytes_max - len(ECHO)))
    answer = edge.talk(SLOW + big * 20 + http_request(ECHO, "Connection: close"))
    assert answer.count(b'"result":7}') == 21


def test_dripped_second_request_has_a_deadline_of_its_own(edge: Edge) -> None:
    for first in (http_request(ECHO), SLOW):
        with edge.connect() as client:
            client.sendall(first)
            assert b"200 OK" in client.recv(65536)
            time.sleep(DEADLINE * 0.7)
            client.settimeout(0.05)
            began = time.monotonic()
            client.sendall(EVIL[:6])
            data = b""
            while time.monotonic() - began < DEADLINE + 2 and not data:
                with contextlib.suppress(ConnectionError):
                    client.sendall(b"x")
                with contextlib.suppress(TimeoutError):
                    data = client.recv(1_000)
            assert data.startswith(b"HTTP/1.1 408 ")
            assert time.monotonic() - began < DEADLINE + 1


def test_second_request_that_came_half_with_the_first_is_not_waited_for(edge: Edge) -> None:
    for half in (EVIL[:30], EVIL[:-1]):
        with edge.connect() as client:
            client.sendall(SLOW + half)
            began = time.monotonic()
            answer = read_to_end(client)
            assert SLOW_ANSWER in answer
            assert b"HTTP/1.1 408 " in answer
            assert 0.3 + DEADLINE * 0.9 < time.monotonic() - began < 0.3 + DEADLINE + 1


WITHOUT_UVLOOP = """
import sys
sys.modules["uvloop"] = None
import asyncio
from poolchain import event_loop
from tests.functional import toy_server

async def kind():
    return type(asyncio.get_running_loop()).__module__

assert event_loop.run(kind()).startswith("asyncio."), "another loop"
with toy_server.running() as edge:
    assert edge.is_honest()
    for _ in range(3):
        assert edge.call("blow", hex(190_000))["result"] == "x" * 190_000
    assert edge.talk(b"nonsense\\r\\n\\r\\n").startswith(b"HTTP/1.1 400 ")
"""


def test_asyncio_loop_serves_where_uvloop_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_UVLOOP], capture_output=True, timeout=60, check=False, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_uvloop_serves_where_it_is(edge: Edge) -> None:
    pytest.importorskip("uvloop")
    assert not isinstance(edge.loop, asyncio.BaseEventLoop)

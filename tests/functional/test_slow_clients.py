"""Clients that keep a server waiting are let go, and never keep an honest one out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poolchain.http_server import HttpLimits

from .toy_server import Edge, http_request, read_to_end, request, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEADLINE = 0.6
SHORT = HttpLimits(request_seconds=DEADLINE, idle_seconds=1.2, stall_seconds=1.0, connections_max=40)
ECHO = json.dumps(request("echo", 7)).encode()
WHOLE = http_request(ECHO)


@pytest.fixture
def edge() -> Iterator[Edge]:
    with running(http_limits=SHORT) as edge:
        yield edge


PARTS = {
    "nothing": b"",
    "one byte": b"P",
    "half of the headers": WHOLE[: WHOLE.index(b"Content-Length")],
    "headers alone": WHOLE[: -len(ECHO)],
    "half of the body": WHOLE[:-5],
    "half of a chunk": http_request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"ff\r\n{",
    "a length that lies": http_request(ECHO, length=len(ECHO) + 1),
}


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_incomplete_requests_are_closed_by_the_deadline(edge: Edge) -> None:
    with contextlib.ExitStack() as stack:
        clients = {name: stack.enter_context(edge.connect()) for name in PARTS}
        began = time.monotonic()
        for name, client in clients.items():
            client.sendall(PARTS[name])
        for name, client in clients.items():
            data = read_to_end(client)
            assert DEADLINE * 0.9 < time.monotonic() - began < DEADLINE + 1, name
            assert data.startswith(b"HTTP/1.1 408 ") if PARTS[name] else data == b"", name
    assert edge.toy.calls == []
    assert edge.is_honest()


def test_dripping_bytes_do_not_move_the_deadline(edge: Edge) -> None:
    with edge.connect() as client:
        began = time.monotonic()
        client.settimeout(0.05)
        client.sendall(WHOLE[:20])
        data = b""
        while time.monotonic() - began < DEADLINE + 1 and not data:
            with contextlib.suppress(ConnectionError):
                client.sendall(b"x")
            with contextlib.suppress(TimeoutError):
                data = client.recv(1_000)
        assert data.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < DEADLINE + 1


def test_deadline_begins_with_each_request_and_idling_lasts_longer(edge: Edge) -> None:
    with edge.connect() as client:
        for _ in range(3):
            client.sendall(WHOLE)
            assert client.recv(65536).endswith(b'"result":7}')
            time.sleep(DEADLINE * 1.4)
        client.sendall(WHOLE[:30])
        began = time.monotonic()
        assert read_to_end(client).startswith(b"HTTP/1.1 408 ")
        assert DEADLINE * 0.9 < time.monotonic() - began < DEADLINE + 1


def test_idle_connection_is_closed(edge: Edge) -> None:
    with edge.connect() as client:
        client.sendall(WHOLE)
        began = time.monotonic()
        assert read_to_end(client).endswith(b'"result":7}')
        assert 1.0 < time.monotonic() - began < 2.5


def test_slow_method_is_not_cut_short(edge: Edge) -> None:
    milliseconds = int((SHORT.idle_seconds + DEADLINE) * 1_000)
    assert edge.call("sleep", hex(milliseconds))["result"] == milliseconds


def test_peer_that_breaks_off_takes_its_call_along(edge: Edge) -> None:
    slow = http_request(json.dumps([request("echo", "begun"), request("sleep", "0xea60")]).encode())
    for _ in range(100):
        with edge.connect() as client:
            client.sendall(slow)
            wait_until(lambda: edge.toy.calls[-1:] == ["begun"])
            edge.toy.calls.append("leave")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert edge.is_honest()
    wait_until(lambda: len(asyncio.all_tasks(edge.loop)) <= 5)


def test_calls_of_peers_that_went_silently_give_way() -> None:
    slow = http_request(json.dumps(request("sleep", "0xbb8")).encode())
    with running(http_limits=HttpLimits(connections_max=10)) as edge:
        for _ in range(10):
            with edge.connect() as client:
                client.sendall(slow)
        time.sleep(1.2)
        for _ in range(10):
            assert edge.is_honest()
        assert len(asyncio.all_tasks(edge.loop)) <= 15


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_half_open_connections_do_not_lock_honest_requests_out(edge: Edge) -> None:
    """Sixty of them where forty connections are allowed, as fast as they can be made."""
    with contextlib.ExitStack() as stack:
        for number in range(60):
            client = stack.enter_context(edge.connect())
            client.sendall(WHOLE[: 10 + number])
        deadline = time.monotonic() + DEADLINE + 1.5
        while True:
            answer = edge.send(ECHO)
            assert answer.status in {200, 503}
            if answer.status == 200:
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert edge.is_honest()


def test_longest_waiting_connection_gives_way() -> None:
    """With a long deadline, too, an honest request gets a place within about a second."""
    with (
        running(http_limits=HttpLimits(connections_max=20)) as edge,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(20):
            stack.enter_context(edge.connect()).sendall(WHOLE[:10])
        full = edge.send(ECHO)
        assert full.status == 503
        assert full.headers["retry-after"] == "1"
        time.sleep(1.1)
        for _ in range(10):
            assert edge.is_honest()


def test_busy_connections_do_not_give_way() -> None:
    limits = HttpLimits(connections_max=5)
    slow = http_request(json.dumps(request("sleep", "0x5dc")).encode())
    with running(http_limits=limits) as edge, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(edge.connect()) for _ in range(5)]
        for client in clients:
            client.sendall(slow)
        time.sleep(1.1)
        assert edge.send(ECHO).status == 503
        for client in clients:
            assert client.recv(65536).endswith(b'"result":1500}')
        for client in clients:
            client.close()
        time.sleep(0.1)
        assert edge.is_honest()


def test_flood_beyond_twice_the_limit_is_cut_at_once() -> None:
    limits = HttpLimits(connections_max=10, request_seconds=DEADLINE)
    with running(http_limits=limits) as edge, contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(edge.connect())
        time.sleep(DEADLINE + 1)
        assert edge.is_honest()


def test_reader_that_does_not_read_is_dropped_and_forgotten(edge: Edge) -> None:
    """Its answers fill both socket buffers and the rest waits in the server, but not for long."""
    blow = http_request(json.dumps(request("blow", hex(190_000))).encode())
    before = open_descriptors()
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.settimeout(5)
            client.connect(("127.0.0.1", edge.port))
            client.sendall(blow * 60)
        assert edge.is_honest()
        deadline = time.monotonic() + 8
        while open_descriptors() > before + 10 and time.monotonic() < deadline:
            time.sleep(0.1)
        # Ten descriptors are the clients' own ends: the server has let go of its ends.
        assert open_descriptors() <= before + 10
    assert edge.is_honest()


def test_descriptors_return_to_the_base_line(edge: Edge) -> None:
    assert edge.is_honest()
    gc.collect()
    before = open_descriptors()
    for data in (b"", WHOLE[:-3], b"\x16\x03", http_request(b"", length=10**9), WHOLE):
        for _ in range(5):
            with edge.connect() as client:
                client.sendall(data)
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(edge.connect()).sendall(WHOLE[:-1])
        time.sleep(DEADLINE + 0.5)
    deadline = time.monotonic() + 5
    while open_descriptors() > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert open_descriptors() <= before


def test_endless_body_is_thrown_away_for_two_seconds_only(edge: Edge) -> None:
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    head = http_request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    with edge.connect() as client:
        client.sendall(head)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 10:
                client.sendall(chunk)
        assert time.monotonic() - began < 4
    assert edge.is_honest()
    assert edge.toy.calls == ["honest"]

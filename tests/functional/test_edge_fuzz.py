"""Mutated requests over a real socket, with an honest prober alongside (reliability plan, row 10).

The seed is in the name of the test; POOLCHAIN_FUZZ multiplies the number of requests.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poolchain.http_server import HttpLimits

from .toy_server import Edge, http_request, read_to_end, request, running

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = 500 * int(os.environ.get("POOLCHAIN_FUZZ", "1"))
GROWTH_BYTES_MAX = 50 * 1024 * 1024
STATUSES = {200, 204, 400, 403, 404, 405, 408, 413, 415}
SPLICES = [
    *(b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\r\n\r\n", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":"),
    *(b"NaN", b"1e400", b"-0", b"9" * 30, b"null", b"true", b'"\\ud800"', b'"id":', b"[" * 500, b'{"a":' * 50),
    *(b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: evil\r\n", b"Origin: null\r\n"),
]
SEEDS: list[Any] = [
    request("echo", 7),
    request("echo", {"a": [1, "x", None, {"b": True}]}, id="abc"),
    request("write", "0x0011", id=None),
    request("blow", "0x10"),
    request("fail"),
    request("nope"),
    request("subscribe"),
    request("rpc.discover"),
    {"jsonrpc": "2.0", "method": "echo", "params": {"value": 1}},
    [request("echo", 1, id=1), request("blow", "0x30d40", id=2), {"jsonrpc": "2.0", "method": "echo"}],
]


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running(http_limits=HttpLimits(request_seconds=0.5, idle_seconds=0.5)) as edge:
        yield edge


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Change `data` in one to three places."""
    mutant = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(mutant) + 1)
        end = min(len(mutant), place + chance.choice((1, 1, 1, 4, 20)))
        kind = chance.randrange(5)
        if kind == 0:
            mutant[place:end] = b""
        elif kind == 1:
            mutant[place:place] = chance.choice(SPLICES)
        elif kind == 2:
            mutant[place:end] = chance.choice(SPLICES)
        elif kind == 3:
            mutant[place:place] = mutant[place:end] * chance.choice((1, 2, 50))
        elif end > place:
            mutant[place] ^= 1 << chance.randrange(8)
    return bytes(mutant)


def make(chance: random.Random) -> bytes:
    """Return the bytes of one request, mutated as a body or as a whole."""
    body = json.dumps(chance.choice(SEEDS), ensure_ascii=chance.random() < 0.5).encode()
    if chance.random() < 0.6:
        return http_request(mutate(chance, body), "Connection: close")
    return mutate(chance, http_request(body, "Connection: close"))


def check(answer: bytes) -> None:
    """Check that every answer in `answer` is one that HTTP or JSON-RPC provides for."""
    for status in re.findall(rb"(?:^|\n)HTTP/1\.1 (\d+) ", answer):
        assert int(status) in STATUSES
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200 ") and b"\r\ncontent-type: application/json" in head:
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        value = json.loads(body[: int(length[1])])
        for one in value if isinstance(value, list) else [value]:
            assert one.keys() in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
            assert one["jsonrpc"] == "2.0"


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def prober(edge: Edge) -> Iterator[list[float]]:
    """Ask an honest question again and again; yields the seconds each answer took."""
    seconds: list[float] = []
    done = threading.Event()

    def probe() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert edge.is_honest()
            seconds.append(time.monotonic() - began)
            time.sleep(0.01)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield seconds
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("seed", range(4))
def test_mutants_get_proper_answers_while_honest_requests_are_served(edge: Edge, seed: int) -> None:
    chance = random.Random(seed)
    before = resident_bytes()
    with prober(edge) as seconds:
        for _ in range(REQUESTS):
            mutant = make(chance)
            with edge.connect() as client:
                with contextlib.suppress(ConnectionError):
                    client.sendall(mutant)
                    # What was cut short is complete now, or never will be.
                    client.shutdown(socket.SHUT_WR)
                check(read_to_end(client))
    assert len(seconds) > 5
    assert sorted(seconds)[int(len(seconds) * 0.99)] < 0.25
    assert resident_bytes() - before < GROWTH_BYTES_MAX
    assert edge.complaints == []

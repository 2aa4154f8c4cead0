"""The load generator: prepared requests over kept-alive connections, from a process of its own.

It shares the machine with the node, so it does as little as it can: one thread, one epoll, requests that are ready as
bytes, and of an answer only its length and whether it contains an error.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final, NamedTuple, Self

_CHUNK: Final = 1 << 18
_STALLED_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.005
_ERRORS_KEPT: Final = 3
_LENGTH: Final = b"content-length: "


class Load(NamedTuple):
    """What is sent: every lane is one connection, which sends its requests one after the other."""

    port: int
    lanes: Sequence[Sequence[bytes]]
    """HTTP requests, see `request`."""
    until_committed: bool = True
    """Whether the clock runs until nothing is pending any more."""


class Driven(NamedTuple):
    """What became of it. Moments are of time.monotonic, the same in all processes of a machine."""

    started: float
    """When the first byte was sent."""
    answered: float
    """When the last answer was there."""
    committed: float
    """When the node said that nothing was pending any more."""
    height: int
    """The head that it said so with."""
    latencies: Sequence[float]
    """Seconds from sending a request to its whole answer, in the order of the answers."""
    cpu_seconds: float
    """Of this process, from `started` to `committed`."""
    errors: Sequence[str]
    """The first answers that contained an error."""
    failed: int
    """How many did."""

    @property
    def seconds(self) -> float:
        """From the first byte to the last commit."""
        return self.committed - self.started


def request(method: str, *params: Any) -> bytes:
    """Return the whole HTTP request of one call."""
    return post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())


def post(body: bytes) -> bytes:
    """Return the whole HTTP request with a body of JSON."""
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def drive_elsewhere(load: Load) -> Driven:
    """Drive a load from a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(drive, load).result()


def drive(load: Load) -> Driven:
    """Send everything and wait for every answer; raises TimeoutError when nothing comes for a minute."""
    lanes = [_Lane(load.port, requests) for requests in load.lanes if requests]
    begun = time.process_time()
    started = time.monotonic()
    _run(lanes)
    answered = committed = time.monotonic()
    height = 0
    if load.until_committed:
        height, committed = _until_none_pending(load.port)
    spent = time.process_time() - begun
    errors = [error for lane in lanes for error in lane.errors]
    latencies = [latency for lane in lanes for latency in lane.latencies]
    failed = sum(lane.failed for lane in lanes)
    return Driven(started, answered, committed, height, latencies, spent, errors[:_ERRORS_KEPT], failed)


class _Lane:
    """One connection and where it stands."""

    __slots__ = ("_received", "_requests", "_sent_at", "connection", "errors", "failed", "latencies", "unsent")

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.settimeout(0)
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.failed = 0
        self.unsent: memoryview | None = None
        self._requests = iter(requests)
        self._received = b""

    def send_next(self) -> bool:
        """Send the next request, or begin to; False when there is none."""
        request = next(self._requests, None)
        if request is None:
            return False
        self._sent_at = time.monotonic()
        sent = self.connection.send(request)
        self.unsent = memoryview(request)[sent:] if sent < len(request) else None
        return True

    def send_more(self) -> None:
        """Go on sending a request that did not fit."""
        if self.unsent is not None:
            self.unsent = self.unsent[self.connection.send(self.unsent) :] or None

    def receive(self) -> bool:
        """Take what has come; True when that completes the answer."""
        data = self.connection.recv(_CHUNK)
        if not data:
            raise ConnectionError("the node has closed a connection")
        if self._received:
            data = self._received + data
        head = data.find(b"\r\n\r\n")
        at = data.find(_LENGTH, 0, head) + len(_LENGTH)
        if head < 0 or len(data) < head + 4 + int(data[at : data.index(b"\r", at)]):
            self._received = data
            return False
        self._received = b""
        self.latencies.append(time.monotonic() - self._sent_at)
        if b'"error"' in data or not data.startswith(b"HTTP/1.1 200"):
            self.failed += 1
            if len(self.errors) < _ERRORS_KEPT:
                self.errors.append(data[:1000].decode("utf-8", "replace"))
        return True


def _run(lanes: Sequence[_Lane]) -> None:
    """Keep every lane busy until all its requests are answered."""
    poll = select.epoll()
    by_number = {lane.connection.fileno(): lane for lane in lanes}
    for number, lane in by_number.items():
        lane.send_next()
        poll.register(number, select.EPOLLIN | (select.EPOLLOUT if lane.unsent is not None else 0))
    while by_number:
        events = poll.poll(_STALLED_SECONDS)
        if not events:
            raise TimeoutError("no answer for a minute")
        for number, event in events:
            lane = by_number[number]
            if event & select.EPOLLOUT:
                lane.send_more()
                if lane.unsent is None:
                    poll.modify(number, select.EPOLLIN)
            if event & ~select.EPOLLOUT and lane.receive():
                if not lane.send_next():
                    poll.unregister(number)
                    by_number.pop(number).connection.close()
                elif lane.unsent is not None:
                    poll.modify(number, select.EPOLLIN | select.EPOLLOUT)


def _until_none_pending(port: int) -> tuple[int, float]:
    """Ask for the status until nothing is pending; return the height of the head and the moment."""
    deadline = time.monotonic() + _STALLED_SECONDS
    with Caller(port) as caller:
        while time.monotonic() < deadline:
            status = caller.call("chain_status")
            now = time.monotonic()
            if status["pending"] == "0x0":
                return int(status["head"]["height"], 16), now
            time.sleep(_POLL_SECONDS)
    raise TimeoutError("transactions are still pending after a minute")


class Caller:
    """One blocking connection for single calls."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._connection = socket.create_connection(("127.0.0.1", port), timeout=_STALLED_SECONDS)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of a call; raises RuntimeError for an error."""
        answer = json.loads(self.exchange(request(method, *params)))
        if "error" in answer:
            raise RuntimeError(json.dumps(answer["error"]))
        return answer["result"]

    def exchange(self, prepared: bytes) -> bytes:
        """Send a request and return the body of its answer."""
        self._connection.sendall(prepared)
        received = b""
        while (head := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        at = received.find(_LENGTH, 0, head) + len(_LENGTH)
        end = head + 4 + int(received[at : received.index(b"\r", at)])
        while len(received) < end:
            received += self._more()
        return received[head + 4 :]

    def _more(self) -> bytes:
        data = self._connection.recv(_CHUNK)
        if not data:
            raise ConnectionError("the node has closed a connection")
        return data

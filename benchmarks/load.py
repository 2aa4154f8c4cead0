"""The load generator: prepared requests over kept-alive connections, from a process of its own.

It shares the machine with the node, so it does as little as it can: one thread, one epoll, requests that are ready as
bytes, and of an answer only its length and whether it contains an error. Against a server that answers at once, 14 of
its 24 us for a small request are the system calls.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from typing import Final, NamedTuple

from .caller import CHUNK, STALLED_SECONDS, Caller, connect, whole_length

_POLL_SECONDS: Final = 0.005
_ERRORS_KEPT: Final = 3


class Load(NamedTuple):
    """What is sent: every lane is one connection, which sends its requests one after the other."""

    port: int
    lanes: Sequence[Sequence[bytes]]
    """HTTP requests, see caller.request."""
    until_committed: bool = True
    """Whether the clock runs on until nothing is pending any more."""


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
    """Seconds from sending a request to its whole answer, lane by lane."""
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


def drive_elsewhere(load: Load) -> Driven:
    """Drive a load from a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(drive, load).result()


def drive(load: Load) -> Driven:
    """Send everything and wait for every answer; raises TimeoutError when nothing comes for a minute."""
    with ExitStack() as connections:
        lanes = [_Lane(load.port, requests) for requests in load.lanes if requests]
        for lane in lanes:
            connections.enter_context(lane.connection)
        begun = time.process_time()
        started = time.monotonic()
        _run(lanes)
        answered = time.monotonic()
        height, committed = _until_none_pending(load.port) if load.until_committed else (0, answered)
        spent = time.process_time() - begun
    errors = [error for lane in lanes for error in lane.errors]
    latencies = [latency for lane in lanes for latency in lane.latencies]
    failed = sum(lane.failed for lane in lanes)
    return Driven(started, answered, committed, height, latencies, spent, errors[:_ERRORS_KEPT], failed)


class _Lane:
    """One connection and where it stands."""

    __slots__ = (
        "_length",
        "_received",
        "_requests",
        "_sent_at",
        "connection",
        "errors",
        "failed",
        "latencies",
        "unsent",
    )

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self.connection = connect(port)
        self.connection.settimeout(0)
        self.latencies: list[float] = []
        self.errors: list[str] = []
        self.failed = 0
        self.unsent: memoryview | None = None
        self._requests = iter(requests)
        self._received = b""
        self._length = 0

    def send_next(self) -> bool:
        """Send the next request, or begin to; False when there is none."""
        request = next(self._requests, None)
        if request is None:
            return False
        self._sent_at = time.monotonic()
        sent = self.connection.send(request)
        if sent < len(request):
            self.unsent = memoryview(request)[sent:]
        return True

    def send_more(self) -> None:
        """Go on sending a request that did not fit."""
        if self.unsent is not None:
            self.unsent = self.unsent[self.connection.send(self.unsent) :] or None

    def receive(self) -> bool:
        """Take what has come; True when that completes the answer."""
        data = self.connection.recv(CHUNK)
        if not data:
            raise ConnectionError("the node has closed a connection")
        if self._received:
            data = self._received + data
        # Answers to like requests are of one length: only the first is looked into.
        if len(data) != self._length:
            length = whole_length(data)
            if length is None or len(data) < length:
                self._received = data
                return False
            self._length = length
        self._received = b""
        self.latencies.append(time.monotonic() - self._sent_at)
        if b'"error"' in data or not data.startswith(b"HTTP/1.1 200"):
            self.failed += 1
            if len(self.errors) < _ERRORS_KEPT:
                self.errors.append(data[:1000].decode("utf-8", "replace"))
        return True


def _run(lanes: Sequence[_Lane]) -> None:
    """Keep every lane busy until all its requests are answered."""
    with select.epoll() as poll:
        _take_turns(lanes, poll)


def _take_turns(lanes: Sequence[_Lane], poll: select.epoll) -> None:
    by_number = {lane.connection.fileno(): lane for lane in lanes}
    for number, lane in by_number.items():
        lane.send_next()
        poll.register(number, _events(lane))
    while by_number:
        events = poll.poll(STALLED_SECONDS)
        if not events:
            raise TimeoutError("no answer for a minute")
        for number, event in events:
            lane = by_number[number]
            if event & select.EPOLLOUT:
                lane.send_more()
                poll.modify(number, _events(lane))
            if event & ~select.EPOLLOUT and lane.receive():
                if not lane.send_next():
                    poll.unregister(number)
                    del by_number[number]
                elif lane.unsent is not None:
                    poll.modify(number, _events(lane))


def _events(lane: _Lane) -> int:
    return select.EPOLLIN if lane.unsent is None else select.EPOLLIN | select.EPOLLOUT


def _until_none_pending(port: int) -> tuple[int, float]:
    """Ask for the status until nothing is pending; return the height of the head and the moment."""
    deadline = time.monotonic() + STALLED_SECONDS
    with Caller(port) as caller:
        while time.monotonic() < deadline:
            status = caller.call("chain_status")
            now = time.monotonic()
            if status["pending"] == "0x0":
                return int(status["head"]["height"], 16), now
            time.sleep(_POLL_SECONDS)
    raise TimeoutError("transactions are still pending after a minute")

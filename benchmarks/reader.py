"""Callers in a process of their own who read at a steady pace, while others do something else to the node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event
from typing import Final, NamedTuple, Self

from .caller import Caller
from .checks import Wrong

_EVERY_SECONDS: Final = 0.04
_END_SECONDS: Final = 60.0


class Read(NamedTuple):
    """One call."""

    name: str
    at: float
    """When it was sent or, if it had to be left out, due; of time.monotonic."""
    seconds: float
    """From then to its whole answer."""


class Reader:
    """Reads while inside, on one connection for each kind of call; `stop` returns what it has seen.

    A call that is due while the one before it still waits is not made, but counts as one that is answered with that
    one: a long wait is not one bad call among many good ones, but as many as would have been made meanwhile.
    """

    def __init__(self, port: int, requests: Mapping[str, bytes]) -> None:
        """Take the requests by the names that they are reported under."""
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_read_all, args=(theirs, port, dict(requests)), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> Self:
        self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()
        self._process.join(_END_SECONDS)

    def stop(self) -> list[Read]:
        """End it and return its calls; raises Wrong if one was not answered as it should be."""
        self._ours.send(None)
        found: list[Read] | Wrong = self._ours.recv()
        if isinstance(found, Wrong):
            raise found
        return found


def _read_all(control: Connection, port: int, requests: Mapping[str, bytes]) -> None:
    """Read until the other side says so, or is gone; send it what was found."""
    ended = Event()
    with ThreadPoolExecutor(len(requests)) as threads:
        readers = [threads.submit(partial(_read, port, name, prepared, ended)) for name, prepared in requests.items()]
        try:
            control.send(None)
            control.recv()
        except (EOFError, OSError):
            # What ended the benchmark is reported there.
            return
        finally:
            ended.set()
        try:
            control.send([read for reader in readers for read in reader.result()])
        except Wrong as wrong:
            control.send(wrong)


def _read(port: int, name: str, prepared: bytes, ended: Event) -> list[Read]:
    found: list[Read] = []
    with Caller(port) as caller:
        due = time.monotonic()
        while not ended.wait(max(0.0, due - time.monotonic())):
            sent = time.monotonic()
            body = caller.exchange(prepared)
            answered = time.monotonic()
            if b'"error"' in body:
                raise Wrong(f"{name} was answered with {body[:500]!r}")
            found.append(Read(name, sent, answered - sent))
            due = max(due, sent) + _EVERY_SECONDS
            while due < answered:
                found.append(Read(name, due, answered - due))
                due += _EVERY_SECONDS
    return found

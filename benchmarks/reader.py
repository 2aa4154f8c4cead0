"""One caller in a process of its own who reads all the time, while others do something else to the node."""

from __future__ import annotations

import time
from collections.abc import Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, NamedTuple, Self

from .caller import Caller
from .checks import Wrong

_PAUSE_SECONDS: Final = 0.002
_END_SECONDS: Final = 60.0


class Read(NamedTuple):
    """One call."""

    name: str
    at: float
    """When it was sent, of time.monotonic."""
    seconds: float
    """To its whole answer."""


class Reader:
    """Reads while inside; `stop` returns what it has seen."""

    def __init__(self, port: int, requests: Mapping[str, bytes]) -> None:
        """Take the requests that are made in turn, by the names that they are reported under."""
        context = get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_read, args=(theirs, port, dict(requests)), daemon=True)
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


def _read(control: Connection, port: int, requests: Mapping[str, bytes]) -> None:
    found: list[Read] | Wrong = []
    try:
        with Caller(port) as caller:
            control.send(None)
            while not control.poll():
                for name, prepared in requests.items():
                    sent = time.monotonic()
                    body = caller.exchange(prepared)
                    if isinstance(found, list):
                        found.append(Read(name, sent, time.monotonic() - sent))
                    if b'"error"' in body:
                        found = Wrong(f"{name} was answered with {body[:500]!r}")
                    time.sleep(_PAUSE_SECONDS)
        control.send(found)
    except (EOFError, OSError):
        # Nobody asks any more: what ended the benchmark is reported there.
        return

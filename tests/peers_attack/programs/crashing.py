"""A program that kills itself: `main([module, *arguments])` runs `module.main(arguments)` until POOLCHAIN_CRASH.

The variable is `POINT:NUMBER:FILE`: at the NUMBERth time that the named point is reached the process ends as by
kill -9; every point that is reached, and every payment that is on disk, is noted in FILE first. Nothing of this is in
the programs themselves: their functions are wrapped here.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from peers import seller, settler
from peers.chain_link import ChainLink
from peers.chunk_store import ChunkStore
from peers.payer_ledger import PayerLedger
from peers.payment_store import PaymentStore, decode_book
from peers.purse import Purse
from peers.under_way import UnderWay

VARIABLE: Final = "POOLCHAIN_CRASH"
VIEWER_POINTS: Final = (
    "ledger written",
    "ledger synced",
    "pool file before",
    "pool file after",
    "submit before",
    "submit after",
    "pay before",
    "pay after",
    "request sent",
    "reply here",
    "under way before",
    "under way after",
    "chunk before",
    "chunk after",
)
# The first three are reached while it starts: nothing is bought then.
CACHER_POINTS: Final = (
    "store made",
    "book before",
    "book after",
    "payment before",
    "payment synced",
    "settlement marked",
    "settlement signed",
    "submit before",
    "submit after",
    "forget before",
    "forget after",
)
_seen: Counter[str] = Counter()
_wanted = ("", 0, "")


def _reach(point: str) -> None:
    name, number, file = _wanted
    _seen[point] += 1
    if point == name and _seen[point] == number:
        _note(file, f"hit {point}")
        os.kill(os.getpid(), signal.SIGKILL)


def _note(file: str, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{text}\n".encode())
    os.close(descriptor)


def _around(owner: Any, name: str, before: str = "", after: str = "") -> None:
    """Make two points of the moments before and after a function."""
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before:
            _reach(before)
        found = inner(*arguments, **named)
        if after:
            _reach(after)
        return found

    setattr(owner, name, wrapped)


def _around_async(owner: Any, name: str, before: str = "", after: str = "") -> None:
    inner: Callable[..., Awaitable[Any]] = getattr(owner, name)

    @functools.wraps(inner)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        if before:
            _reach(before)
        found = await inner(*arguments, **named)
        if after:
            _reach(after)
        return found

    setattr(owner, name, wrapped)


def _wrap_viewer() -> None:
    _around(os, "fdatasync", "ledger written", "ledger synced")
    _around(PayerLedger, "promise")
    _around(Purse, "pay", "pay before", "pay after")
    _around_async(seller, "ask", "request sent", "reply here")
    _around(UnderWay, "begin", "under way before", "under way after")
    _around(ChunkStore, "put", "chunk before", "chunk after")
    _around_async(ChainLink, "submit", "submit before", "submit after")
    # The only text that a viewer writes between signing a CreatePool and submitting it.
    _around(Path, "write_text", "pool file before", "pool file after")


def _wrap_cacher() -> None:
    _around(Path, "replace", after="store made")
    _around(settler, "sign_settlement", "settlement marked", "settlement signed")
    _around_async(ChainLink, "submit", "submit before", "submit after")
    _around_async(PaymentStore, "forget", "forget before", "forget after")
    _around_async(settler.Settler, "_take", "book before", "book after")
    write = PaymentStore._write

    def wrapped(store: PaymentStore, entries: list[tuple[bytes, bytes | None]]) -> None:
        payments = []
        for key, value in entries:
            if key[:1] == b"b" and value is not None and (best := decode_book(key[1:], store.target, value).best):
                payments.append(f"paid {key[1:].hex()} {best.promise.amount}")
        if payments:
            _reach("payment before")
        write(store, entries)
        for payment in payments:
            _note(_wanted[2], payment)
        if payments:
            _reach("payment synced")

    PaymentStore._write = wrapped  # type: ignore[method-assign, assignment]


def main(arguments: list[str]) -> int:
    global _wanted  # noqa: PLW0603  # one process, one crash
    name, number, file = os.environ[VARIABLE].split(":", 2)
    _wanted = (name, int(number), file)
    module, *rest = arguments
    if module.endswith("buyer"):
        _wrap_viewer()
    else:
        _wrap_cacher()
    found: int = importlib.import_module(module).main(rest)
    return found

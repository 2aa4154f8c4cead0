"""Runs a server with a lifespan in a process of its own, for tests that send it signals."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from poolchain.event_loop import run
from poolchain.http_server import CannotListen, HttpLimits, serve
from rpc.application import Application
from rpc.dispatch import Dispatcher
from tests.functional.toy_server import LIMITS, REGISTRY, Toy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def lifespan(leaving_seconds: float) -> AsyncIterator[None]:
    say("entered")
    try:
        yield
    finally:
        say("leaving")
        await asyncio.sleep(leaving_seconds)
        say("left")


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def main(port: int, leaving_seconds: float) -> None:
    app = Application(Dispatcher(REGISTRY, Toy(), LIMITS), why_not_ready=lambda: None)
    await serve(
        app,
        "127.0.0.1",
        port,
        say,
        lifespan=lifespan(leaving_seconds),
        limits=HttpLimits(stop_seconds=1),
    )
    say("done")


if __name__ == "__main__":
    try:
        run(main(int(sys.argv[1]), float(sys.argv[2])))
    except CannotListen as error:
        sys.exit(str(error))

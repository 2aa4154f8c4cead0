"""Running a story with something that must be closed afterwards, whatever came of the story."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar


class Closable(Protocol):
    """What holds processes until it is closed."""

    async def close(self) -> None:
        """Let them go."""


C = TypeVar("C", bound=Closable)
T = TypeVar("T")


def run_closing(make: Callable[[], C], story: Callable[[C], Awaitable[T]]) -> T:
    async def run() -> T:
        made = make()
        try:
            async with asyncio.timeout(60):
                return await story(made)
        finally:
            await made.close()

    return asyncio.run(run())


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds; raises TimeoutError."""
    async with asyncio.timeout(10):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)

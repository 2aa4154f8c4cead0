"""Whose turn it is to use the processor: those who judge transactions, or the block that is being executed.

Both are Python, so two threads would only take the interpreter's lock from each other, at every read of the database.
Who judges waits while a block is executed, and not while it is written. A block begins when nothing that was submitted
is still on its way to its judgement, or when that has had long enough: under load blocks are large, which makes each of
their transactions cheaper, and an idle node begins at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

PATIENCE_SECONDS: Final = 0.06
"""How long a block waits for those who judge."""


class Turns:
    """Used on the event loop's thread."""

    def __init__(self) -> None:
        """Begin with nobody at work."""
        self._judging = 0
        self._nobody_judges = asyncio.Event()
        self._nobody_judges.set()
        self._not_executing = asyncio.Event()
        self._not_executing.set()

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Hold transactions that will be judged, inside; `await turn()` before each piece of that."""
        self._judging += 1
        self._nobody_judges.clear()
        try:
            yield
        finally:
            self._judging -= 1
            if not self._judging:
                self._nobody_judges.set()

    async def turn(self) -> None:
        """Return when no block is being executed."""
        # Another block may have begun between the end of one and the moment in which whoever waited for it goes on.
        while not self._not_executing.is_set():
            await self._not_executing.wait()

    @asynccontextmanager
    async def executing(self) -> AsyncIterator[None]:
        """Execute a block inside, when those who judge are done or have had their time; one at a time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._nobody_judges.wait()
        with self.closed():
            yield

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Have whoever wants to judge wait, inside; not to be nested."""
        self._not_executing.clear()
        try:
            yield
        finally:
            self._not_executing.set()

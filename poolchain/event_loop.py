"""The event loop of everything that serves: uvloop's, or asyncio's own where there is no uvloop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

try:
    from uvloop import new_event_loop
except ImportError:  # it is made for Linux and macOS
    from asyncio import new_event_loop  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Do what asyncio.run does, on the faster loop."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)

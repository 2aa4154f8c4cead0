"""How long and how much a connection may ask for, and the task that holds all of them to it.

One task per server looks at every connection a few times a second: a request pays for its deadlines with two
readings of a clock, and no timers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_GIVES_WAY_AFTER_SECONDS: Final = 1.0
_TICK_SECONDS_MAX: Final = 1.0
_TICKS_PER_DEADLINE: Final = 8


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """The limits of every connection of a server.

    `request_seconds` is for a complete request, headers and body; `idle_seconds` for a connection
    that has had an answer and asks nothing; `stall_seconds` for a peer that takes nothing of an
    answer; `stop_seconds` for requests under way when the node stops. `header_bytes_max` bounds the head of a
    request and, once more, what is around the pieces of its body. Beyond `connections_max`
    the answer is 503, but first a connection that has kept us waiting for a second gives way.
    """

    request_seconds: float = 10.0
    idle_seconds: float = 75.0
    stall_seconds: float = 20.0
    stop_seconds: int = 5
    header_bytes_max: int = 64 * 1024
    connections_max: int = 400

    @property
    def tick_seconds(self) -> float:
        """How often connections are looked at: an eighth of the shortest limit or a second."""
        shortest = min(self.request_seconds, self.idle_seconds, self.stall_seconds)
        return min(shortest / _TICKS_PER_DEADLINE, _TICK_SECONDS_MAX)


class StallWatch:
    """Notices a peer that takes nothing of what waits for it."""

    __slots__ = ("_moved_at", "_unsent_bytes")

    def __init__(self) -> None:
        self._unsent_bytes = 0
        self._moved_at = 0.0

    def abort_if_stalled(self, transport: Any, now: float, seconds: float) -> None:
        """Cut the line when, for `seconds`, the peer has taken nothing."""
        unsent = transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent_bytes or self._unsent_bytes == 0:
            self._moved_at = now
        elif now - self._moved_at > seconds:
            transport.abort()
        self._unsent_bytes = unsent


async def look_after(connections: Iterable[Any], limits: HttpLimits) -> None:
    """Hold `connections`, uvicorn's set of ours, to the limits until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(limits.tick_seconds)
        now = loop.time()
        for connection in list(connections):
            connection.look_after(now, limits)


def make_room(connections: Iterable[Any], now: float) -> bool:
    """End the connection that has kept us waiting longest, half-open ones first; tell whether there was one."""
    waiting = [one for one in connections if one.may_give_way() and now - one.since > _GIVES_WAY_AFTER_SECONDS]
    if waiting:
        min(waiting, key=lambda one: (one.is_idle, one.since)).transport.abort()
    return bool(waiting)

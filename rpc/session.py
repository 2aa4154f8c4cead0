"""One WebSocket as methods see it: a place to send notifications to, with a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from .limits import Limits


class Session:
    """The sending side of one WebSocket.

    Nothing here waits: a reader that does not read fills the queue, and the next message closes
    the session instead of the node's memory. Use it on the event loop's thread only.
    """

    def __init__(self, limits: Limits) -> None:
        """Begin with an empty queue, bounded in messages and bytes by `limits`."""
        self._limits = limits
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._closed = asyncio.Event()
        self._on_close: list[Callable[[], None]] = []

    @property
    def is_closed(self) -> bool:
        """Whether the connection is gone; sending then does nothing."""
        return self._closed.is_set()

    def notify(self, method: str, params: Any) -> bool:
        """Queue the notification {method, params}; False when the session is or gets closed."""
        return self.send(encode_notification(method, params))

    def send(self, message: bytes) -> bool:
        """Queue one JSON text; False when the session is closed or this closes it."""
        if self.is_closed:
            return False
        self._queued_bytes += len(message)
        if (
            len(self._queue) >= self._limits.websocket_queue_max
            or self._queued_bytes > self._limits.websocket_queue_bytes_max
        ):
            self.close()
            return False
        self._queue.append(message)
        self._wake.set()
        if not self._has_room():
            self._room.clear()
        return True

    def on_close(self, callback: Callable[[], None]) -> None:
        """Have `callback` called once when the session closes (at once if it is closed)."""
        if self.is_closed:
            callback()
        else:
            self._on_close.append(callback)

    def close(self) -> None:
        """Forget what is queued, end the subscriptions and let the connection be closed."""
        if self.is_closed:
            return
        self._closed.set()
        self._queue.clear()
        self._wake.set()
        self._room.set()
        for callback in self._on_close:
            callback()
        self._on_close.clear()

    async def next_message(self) -> bytes | None:
        """Return the next text to send, waiting for one; None when the session is closed."""
        while not self._queue:
            if self.is_closed:
                return None
            self._wake.clear()
            await self._wake.wait()
        message = self._queue.popleft()
        self._queued_bytes -= len(message)
        if self._has_room():
            self._room.set()
        return message

    async def wait_for_room(self) -> None:
        """Wait until half of the queue is free: answers wait for their reader, events do not."""
        await self._room.wait()

    async def wait_closed(self) -> None:
        """Wait until the session is closed, from whichever side."""
        await self._closed.wait()

    def _has_room(self) -> bool:
        limits = self._limits
        return (
            2 * len(self._queue) <= limits.websocket_queue_max
            and 2 * self._queued_bytes <= limits.websocket_queue_bytes_max
        )


def encode_notification(method: str, params: Any) -> bytes:
    """Return a notification as JSON text, so that one event is encoded once for all sessions."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "params": params})

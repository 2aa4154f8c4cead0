"""/ws: the same methods over a WebSocket; one text message is one request or batch.

Messages are begun in the order they arrive and answered as they finish, at most
`websocket_calls_max` at a time; while the peer does not read its answers, nothing more is read.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from .doors import Problem
from .http_edge import respond
from .session import Session

if TYPE_CHECKING:
    from .dispatch import Dispatcher
    from .http_edge import Receive, Scope, Send


class WebSocketEdge:
    """Answers the messages of every WebSocket with a dispatcher."""

    def __init__(self, dispatcher: Dispatcher[Any]) -> None:
        """Keep the dispatcher, whose limits hold here too."""
        self._dispatcher = dispatcher
        self._limits = dispatcher.limits
        self._session_count = 0

    async def __call__(self, scope: Scope, problem: Problem | None, receive: Receive, send: Send) -> None:
        """Serve one connection, or refuse it for `problem`."""
        if problem is None and self._session_count >= self._limits.websocket_sessions_max:
            problem = Problem(503, "Too many WebSockets.")
        if (await receive())["type"] != "websocket.connect":
            return
        if problem is not None:
            await _reject(scope, problem, send)
            return
        self._session_count += 1
        session = Session(self._limits)
        try:
            await send({"type": "websocket.accept"})
            await self._serve(session, receive, send)
        finally:
            self._session_count -= 1
            session.close()

    async def _serve(self, session: Session, receive: Receive, send: Send) -> None:
        async with contextlib.AsyncExitStack() as stack:
            calls: set[asyncio.Task[None]] = set()
            reader = asyncio.create_task(self._read(session, calls, receive))
            writer = asyncio.create_task(_write(session, send))
            closed = asyncio.create_task(session.wait_closed())
            stack.push_async_callback(_cancel, reader, writer, closed)
            stack.callback(lambda: [call.cancel() for call in calls])
            await asyncio.wait((reader, closed), return_when=asyncio.FIRST_COMPLETED)

    async def _read(self, session: Session, calls: set[asyncio.Task[None]], receive: Receive) -> None:
        """Begin a call for each message until the peer goes away."""
        slots = asyncio.Semaphore(self._limits.websocket_calls_max)

        def finish(call: asyncio.Task[None]) -> None:
            calls.discard(call)
            slots.release()

        while True:
            await slots.acquire()
            await session.wait_for_room()
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            call = asyncio.create_task(self._answer(session, None if text is None else text.encode()))
            calls.add(call)
            call.add_done_callback(finish)

    async def _answer(self, session: Session, message: bytes | None) -> None:
        answer = await self._dispatcher.answer(message, session)
        if answer is not None:
            session.send(answer)


async def _write(session: Session, send: Send) -> None:
    """Send what the session queues until it closes; a peer that is gone closes it."""
    try:
        while (message := await session.next_message()) is not None:
            await send({"type": "websocket.send", "text": message.decode()})
    except OSError:
        pass
    finally:
        session.close()


async def _reject(scope: Scope, problem: Problem, send: Send) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return

    async def send_as_websocket(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await respond(send_as_websocket, problem)


async def _cancel(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

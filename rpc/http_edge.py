"""POST / as a plain ASGI callable: bytes in, one JSON-RPC answer out.

Status 200 whatever the answer says, 204 for silence; other statuses only for what HTTP itself
has to refuse (protocol section 8).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from .doors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from .dispatch import Dispatcher
    from .doors import Facts

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON: Final = (b"content-type", b"application/json")
_PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")
_CLOSE: Final = (b"connection", b"close")
_LENGTH_DIGITS_MAX: Final = 18


class _Disconnected(Exception):
    """The caller went away before its request was complete."""


class _TooLarge(Exception):
    """The body is above the limit; what is left of it was not read."""


class HttpEdge:
    """Answers POST / with a dispatcher."""

    def __init__(self, dispatcher: Dispatcher[Any]) -> None:
        """Keep the dispatcher, whose limits hold here too."""
        self._dispatcher = dispatcher
        self._body_bytes_max = dispatcher.limits.body_bytes_max

    async def __call__(self, scope: Scope, facts: Facts, receive: Receive, send: Send) -> None:
        """Answer one request, whose Host and Origin have been checked."""
        if scope["method"] != "POST":
            allow = (b"allow", b"POST")
            await respond(send, Problem(405, "Send JSON-RPC requests with POST."), allow)
            return
        if not _is_json(facts.content_type):
            await respond(send, Problem(415, "The Content-Type has to be application/json."))
            return
        try:
            body = await self._read_body(facts.content_length, receive)
            answer = await self._dispatcher.answer(body)
        except _Disconnected:
            return
        except _TooLarge:
            text = f"A body has at most {self._body_bytes_max} bytes."
            await respond(send, Problem(413, text), _CLOSE)
            return
        except asyncio.CancelledError:
            # The server is stopping and its patience is over.
            await respond(send, Problem(503, "The node is stopping."), _CLOSE)
            return
        if answer is None:
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [_JSON, length]})
        await send({"type": "http.response.body", "body": answer})

    async def _read_body(self, declared: bytes | None, receive: Receive) -> bytes:
        """Read the body; stop at the limit, whether or not its length was declared."""
        limit = self._body_bytes_max
        if declared and (len(declared) > _LENGTH_DIGITS_MAX or int(declared) > limit):
            raise _TooLarge
        chunks = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise _TooLarge
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks) if len(chunks) > 1 else chunk


async def respond(send: Send, problem: Problem, *headers: tuple[bytes, bytes]) -> None:
    """Send an HTTP error as one sentence of plain text."""
    body = problem.text.encode() + b"\n"
    length = (b"content-length", b"%d" % len(body))
    start = {
        "type": "http.response.start",
        "status": problem.status,
        "headers": [_PLAIN, length, *headers],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _is_json(content_type: bytes | None) -> bool:
    if content_type == b"application/json":
        return True
    if content_type is None:
        return False
    return content_type.partition(b";")[0].strip().lower() == b"application/json"

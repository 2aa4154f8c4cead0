"""The ASGI application: the door, the two JSON-RPC edges, and FastAPI for everything else.

The edges stand beside FastAPI's router instead of behind it: a FastAPI route costs as much as the
rest of a small request together (docs/decisions/0003-json-rpc-edge.md).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from .doors import Doors, Problem, read_facts
from .http_edge import HttpEdge, respond
from .websocket_edge import WebSocketEdge

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from .dispatch import Dispatcher
    from .http_edge import Receive, Scope, Send

WEBSOCKET_PATH: Final = "/ws"
_PREFLIGHT_SECONDS: Final = b"600"


class Application:
    """What a server runs."""

    def __init__(
        self,
        dispatcher: Dispatcher[Any],
        *,
        why_not_ready: Callable[[], str | None],
        doors: Doors | None = None,
    ) -> None:
        """Put the parts together; `why_not_ready` returns None when requests can be served."""
        self._why_not_ready = why_not_ready
        self._doors = doors or Doors()
        self._http = HttpEdge(dispatcher)
        self._websocket = WebSocketEdge(dispatcher)

    @cached_property
    def pages(self) -> FastAPI:
        """The FastAPI application, open for further pages; made when it is first needed.

        Importing FastAPI takes as long as all the rest of a start, and a node's first answers need none of it.
        """
        from .pages import create_pages  # noqa: PLC0415

        return create_pages(self._why_not_ready)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection of the ASGI server."""
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "websocket":
            facts = read_facts(scope["headers"])
            problem = self._doors.problem(facts, "1.1")
            if problem is None and scope["path"] != WEBSOCKET_PATH:
                problem = Problem(404, f"The WebSocket is at {WEBSOCKET_PATH}.")
            await self._websocket(scope, problem, receive, send)
        else:
            await self.pages(scope, receive, send)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        facts = read_facts(scope["headers"])
        problem = self._doors.problem(facts, scope["http_version"])
        if problem is not None:
            await respond(send, problem)
            return
        if facts.origin is not None and self._doors.is_listed(facts.origin):
            send = _with_cors(send, facts.origin)
            if scope["method"] == "OPTIONS" and facts.preflight is not None:
                await _answer_preflight(send)
                return
        if scope["path"] == "/":
            await self._http(scope, facts, receive, send)
        else:
            await self.pages(scope, receive, send)


def _with_cors(send: Send, origin: bytes) -> Send:
    headers = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]

    async def send_with_cors(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_cors


async def _answer_preflight(send: Send) -> None:
    headers = [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-allow-headers", b"content-type"),
        (b"access-control-max-age", _PREFLIGHT_SECONDS),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})

"""The few steps of plain ASGI that the HTTP faces of peers share."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Refused(Exception):
    """A request ends with this status and {reason, expected, given}."""

    def __init__(self, status: int, reason: str, expected: str = "", given: str = "") -> None:
        """Say which rule of docs/peers.md was broken."""
        super().__init__(reason)
        self.status = status
        self.document = {"reason": reason, "expected": expected, "given": given}


class Gone(Exception):
    """The other side has hung up before its request was complete."""


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return a request's body; raises Refused 413 above `limit` bytes, and Gone."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Gone
        body += message.get("body", b"")
        if len(body) > limit:
            raise Refused(413, "TOO_LARGE", f"at most {limit} bytes")
        if not message.get("more_body"):
            return bytes(body)


async def send_json(send: Send, status: int, document: object) -> None:
    """Send an answer in JSON."""
    await send_bytes(send, status, json.dumps(document).encode(), b"application/json")


async def send_bytes(send: Send, status: int, body: bytes, content_type: bytes = b"application/octet-stream") -> None:
    """Send an answer with a body of known length; 204 without one."""
    headers = [] if status == 204 else [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""The cacher's HTTP face: a plain ASGI application (docs/peers.md, sections 3 and 4)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from light.errors import ProofRefused
from light.parsing import parse_json

from .asgi import Gone, Receive, Scope, Send
from .cacher import Cacher
from .refused import Refused

HANDSHAKE_BYTES_MAX: Final = 256 * 1024
"""Far more than three documents have."""
_CHUNK: Final = re.compile(r"/chunk/0x([0-9a-f]{64})/(0|[1-9][0-9]{0,15})", re.ASCII)
_RESOURCE: Final = re.compile(r"/(manifest|offer)/0x([0-9a-f]{64})", re.ASCII)
_PAYMENT: Final = b"poolchain-payment"
_BINARY: Final = b"application/octet-stream"
_JSON: Final = b"application/json"


class CacherApp:
    """POST /handshake, GET /chunk, /manifest, /offer and /status."""

    def __init__(self) -> None:
        """Begin without a seller: then the answer is 503."""
        self.cacher: Cacher | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        cacher = self.cacher
        try:
            if cacher is None:
                raise Refused("NOT_READY", "a cacher that is running", "it is starting")  # noqa: TRY301  # one way out
            body, kind = await _answer(cacher, scope, receive)
        except Refused as refused:
            if cacher is not None:
                cacher.desk.count_refusal(refused)
            headers = [(b"retry-after", b"1")] if refused.status == 503 else []
            await _respond(send, refused.status, msgspec.json.encode(refused.to_json()), _JSON, headers)
        except Gone:
            return
        else:
            await _respond(send, 200, body, kind, [])


async def _answer(cacher: Cacher, scope: Scope, receive: Receive) -> tuple[bytes, bytes]:
    """Return the body of an answer and its type; raises Refused."""
    method, path = scope["method"], scope["path"]
    if method == "GET" and (found := _CHUNK.fullmatch(path)):
        payment = next((value for name, value in scope["headers"] if name == _PAYMENT), None)
        text = None if payment is None else payment.decode("latin-1")
        return await cacher.desk.chunk(bytes.fromhex(found[1]), int(found[2]), text), _BINARY
    if method == "GET" and (found := _RESOURCE.fullmatch(path)):
        resource_id = bytes.fromhex(found[2])
        if found[1] == "manifest":
            return cacher.shelf.manifest_json(resource_id), _JSON
        return msgspec.json.encode(cacher.desk.offer(resource_id)), _JSON
    if method == "POST" and path == "/handshake":
        return msgspec.json.encode(await cacher.desk.handshake(await _read_json(scope, receive))), _JSON
    if method == "GET" and path == "/status":
        return msgspec.json.encode(cacher.status()), _JSON
    raise Refused("UNKNOWN_PATH", "POST /handshake or GET /chunk, /manifest, /offer or /status", f"{method} {path}")


async def _read_json(scope: Scope, receive: Receive) -> object:
    """Return the value of a body; raises Refused TOO_LARGE and MALFORMED."""
    length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    if not length.isdigit() or len(length) > 9 or int(length) > HANDSHAKE_BYTES_MAX:
        raise Refused("TOO_LARGE", f"at most {HANDSHAKE_BYTES_MAX} bytes", length.decode("latin-1"))
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        if len(body) > HANDSHAKE_BYTES_MAX:
            raise Refused("TOO_LARGE", f"at most {HANDSHAKE_BYTES_MAX} bytes", "more")
        if not message.get("more_body"):
            break
    try:
        return parse_json(bytes(body))
    except ProofRefused as error:
        raise Refused("MALFORMED", "JSON, no member twice", error) from error


async def _respond(send: Send, status: int, body: bytes, kind: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = str(len(body)).encode()
    fixed = [(b"content-type", kind), (b"content-length", length), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})

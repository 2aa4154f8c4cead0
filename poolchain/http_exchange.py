"""One request and its answer: the ASGI side of a connection, with as little as possible per request."""

from __future__ import annotations

import asyncio
import http
import logging
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Headers = list[tuple[bytes, bytes]]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus
}
_WITHOUT_BODY: Final = (204, 304)
_JOINED_BYTES_MAX: Final = 16 * 1024
_BUFFERED_BYTES_MAX: Final = 64 * 1024
_FAILURE: Final = b"Internal Server Error"
_FAILURE_HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"%d" % len(_FAILURE)),
    (b"connection", b"close"),
)
_log = logging.getLogger("uvicorn.error")


class Line(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    is_writable: bool

    @property
    def common_headers(self) -> bytes:
        """Header lines that every answer has."""

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written."""

    def wants_body(self, exchange: Exchange) -> None:
        """Go on reading, if nothing else is in the way."""

    def on_answered(self, exchange: Exchange) -> None:
        """The answer is complete."""


class Exchange:
    """A request as it comes in and its answer as it goes out.

    The head of an answer is held back for its body: together they cost one system call, and a
    simple client gets everything with its first read.
    """

    __slots__ = (
        "_chunked", "_chunks", "_chunks_bytes", "_expects_continue", "_has_told_end", "_head", "_left_bytes",
        "_line", "_waiter", "has_answered", "has_begun_answer", "has_whole_request", "is_gone", "keeps_alive",
        "scope", "task",
    )  # fmt: skip

    def __init__(self, line: Line, scope: dict[str, Any], *, keeps_alive: bool, expects_continue: bool) -> None:
        self._line = line
        self.scope = scope
        self.keeps_alive = keeps_alive
        self._expects_continue = expects_continue
        self.has_whole_request = False
        self.has_begun_answer = False
        self.has_answered = False
        self.is_gone = False
        self.task: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._chunks: list[bytes] = []
        self._chunks_bytes = 0
        self._has_told_end = False
        self._head: bytes | None = None
        self._chunked = False
        self._left_bytes: int | None = None  # None: the body ends with chunks, or with the connection

    def feed(self, body: bytes) -> bool:
        """Take a piece of the body; tell whether the next should wait until this one is read."""
        self._chunks.append(body)
        self._chunks_bytes += len(body)
        self._wake()
        return self._chunks_bytes > _BUFFERED_BYTES_MAX

    def finish(self) -> None:
        """The request is complete."""
        self.has_whole_request = True
        self._wake()

    def abandon(self) -> None:
        """Stop working: nobody will read an answer. Without this a peer could leave any number of calls behind."""
        self.is_gone = True
        self._wake()
        if self.task is not None:
            self.task.cancel()

    async def run(self, app: Any) -> None:
        """Have `app` answer; a failure of it is logged and, if nothing was said yet, answered with 500."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError as error:
            if not self.is_gone:
                await self._fail("Request cancelled in the ASGI application", error)
        except BaseException as error:  # noqa: BLE001 - a failing request must not take the server along
            await self._fail("Exception in ASGI application", error)
        else:
            if not self.has_answered and not self.is_gone:
                await self._fail("ASGI callable returned without completing response.", None)
        finally:
            self.task = None

    async def _fail(self, text: str, error: BaseException | None) -> None:
        _log.error(text, exc_info=error)
        if self.has_begun_answer:
            self._line.transport.abort()
            return
        self._head = None
        await self.send({"type": "http.response.start", "status": 500, "headers": _FAILURE_HEADERS})
        await self.send({"type": "http.response.body", "body": _FAILURE})

    async def receive(self) -> Message:
        """ASGI: return the next piece of the request, or that there will be none."""
        if self._expects_continue:
            self._expects_continue = False
            if not self._chunks and not self.has_whole_request and not self.has_begun_answer:
                self._line.transport.write(_CONTINUE)
        while not self._has_news():
            self._line.wants_body(self)
            self._waiter = self._line.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self.is_gone or self.has_answered:
            return {"type": "http.disconnect"}
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._chunks_bytes = 0
        self._has_told_end = self.has_whole_request
        return {"type": "http.request", "body": body, "more_body": not self.has_whole_request}

    def _has_news(self) -> bool:
        if self._chunks or self.is_gone or self.has_answered:
            return True
        return self.has_whole_request and not self._has_told_end

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def send(self, message: Message) -> None:
        """ASGI: take the head or a piece of the body of the answer."""
        line = self._line
        if not line.is_writable and not self.is_gone:
            await line.drain()
        if self.is_gone:
            return
        kind = message["type"]
        if kind == "http.response.body" and not self.has_answered:
            if self._head is None and not self.has_begun_answer:
                raise RuntimeError("a body without a head")
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == "http.response.start" and self._head is None and not self.has_begun_answer:
            self._head = self._make_head(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"unexpected {kind}")

    def _make_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        lines = [_STATUS_LINES[status], self._line.common_headers]
        length = None
        says_close = False
        for name, value in headers:
            if b"\n" in value or b"\r" in value or b"\0" in value or b"\n" in name or b":" in name:
                raise RuntimeError("a header with a line break")
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and b"close" in value.lower():
                self.keeps_alive = False
                says_close = True
            lines.append(b"%b: %b\r\n" % (name, value))
        if not self.keeps_alive and not says_close:
            lines.append(b"connection: close\r\n")
        self._left_bytes = length
        may_have_body = status not in _WITHOUT_BODY and self.scope["method"] != "HEAD"
        if length is None and may_have_body and self.scope["http_version"] == "1.1":
            self._chunked = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        return b"".join(lines)

    def _send_body(self, body: bytes, *, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + (b"" if more else b"0\r\n\r\n")
        elif self._left_bytes is not None:
            self._left_bytes -= len(body)
            if self._left_bytes < 0 or (self._left_bytes and not more):
                raise RuntimeError("the body has not the length that its head says")
        head, self._head = self._head, None
        self.has_begun_answer = True
        self._write(head, body)
        if not more:
            self.has_answered = True
            self._wake()
            self._line.on_answered(self)

    def _write(self, head: bytes | None, body: bytes) -> None:
        transport = self._line.transport
        if head is None:
            if body:
                transport.write(body)
        elif len(body) <= _JOINED_BYTES_MAX:
            transport.write(head + body)
        else:  # not joined: that would copy the body
            transport.writelines((head, body))

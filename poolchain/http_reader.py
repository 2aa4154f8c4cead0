"""Reads requests with httptools' parser, and is stricter than it where two readers could understand two things.

The parser knows no limit for a head or for what is around the pieces of a body: both are counted here.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import httptools

if TYPE_CHECKING:
    from .http_exchange import Headers

# The parser takes whole requests out of what it is given, however many: so it is given little at once.
SLICE_BYTES: Final = 8 * 1024
_VERSIONS: Final = ("1.1", "1.0")
_SINGULAR: Final = frozenset((b"host", b"transfer-encoding", b"expect", b"upgrade", b"content-length"))


class BadRequest(Exception):
    """What came in is no request, or one that we do not take."""


class Phase(enum.Enum):
    """How far the request that is coming in has come."""

    NOTHING = 0
    HEAD = 1
    BODY = 2


class Head(NamedTuple):
    """The head of a request; names of headers are in lower case."""

    method: bytes
    target: bytes
    version: str
    headers: Headers
    keeps_alive: bool
    expects_continue: bool

    def __bytes__(self) -> bytes:
        """Return the head as it stands on the line."""
        lines = [b"%b %b HTTP/%b\r\n" % (self.method, self.target, self.version.encode())]
        lines += (b"%b: %b\r\n" % header for header in self.headers)
        return b"".join((*lines, b"\r\n"))


class Listener(Protocol):
    """Who is told what was read."""

    def on_begin(self) -> None:
        """A request begins."""

    def on_head(self, head: Head) -> None:
        """The head of a request is complete."""

    def on_piece(self, body: bytes) -> None:
        """A piece of its body."""

    def on_end(self) -> None:
        """The request is complete."""


class RequestReader:
    """Takes the bytes of one connection and tells a listener of the requests in them."""

    def __init__(self, listener: Listener, header_bytes_max: int) -> None:
        self.phase = Phase.NOTHING
        self._listener = listener
        self._header_bytes_max = header_bytes_max
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: Headers = []
        self._singular: dict[bytes, bytes] = {}
        self._upgrade: Head | None = None
        self._is_handshake = False
        self._bytes_around = 0  # since the phase began, without the body

    def read(self, data: bytes | memoryview) -> Head | None:
        """Read at most SLICE_BYTES; return the head with which the peer asks for a WebSocket, if it does.

        Raises BadRequest, after which nothing more can be read.
        """
        if self.phase is Phase.NOTHING and data[0] in b"\r\n":  # the parser would skip them for ever
            raise BadRequest("an empty line")
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                raise BadRequest(str(error)) from None
            if self._is_handshake:
                if data:
                    raise BadRequest("data before the answer to the handshake")
                return self._upgrade
            if self._upgrade is not None:
                self._read_without_upgrade(self._upgrade)
        if self.phase is not Phase.NOTHING:
            self._bytes_around += len(data)
            if self._bytes_around > self._header_bytes_max:
                raise BadRequest("too large")
        return None

    def _read_without_upgrade(self, head: Head) -> None:
        """Read a head once more, without the wish for another protocol.

        The parser would take such a request for one without a body, and its body for the next request.
        """
        self._upgrade = None
        headers = [header for header in head.headers if header[0] != b"upgrade"]
        self._parser = httptools.HttpRequestParser(self)
        try:
            self._parser.feed_data(bytes(head._replace(headers=headers)))
        except httptools.HttpParserError as error:
            raise BadRequest(str(error)) from None

    # What the parser calls; an exception ends its work with an HttpParserError.

    def on_message_begin(self) -> None:
        """A request begins."""
        self.phase = Phase.HEAD
        self._target = b""
        self._headers = []
        self._singular = {}
        self._bytes_around = 0
        self._listener.on_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or one after the last chunk, which nobody wants."""
        if self.phase is not Phase.HEAD:
            return
        name = name.lower()
        value = value.strip(b" \t")
        if name in _SINGULAR:
            if name in self._singular:
                raise BadRequest("a header line twice")
            self._singular[name] = value
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete."""
        parser, singular = self._parser, self._singular
        method, version = parser.get_method(), parser.get_http_version()
        self._check_head(method, version)
        self.phase = Phase.BODY
        self._bytes_around = 0
        head = Head(
            method,
            self._target,
            version,
            self._headers,
            version == "1.1" and parser.should_keep_alive(),
            b"expect" in singular and singular[b"expect"].lower() == b"100-continue",
        )
        if parser.should_upgrade():
            self._upgrade = head
            self._is_handshake = singular[b"upgrade"].lower() == b"websocket" and not (
                b"content-length" in singular or b"transfer-encoding" in singular
            )
        else:
            self._listener.on_head(head)

    def _check_head(self, method: bytes, version: str) -> None:
        singular = self._singular
        if b"transfer-encoding" in singular and (
            singular[b"transfer-encoding"].lower() != b"chunked" or b"content-length" in singular or version != "1.1"
        ):
            raise BadRequest("the end of the body is not clear")
        if version not in _VERSIONS:
            raise BadRequest("another version")
        if b"host" not in singular and version == "1.1":
            raise BadRequest("no Host")
        if not self._target.isascii() or method == b"CONNECT":
            raise BadRequest("a target that is none here")
        if self._bytes_around + SLICE_BYTES > self._header_bytes_max:
            size = len(self._target) + sum(len(name) + len(value) for name, value in self._headers)
            if size > self._header_bytes_max:
                raise BadRequest("too large")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._bytes_around -= len(body)
        self._listener.on_piece(body)

    def on_message_complete(self) -> None:
        """The request is complete."""
        self.phase = Phase.NOTHING
        if self._upgrade is None:
            self._listener.on_end()

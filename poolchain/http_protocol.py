"""HTTP/1.1 on httptools' parser, with deadlines, a connection limit and a soft landing.

uvicorn's own protocols wait for ever for the rest of a request, for a peer that does not read and,
having closed, for its last bytes to be taken (Kludex/uvicorn#157). Here one task per server looks at
every connection a few times a second and ends those; a request pays for it with two readings of a clock.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.utils import get_local_addr, get_remote_addr
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .http_exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uvicorn.config import Config
    from uvicorn.server import ServerState

_CLOSES: Final = b"Connection: close\r\n\r\n"
_NO_BODY: Final = b"Content-Length: 0\r\n" + _CLOSES
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
_REQUEST_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\n" + _NO_BODY
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n" + _NO_BODY
_NOT_HTTP: Final = b"Invalid HTTP request received."
_LINGER_SECONDS: Final = 2.0
_GIVES_WAY_AFTER_SECONDS: Final = 1.0
_TICK_SECONDS_MAX: Final = 1.0
_TICKS_PER_DEADLINE: Final = 8
# The parser takes whole requests out of what it is given, however many: so it is given little at once.
_SLICE_BYTES: Final = 8 * 1024
_SINGULAR: Final = frozenset((b"host", b"transfer-encoding", b"expect", b"upgrade", b"content-length"))


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How long and how much a connection may ask for.

    `request_seconds` is for a complete request, headers and body; `idle_seconds` for a connection
    that has had an answer and asks nothing; `stall_seconds` for a peer that takes nothing of an
    answer; `stop_seconds` for requests under way when the node stops. Beyond `connections_max`
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


class _BadRequest(Exception):
    """A request that the parser takes and we do not; httptools passes it on as an error of its own."""


class _Phase(enum.Enum):
    """How far the request that is coming in has come."""

    NOTHING = 0
    HEAD = 1
    BODY = 2


class _StallWatch:
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


class GuardedProtocol(asyncio.Protocol):
    """One HTTP connection that is held to the limits; uvicorn's server makes them."""

    transport: asyncio.Transport

    def __init__(
        self,
        limits: HttpLimits,
        *,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Take `limits` besides what uvicorn hands to every protocol."""
        self.limits = limits
        self.loop = _loop or asyncio.get_running_loop()
        self.stall_watch = _StallWatch()
        self._config = config
        self._app = config.loaded_app
        self._app_state = app_state
        self._server = server_state
        self._parser = httptools.HttpRequestParser(self)
        # Since when the present phase lasts: waiting for a request, idling, or lingering.
        self.since = self.loop.time()
        self.is_idle = False
        self.is_lingering = False
        self.is_deaf = False
        self.has_said_all = False
        self.is_writable = True
        self._drained: asyncio.Future[None] | None = None
        self._base_scope: dict[str, Any] = {}
        self._common_from: Any = None
        self._common_headers = b""
        # The request that is coming in.
        self._phase = _Phase.NOTHING
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._singular: dict[bytes, bytes] = {}
        self._silent_bytes = 0
        # The one that is being answered or was last, the last that came in, and those between them.
        self._current: Exchange | None = None
        self._newest: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._unparsed = b""
        self._is_broken = False

    @property
    def connections(self) -> set[Any]:
        """All connections of the server."""
        return self._server.connections

    @property
    def common_headers(self) -> bytes:
        """Header lines of every answer: uvicorn renews the date once a second."""
        headers = self._server.default_headers
        if headers is not self._common_from:
            self._common_from = headers
            self._common_headers = b"".join(b"%b: %b\r\n" % header for header in headers)
        return self._common_headers

    # The transport's side.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or make room, or refuse."""
        self.transport = transport
        self.connections.add(self)
        self._base_scope = {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "scheme": "http",
            "root_path": "",
        }
        if len(self.connections) <= self.limits.connections_max:
            return
        lingering = sum(getattr(one, "is_lingering", False) for one in self.connections)
        surplus = len(self.connections) - lingering - self.limits.connections_max
        if surplus <= 0 or self._make_room():
            return
        if lingering >= self.limits.connections_max:
            self.transport.abort()
        else:
            self.transport.write(_UNAVAILABLE)
            self.linger()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Stop working for a peer that has left: it could leave any number of calls behind."""
        self.connections.discard(self)
        self.is_deaf = True
        self._waiting.clear()
        self._unparsed = b""
        if self._is_answering() and self._current is not None:
            self._current.abandon()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request; when all is said they lead nowhere."""
        if self.is_deaf:
            return
        if self._waiting or self._unparsed:
            self._unparsed += data
        elif self._phase is _Phase.NOTHING and data[0] in b"\r\n":  # the parser would skip them for ever
            self._break_off()
        else:
            self._parse(data)

    def eof_received(self) -> bool | None:
        """Still answer a peer that has said all it wants to say and shut down its side."""
        current = self._current
        if not self._is_answering() or current is None or not current.has_whole_request:
            return None
        self.has_said_all = True
        if self._waiting and not self._waiting[-1].has_whole_request:
            self._waiting.pop()
        if not self._is_broken and not self._unparsed:
            (self._waiting[-1] if self._waiting else current).keeps_alive = False
            self.is_deaf = True
        self.since = self.loop.time()
        return True

    def pause_writing(self) -> None:
        """Called by the transport when much waits to be taken."""
        self.is_writable = False

    def resume_writing(self) -> None:
        """Called by the transport when little is left."""
        self.is_writable = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    async def drain(self) -> None:
        """Wait until the peer has taken most of what was written, or has left."""
        if self._drained is None:
            self._drained = self.loop.create_future()
        await asyncio.shield(self._drained)

    # The parser's side.

    def _parse(self, data: bytes) -> None:
        if len(data) <= _SLICE_BYTES:
            self._parse_slice(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _SLICE_BYTES):
            if self.is_deaf:
                return
            if self._waiting:  # one step at a time: the rest is parsed when these are answered
                self._unparsed = bytes(view[start:])
                return
            self._parse_slice(view[start : start + _SLICE_BYTES])

    def _parse_slice(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._leave_or_stay(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError:
            newest = self._newest
            if self._phase is _Phase.NOTHING and newest is not None and not newest.keeps_alive:
                self.is_deaf = True  # it promised to say no more
            else:
                self._break_off()
            return
        if self._phase is not _Phase.NOTHING:
            self._silent_bytes += len(data)
            if self._silent_bytes > self.limits.header_bytes_max:
                self._break_off()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._phase = _Phase.HEAD
        self._url = b""
        self._headers = []
        self._singular = {}
        self._silent_bytes = 0
        if self.is_idle:
            self.is_idle = False
            self.since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """A piece of the request target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or one after the last chunk, which nobody wants."""
        if self._phase is not _Phase.HEAD:
            return
        name = name.lower()
        value = value.strip(b" \t")
        if name in _SINGULAR:
            if name in self._singular:
                raise _BadRequest(name)
            self._singular[name] = value
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete: begin to answer, in turn."""
        self._check_head()
        version = self._parser.get_http_version()
        if self._is_websocket():
            return
        path, _, query = self._url.partition(b"?")
        text = path.decode("ascii")
        scope = {
            **self._base_scope,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": self._headers,
        }
        exchange = Exchange(
            self,
            scope,
            keeps_alive=version == "1.1" and self._parser.should_keep_alive(),
            expects_continue=self._singular.get(b"expect", b"").lower() == b"100-continue",
        )
        self._phase = _Phase.BODY
        self._silent_bytes = 0
        self._newest = exchange
        if self._is_answering():
            self._waiting.append(exchange)
            self._pause_reading()
        else:
            self._start(exchange)

    def _check_head(self) -> None:
        """Refuse what two readers could understand in two ways, and what is too large. Raises _BadRequest."""
        singular = self._singular
        coding = singular.get(b"transfer-encoding")
        if coding is not None and (
            coding.lower() != b"chunked" or b"content-length" in singular or self._parser.get_http_version() != "1.1"
        ):
            raise _BadRequest("framing")
        if b"host" not in singular and self._parser.get_http_version() == "1.1":
            raise _BadRequest("host")
        if not self._url.isascii() or self._parser.get_method() == b"CONNECT":
            raise _BadRequest("target")
        if self._silent_bytes + _SLICE_BYTES > self.limits.header_bytes_max:
            size = len(self._url) + sum(len(name) + len(value) for name, value in self._headers)
            if size > self.limits.header_bytes_max:
                raise _BadRequest("size")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._silent_bytes = 0
        newest = self._newest
        if newest is not None and not newest.has_answered and newest.feed(body):
            self._pause_reading()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._phase = _Phase.NOTHING
        if self._newest is None or self._is_websocket():
            return
        self._newest.finish()
        if self._newest.has_answered:
            self.is_idle = True
            self.since = self.loop.time()

    def _is_websocket(self) -> bool:
        if self._singular.get(b"upgrade", b"").lower() != b"websocket" or not self._parser.should_upgrade():
            return False
        return not (b"content-length" in self._singular or b"transfer-encoding" in self._singular)

    def _leave_or_stay(self, rest: bytes | memoryview) -> None:
        """Hand the connection to a WebSocket; a peer that wants another protocol goes on with this one."""
        if not self._is_websocket():
            if rest:
                self._parse_slice(rest)
        elif self._is_answering():
            self._break_off()
        else:
            self._become_websocket()

    def _become_websocket(self) -> None:
        self.is_deaf = True
        self.connections.discard(self)
        lines = [self._parser.get_method(), b" ", self._url, b" HTTP/1.1\r\n"]
        for name, value in self._headers:
            lines += (name, b": ", value, b"\r\n")
        lines.append(b"\r\n")
        protocol = GuardedWebSocket(config=self._config, server_state=self._server, app_state=self._app_state)
        protocol.connection_made(self.transport)
        protocol.data_received(b"".join(lines))
        self.transport.set_protocol(protocol)

    # The answers' side.

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        task = self.loop.create_task(exchange.run(self._app))
        exchange.task = task
        tasks = self._server.tasks
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _is_answering(self) -> bool:
        return self._current is not None and not self._current.has_answered

    def wants_body(self, exchange: Exchange) -> None:
        """Go on reading, unless other requests have come in before its body is read."""
        if exchange is self._newest:
            self._resume_reading()

    def on_answered(self, exchange: Exchange) -> None:
        """Start the clock for the next request, or the next answer."""
        self._server.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keeps_alive:
            self._waiting.clear()
            self._close()
        elif self._waiting:
            self._start(self._waiting.popleft())
            if not self._waiting:
                self._go_on_parsing()
        elif self._is_broken:
            self._say_bad_request()
        else:
            if self._phase is not _Phase.BODY:
                self.is_idle = self._phase is _Phase.NOTHING
                self.since = self.loop.time()
            self._go_on_parsing()

    def _go_on_parsing(self) -> None:
        unparsed, self._unparsed = self._unparsed, b""
        if unparsed:
            self._parse(unparsed)
        if not self._waiting:
            self._resume_reading()

    def _pause_reading(self) -> None:
        if not self.transport.is_closing() and not self.has_said_all:
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self.transport.is_closing() and not self.has_said_all:
            self.transport.resume_reading()

    # Endings.

    def _break_off(self) -> None:
        """Take nothing more of what is not HTTP, and say so, when its turn has come."""
        self.is_deaf = True
        self._unparsed = b""
        newest = self._newest
        if self._phase is _Phase.BODY and newest is not None:
            if self._waiting:
                self._waiting.pop()
            elif newest.has_answered:
                self.linger()
                return
            elif newest.has_begun_answer:
                self.transport.abort()  # in the middle of an answer there is nothing left to say
                return
            else:
                newest.abandon()
                self._say_bad_request()
                return
        if self._is_answering():
            self._is_broken = True
        else:
            self._say_bad_request()

    def _say_bad_request(self) -> None:
        length = b"Content-Length: %d\r\n" % len(_NOT_HTTP)
        self.transport.write(_BAD_REQUEST + length + _CLOSES + _NOT_HTTP)
        self.linger()

    def _close(self) -> None:
        """Close, softly if the peer is in the middle of a request."""
        if self._phase is _Phase.BODY:
            self.linger()
        else:
            self.is_deaf = True
            self.transport.close()

    def shutdown(self) -> None:
        """Called by uvicorn: close when nothing is under way, else after the answer."""
        if self._current is not None and self._is_answering():
            self._current.keeps_alive = False
        else:
            self.transport.close()

    def look_after(self, now: float) -> None:
        """End this connection if its phase has lasted too long."""
        self.stall_watch.abort_if_stalled(self.transport, now, self.limits.stall_seconds)
        if self.is_lingering:
            if now - self.since > _LINGER_SECONDS:
                self.transport.abort()
        elif self.awaits_request():
            limits = self.limits
            if now - self.since > (limits.idle_seconds if self.is_idle else limits.request_seconds):
                self._time_out()

    def awaits_request(self) -> bool:
        """Whether it is the peer's turn: to begin or to finish a request."""
        if self.transport.is_closing():
            return False
        return not self._is_answering() or (self._phase is _Phase.BODY and self._newest is self._current)

    def _time_out(self) -> None:
        if self._phase is _Phase.NOTHING:
            self.transport.close()  # it said nothing, so there is nothing to answer
            return
        if self._phase is _Phase.HEAD:
            self.transport.write(_REQUEST_TIMEOUT)
        elif self._current is not None and not self._current.has_begun_answer:
            self._current.abandon()
            self.transport.write(_REQUEST_TIMEOUT)
        self.linger()

    def _make_room(self) -> bool:
        """End the connection that has kept us waiting longest, half-open ones first.

        One that has said all it wants to say may wait for its answer or, more likely, have left.
        """
        waiting = [
            connection
            for connection in self.connections
            if isinstance(connection, GuardedProtocol)
            and not connection.is_lingering
            and (connection.has_said_all or connection.awaits_request())
            and self.since - connection.since > _GIVES_WAY_AFTER_SECONDS
        ]
        if not waiting:
            return False
        slowest = min(waiting, key=lambda connection: (connection.is_idle, connection.since))
        slowest.transport.abort()
        return True

    def linger(self) -> None:
        """Say that we are done and throw away, for two seconds, what the peer still sends.

        Closing a socket with unread bytes resets it, and the peer would never read our answer.
        """
        if self.is_lingering:
            return
        self.is_deaf = True
        self.is_lingering = True
        self.since = self.loop.time()
        if self.has_said_all:
            self.transport.close()
            return
        self._resume_reading()
        try:
            self.transport.write_eof()
        except (OSError, RuntimeError):  # it has left already
            self.transport.abort()


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket; `look_after` cuts it off when its peer does not read."""

    def __init__(self, *, config: Config, server_state: ServerState, app_state: dict[str, Any]) -> None:
        """Take what uvicorn hands to every protocol."""
        super().__init__(config=config, server_state=server_state, app_state=app_state)
        self.stall_watch = _StallWatch()

    async def send(self, message: Any) -> None:
        """Send an event of the application, remembering that a refusal ends the handshake too.

        uvicorn forgets that and would log each refused handshake as an error of the application.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True


async def look_after(connections: Iterable[Any], limits: HttpLimits) -> None:
    """Hold `connections`, uvicorn's set, to the limits until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(limits.tick_seconds)
        now = loop.time()
        for connection in list(connections):
            if isinstance(connection, GuardedProtocol):
                connection.look_after(now)
            else:
                connection.stall_watch.abort_if_stalled(connection.transport, now, limits.stall_seconds)

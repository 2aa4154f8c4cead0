"""HTTP/1.1 connections with deadlines, a connection limit and a soft landing.

Why not uvicorn's HttpToolsProtocol: it waits for ever for the rest of a request, for a peer that does not read and,
having closed, for its last bytes to be taken (Kludex/uvicorn#157); it takes data after `Connection: close`
for a further request (lenient_data_after_close), sends a 400 ahead of answers that are due, queues pipelined requests
without bound, and switches to a WebSocket in the middle of an answer. Each has a test in
tests/functional/test_slow_clients.py or test_http_smuggling.py.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from uvicorn.protocols.utils import get_local_addr, get_remote_addr

from .http_exchange import Exchange
from .http_limits import StallWatch, make_room
from .http_reader import SLICE_BYTES, BadRequest, Phase, RequestReader
from .http_websocket import GuardedWebSocket

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

    from .http_limits import HttpLimits
    from .http_reader import Head

_NO_BODY: Final = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
_REQUEST_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\n" + _NO_BODY
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n" + _NO_BODY
_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 30\r\n"
    b"Connection: close\r\n\r\nInvalid HTTP request received."
)
_LINGER_SECONDS: Final = 2.0


class GuardedProtocol(asyncio.Protocol):
    """One HTTP connection that is held to the limits; uvicorn's server makes them.

    One request is answered at a time. Those that come in meanwhile wait, and while any waits nothing is read.
    """

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
        self.loop = _loop or asyncio.get_running_loop()
        # Since when the present phase lasts: waiting for a request, idling, or lingering.
        self.since = self.loop.time()
        self.is_idle = False
        self.is_lingering = False
        self.is_writable = True
        self._limits = limits
        self._config = config
        self._app = config.loaded_app
        self._app_state = app_state
        self._server = server_state
        self._reader = RequestReader(self, limits.header_bytes_max)
        self._stall_watch = StallWatch()
        self._drained: asyncio.Future[None] | None = None
        self._base_scope: dict[str, Any] = {}
        self._common_from: Any = None
        self._common_headers = b""
        # The request that is being answered or was last, the last that came in, and those between them.
        self._current: Exchange | None = None
        self._newest: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._unparsed = b""
        self._is_deaf = False
        self._is_broken = False
        self._has_said_all = False

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
        self._base_scope = {
            "type": "http",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.3"},
            "server": get_local_addr(transport),
            "client": get_remote_addr(transport),
            "scheme": "http",
            "root_path": "",
        }
        connections: set[Any] = self._server.connections
        limit = self._limits.connections_max
        connections.add(self)
        if len(connections) <= limit:
            return
        lingering = sum(one.is_lingering for one in connections)
        if len(connections) - lingering <= limit or make_room(connections, self.since):
            return
        if lingering >= limit:
            self.transport.abort()
        else:
            self.transport.write(_UNAVAILABLE)
            self._linger()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Stop working for a peer that has left: it could leave any number of calls behind."""
        self._server.connections.discard(self)
        self._is_deaf = True
        self._waiting.clear()
        self._unparsed = b""
        if self._current is not None and not self._current.has_answered:
            self._current.abandon()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Take bytes of requests, unless they lead nowhere."""
        if self._is_deaf:
            return
        if self._waiting or self._unparsed:
            self._unparsed += data
        else:
            self._parse(data)

    def eof_received(self) -> bool:
        """Still answer a peer that has said all it wants to say and shut down its side."""
        self._has_said_all = True
        self.since = self.loop.time()
        return self._has_work()

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

    # The reader's side.

    def _parse(self, data: bytes) -> None:
        if len(data) <= SLICE_BYTES:
            self._parse_slice(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), SLICE_BYTES):
            if self._is_deaf:
                return
            if self._waiting:  # the rest is parsed when these are answered
                self._unparsed = bytes(view[start:])
                return
            self._parse_slice(view[start : start + SLICE_BYTES])

    def _parse_slice(self, data: bytes | memoryview) -> None:
        try:
            handshake = self._reader.read(data)
        except BadRequest:
            newest = self._newest
            if self._reader.phase is Phase.NOTHING and newest is not None and not newest.keeps_alive:
                self._is_deaf = True  # it promised to say no more
            else:
                self._break_off()
            return
        if handshake is None:
            return
        if self._is_answering():
            self._break_off()
            return
        self._is_deaf = True
        self._server.connections.discard(self)
        socket = GuardedWebSocket(config=self._config, server_state=self._server, app_state=self._app_state)
        socket.begin(self.transport, handshake)

    def on_begin(self) -> None:
        """A request begins, and the time for it."""
        if self.is_idle:
            self.is_idle = False
            self.since = self.loop.time()

    def on_head(self, head: Head) -> None:
        """The head is complete: begin to answer, in turn."""
        path, _, query = head.target.partition(b"?")
        text = path.decode("ascii")
        scope = {
            **self._base_scope,
            "http_version": head.version,
            "method": head.method.decode("ascii"),
            "path": unquote(text) if "%" in text else text,
            "raw_path": path,
            "query_string": query,
            "headers": head.headers,
        }
        exchange = Exchange(self, scope, keeps_alive=head.keeps_alive, expects_continue=head.expects_continue)
        self._newest = exchange
        if self._is_answering():
            self._waiting.append(exchange)
            self._pause_reading()
        else:
            self._start(exchange)

    def on_piece(self, body: bytes) -> None:
        """A piece of the body: beyond some, the next waits until these are read."""
        newest = self._newest
        if newest is not None and not newest.has_answered and newest.feed(body):
            self._pause_reading()

    def on_end(self) -> None:
        """The request is complete."""
        newest = self._newest
        if newest is not None:
            newest.finish()
            if newest.has_answered:
                self.is_idle = True
                self.since = self.loop.time()

    def _pause_reading(self) -> None:
        if not self.transport.is_closing() and not self._has_said_all:
            self.transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self.transport.is_closing() and not self._has_said_all:
            self.transport.resume_reading()

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

    def _has_work(self) -> bool:
        """Whether there is something to do though the peer has shut down its side."""
        return self._current is not None and self._current.has_whole_request and not self._current.has_answered

    def wants_body(self, exchange: Exchange) -> None:
        """Go on reading, unless other requests have come in before its body is read."""
        if exchange is self._newest:
            self._resume_reading()

    def on_answered(self, exchange: Exchange) -> None:
        """Go on with the next answer, or give the peer time for its next request."""
        self._server.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keeps_alive:
            self._close()
            return
        if self._waiting:
            self._start(self._waiting.popleft())
            self.since = self.loop.time()
        elif self._is_broken:
            self._say_bad_request()
            return
        elif self._reader.phase is not Phase.BODY:
            self.is_idle = self._reader.phase is Phase.NOTHING
            self.since = self.loop.time()
        if not self._waiting:
            self._go_on_reading()

    def _go_on_reading(self) -> None:
        unparsed, self._unparsed = self._unparsed, b""
        if unparsed:
            self._parse(unparsed)
        if not self._waiting:
            self._resume_reading()
        if self._has_said_all and not self._has_work() and not self._is_deaf:
            self.transport.close()

    # Endings.

    def _break_off(self) -> None:
        """Take nothing more of what is not HTTP, and say so, when its turn has come."""
        self._is_deaf = True
        self._unparsed = b""
        newest = self._newest
        if self._reader.phase is Phase.BODY and newest is not None and newest is not self._current:
            self._waiting.pop()
        elif self._reader.phase is Phase.BODY and newest is not None and not newest.has_answered:
            if newest.has_begun_answer:
                self.transport.abort()  # in the middle of an answer there is nothing left to say
                return
            newest.abandon()
            self._say_bad_request()
            return
        if self._is_answering():
            self._is_broken = True
        elif self._reader.phase is Phase.BODY:
            self._linger()
        else:
            self._say_bad_request()

    def _say_bad_request(self) -> None:
        self.transport.write(_BAD_REQUEST)
        self._linger()

    def _close(self) -> None:
        """Close, softly if the peer has said or is about to say more than was answered."""
        if self._reader.phase is Phase.NOTHING and not self._is_deaf and not self._waiting:
            self._is_deaf = True
            self.transport.close()
        else:
            self._waiting.clear()
            self._linger()

    def _linger(self) -> None:
        """Say that we are done and throw away, for two seconds, what the peer still sends.

        Closing a socket with unread bytes resets it, and the peer would never read our answer.
        """
        if self.is_lingering:
            return
        self._is_deaf = True
        self._unparsed = b""
        self.is_lingering = True
        self.since = self.loop.time()
        if self._has_said_all:
            self.transport.close()
            return
        self._resume_reading()
        try:
            self.transport.write_eof()
        except (OSError, RuntimeError):  # it has left already
            self.transport.abort()

    def shutdown(self) -> None:
        """Called by uvicorn: close when nothing is under way, else after the answer."""
        if self._current is not None and self._is_answering():
            self._current.keeps_alive = False
        else:
            self.transport.close()

    def look_after(self, now: float, limits: HttpLimits) -> None:
        """End this connection if its phase has lasted too long."""
        self._stall_watch.abort_if_stalled(self.transport, now, limits.stall_seconds)
        if self.is_lingering:
            if now - self.since > _LINGER_SECONDS:
                self.transport.abort()
        elif self._awaits_request() and now - self.since > (
            limits.idle_seconds if self.is_idle else limits.request_seconds
        ):
            self._time_out()

    def _awaits_request(self) -> bool:
        """Whether it is the peer's turn: to begin or to finish a request."""
        if self.transport.is_closing():
            return False
        return not self._is_answering() or (self._reader.phase is Phase.BODY and self._newest is self._current)

    def may_give_way(self) -> bool:
        """Whether others may have its place.

        One that has said all it wants to say may wait for its answer or, more likely, have left.
        """
        return not self.is_lingering and (self._has_said_all or self._awaits_request())

    def _time_out(self) -> None:
        current = self._current
        if self._reader.phase is Phase.NOTHING:
            self.transport.close()  # it said nothing, so there is nothing to answer
            return
        if self._reader.phase is Phase.HEAD:
            self.transport.write(_REQUEST_TIMEOUT)
        elif current is not None and not current.has_begun_answer:
            current.abandon()
            self.transport.write(_REQUEST_TIMEOUT)
        self._linger()

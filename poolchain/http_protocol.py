"""uvicorn's h11 protocol with what it lacks: deadlines, a connection limit and a soft landing.

uvicorn waits for ever for the rest of a request, for a peer that does not read and, having closed,
for its last bytes to be taken (Kludex/uvicorn#157). Here one task per server looks at every
connection a few times a second and ends those; a request pays for it with two readings of a clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from uvicorn.config import Config
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle
    from uvicorn.server import ServerState

_FRAMINGS: Final = (b"content-length", b"transfer-encoding")
_HEAD: Final = b"HTTP/1.1 "
_INTERIM_HEAD: Final = b"HTTP/1.1 1"
_NO_BODY: Final = b"Content-Length: 0\r\nConnection: close\r\n\r\n"
_REQUEST_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\n" + _NO_BODY
_UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n" + _NO_BODY
_LINGER_SECONDS: Final = 2.0
_GIVES_WAY_AFTER_SECONDS: Final = 1.0
_TICK_SECONDS_MAX: Final = 1.0
_TICKS_PER_DEADLINE: Final = 8


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


class _StrictConnection(h11.Connection):
    """h11, stricter twice: on a length together with chunks, and on headers that come at once.

    Two readers could see two requests in the first; of the second h11 bounds only the part of a
    head that it has to keep while the rest is missing.
    """

    def __init__(self, header_bytes_max: int) -> None:
        super().__init__(h11.SERVER, header_bytes_max)
        self._header_bytes_max = header_bytes_max

    def next_event(self) -> Any:
        event = super().next_event()
        if type(event) is h11.Request:
            self._check(event)
        return event

    def _check(self, request: h11.Request) -> None:
        size = len(request.target)
        framings = 0
        for name, value in request.headers:
            size += len(name) + len(value)
            framings += name in _FRAMINGS
        if size > self._header_bytes_max:
            raise h11.RemoteProtocolError("headers too large", error_status_hint=431)
        if framings > 1:
            raise h11.RemoteProtocolError("Content-Length with Transfer-Encoding")


class _Line:
    """A transport that holds a head back for its body, and whose close may be overruled.

    Stands between uvicorn and asyncio's transport, of which it has all other attributes. uvicorn
    writes the head of an answer, the body and an empty end one by one; as one packet they cost
    one system call, and a simple client gets everything with its first read.
    """

    def __init__(self, transport: asyncio.Transport, lands_softly: Callable[[], bool]) -> None:
        self._transport = transport
        self._lands_softly = lands_softly
        self._unsent_bytes = 0
        self._moved_at = 0.0
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if data.startswith(_HEAD) and not data.startswith(_INTERIM_HEAD) and not self._head:
            self._head = data
        elif self._head:
            head, self._head = self._head, b""
            self._transport.write(head + data)
        elif data:
            self._transport.write(data)

    def flush(self) -> None:
        """Send a head that has waited in vain for its body."""
        self.write(b"")

    def close(self) -> None:
        self.flush()
        if not self._lands_softly():
            self._transport.close()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def abort_if_stalled(self, now: float, seconds: float) -> None:
        """Cut the line when, for `seconds`, the peer has taken nothing of what waits for it."""
        unsent = self._transport.get_write_buffer_size()
        if unsent == 0 or unsent < self._unsent_bytes or self._unsent_bytes == 0:
            self._moved_at = now
        elif now - self._moved_at > seconds:
            self._transport.abort()
        self._unsent_bytes = unsent


class GuardedProtocol(H11Protocol):
    """One HTTP connection that is held to the limits."""

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
        super().__init__(config, server_state, app_state, _loop)
        self.conn = _StrictConnection(limits.header_bytes_max)
        self.limits = limits
        # Since when the present phase lasts: waiting for a request, idling, or lingering.
        self.since = self.loop.time()
        self.is_idle = False
        self.is_lingering = False
        self.has_said_all = False
        self._app = self.app
        self.app = self._serve
        self._serving: asyncio.Task[Any] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or make room, or refuse."""
        line = _Line(transport, self._land_softly)
        super().connection_made(cast("asyncio.Transport", line))
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

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop working for a peer that has left: it could leave any number of calls behind."""
        super().connection_lost(exc)
        if self._serving is not None:
            self._serving.cancel()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        self._serving = asyncio.current_task()
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            if not self.cycle.disconnected:
                raise
        finally:
            self._serving = None

    def data_received(self, data: bytes) -> None:
        """Take bytes of a request; while lingering they lead nowhere."""
        if self.is_lingering:
            return
        if self.is_idle:
            self.is_idle = False
            self.since = self.loop.time()
        super().data_received(data)
        if self._has_answered():
            self._note_end_of_request()

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Still answer a peer that has said all it wants to say and shut down its side."""
        if self._has_answered() is not False or self.cycle.more_body:
            return None
        self.cycle.keep_alive = False
        self.has_said_all = True
        self.since = self.loop.time()
        return True

    def on_response_complete(self) -> None:
        """Start the clock for the next request."""
        self._note_end_of_request()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; in the middle of an answer there is nothing left to say."""
        try:
            super().send_400_response(msg)
        except h11.LocalProtocolError:
            self.transport.abort()

    def shutdown(self) -> None:
        """Close when nothing is under way, else after the answer."""
        try:
            super().shutdown()
        except h11.LocalProtocolError:
            self.transport.abort()

    def look_after(self, now: float) -> None:
        """End this connection if its phase has lasted too long."""
        if self.is_lingering:
            if now - self.since > _LINGER_SECONDS:
                self.transport.abort()
        elif self.awaits_request():
            limits = self.limits
            if now - self.since > (limits.idle_seconds if self.is_idle else limits.request_seconds):
                self._time_out()

    def awaits_request(self) -> bool:
        """Whether it is the peer's turn: to begin or to finish a request."""
        state = self.conn.their_state
        return (state is h11.IDLE or state is h11.SEND_BODY) and not self.transport.is_closing()

    def _has_answered(self) -> bool | None:
        """Whether the last request is answered; None when there was none yet."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None else cycle.response_complete

    def _note_end_of_request(self) -> None:
        state = self.conn.their_state
        if state is not h11.SEND_BODY and not self.is_idle:
            self.is_idle = not self.conn.trailing_data[0]
            self.since = self.loop.time()

    def _time_out(self) -> None:
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()  # it said nothing, so there is nothing to answer
            return
        if self.conn.our_state is h11.IDLE or self.conn.our_state is h11.SEND_RESPONSE:
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

    def _land_softly(self) -> bool:
        """Overrule a close before the peer has said everything: see `linger`."""
        if self.conn.their_state is h11.SEND_BODY or self.conn.their_state is h11.ERROR:
            self.linger()
        return self.is_lingering

    def linger(self) -> None:
        """Say that we are done and throw away, for two seconds, what the peer still sends.

        Closing a socket with unread bytes resets it, and the peer would never read our answer.
        """
        if not self.is_lingering:
            self.is_lingering = True
            self.since = self.loop.time()
            self.flow.resume_reading()
            try:
                self.transport.write_eof()
            except OSError:  # it has left already
                self.transport.abort()


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket; `look_after` cuts it off when its peer does not read."""

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
            connection.transport.abort_if_stalled(now, limits.stall_seconds)
            if isinstance(connection, GuardedProtocol):
                connection.look_after(now)

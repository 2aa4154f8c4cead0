"""Runs an ASGI application under uvicorn until a signal or an event says stop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn

from .http_limits import HttpLimits, look_after
from .http_protocol import GuardedProtocol
from .http_websocket import GuardedWebSocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

__all__ = ["CannotListen", "HttpLimits", "serve"]

_PORT_MAX: Final = 65_535
_BACKLOG: Final = 1024
_NEVER_SECONDS: Final = 10**7
_LAST_WORDS_SECONDS: Final = 1.0
_log = logging.getLogger(__name__)


class CannotListen(Exception):
    """The address cannot be listened on; the argument is one sentence with the remedy."""


class _Server(uvicorn.Server):
    """uvicorn's server, telling when it listens and leaving signals alone."""

    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Any,
    host: str,
    port: int,
    on_started: Callable[[str, int], None],
    *,
    lifespan: AbstractAsyncContextManager[Any] | None = None,
    limits: HttpLimits | None = None,
    message_bytes_max: int = 5 * 1024 * 1024,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve `app` until SIGTERM, SIGINT or `stop`, however often they come.

    The port is taken first (0: any free one), then `lifespan` is entered, then `on_started` is
    called with the real address. At the end nothing new is accepted, requests under way get
    `limits.stop_seconds`, and `lifespan` is left, whatever signals arrive meanwhile. Raises
    CannotListen, and whatever `lifespan` raises.
    """
    limits = limits or HttpLimits()
    stop = stop or asyncio.Event()
    with contextlib.closing(_listen(host, port)) as listener, _signals_set(stop):
        address = listener.getsockname()
        async with lifespan or contextlib.nullcontext():
            if not stop.is_set():
                config = _config(app, limits, message_bytes_max)
                server = _Server(config, lambda: on_started(address[0], address[1]))
                await _run(server, listener, limits, stop)


async def _run(server: _Server, listener: socket.socket, limits: HttpLimits, stop: asyncio.Event) -> None:
    async def exit_on_stop() -> None:
        await stop.wait()
        server.should_exit = True

    state = server.server_state
    async with (
        _in_background(look_after(state.connections, limits)),
        _in_background(exit_on_stop()),
    ):
        await server.serve(sockets=[listener])
        if state.tasks:  # cancelled by uvicorn; they still answer 503
            await asyncio.wait(state.tasks, timeout=_LAST_WORDS_SECONDS)


def _config(app: Any, limits: HttpLimits, message_bytes_max: int) -> uvicorn.Config:
    protocol = functools.partial(GuardedProtocol, limits)
    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", protocol),
        ws=GuardedWebSocket,
        ws_max_size=message_bytes_max,
        # A kilobyte can unpack to a megabyte, and a local reader gains nothing.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        # Below "error" every bad request of a stranger is a line in the log.
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_NEVER_SECONDS,  # look_after does it
        timeout_graceful_shutdown=limits.stop_seconds,
    )


def _listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises CannotListen with one sentence for people."""
    if not 0 <= port <= _PORT_MAX:  # the system would take the lower 16 bits
        raise CannotListen(f"Port {port} does not exist: ports go from 0 to {_PORT_MAX}.")
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = info[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise CannotListen(_sentence(error, host, port)) from None
    return listener


def _sentence(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is taken by another program: stop that one, or choose "
            "another port with --port (0 takes any free one)."
        )
    if error.errno == errno.EACCES:
        return f"Port {port} needs privileges: choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is not an address of this machine: choose another with --host."
    return f"Cannot listen on {host}, port {port}: {error.strerror}."


@contextlib.contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    """Have SIGTERM and SIGINT set `stop`; only the main thread can, elsewhere nothing happens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _in_background(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

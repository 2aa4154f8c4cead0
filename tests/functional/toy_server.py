"""A real server on a real socket with a toy registry, and a client that hides nothing."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import queue
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from poolchain.event_loop import run as run_loop
from poolchain.http_server import HttpLimits, serve
from rpc.application import Application
from rpc.dispatch import Dispatcher, Later
from rpc.doors import Doors
from rpc.limits import Limits
from rpc.registry import Param, Registry, method
from rpc.values import BYTES, UINT64, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rpc.session import Session

JSON_HEADERS = {"Content-Type": "application/json"}
LIMITS = Limits(
    body_bytes_max=100_000,
    batch_max=50,
    answer_bytes_max=200_000,
    values_max=20_000,
    websocket_sessions_max=20,
    websocket_queue_max=50,
)
PATIENCE_SECONDS = 10.0
ANY: Kind[Any] = Kind("anything", {}, lambda value: value)


@dataclass
class Toy:
    """The context: remembers the calls that were executed and the sessions that subscribed."""

    calls: list[object] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)


@method("echo", Param("value", ANY, default=None), result="the same")
def echo(toy: Toy, *, value: object) -> object:
    """Answer with what was given."""
    toy.calls.append(value)
    return value


@method("write", Param("raw", BYTES), result="its length", write=True)
async def write(toy: Toy, *, raw: bytes) -> int:
    """Take bytes."""
    toy.calls.append(len(raw))
    return len(raw)


@method("blow", Param("size", UINT64), result="that many characters")
def blow(_: Toy, *, size: int) -> str:
    """Answer with much."""
    return "x" * size


@method("sleep", Param("milliseconds", UINT64), result="the same")
def sleep(_: Toy, *, milliseconds: int) -> Later:
    """Answer after a while."""
    return Later(asyncio.sleep(milliseconds / 1000, milliseconds))


@method("fail", result="never")
def fail(_: Toy) -> object:
    """Fail in a way nobody foresaw."""
    raise OSError("/secret/path")


@method("subscribe", result="its number", websocket_only=True)
def subscribe(toy: Toy, session: Session) -> int:
    """Remember the session."""
    number = len(toy.sessions)
    toy.sessions.append(session)
    session.on_close(lambda: toy.closed.append(number))
    return number


@method("publish", Param("count", UINT64), Param("size", UINT64), result="how many were taken")
def publish(toy: Toy, *, count: int, size: int) -> int:
    """Send events to every session."""
    event = {"subscription": "0x0", "result": "x" * size}
    return sum(s.notify("event", event) for s in toy.sessions for _ in range(count))


METHODS = (echo, write, blow, sleep, fail, subscribe, publish)
REGISTRY = Registry(METHODS, title="Toy", version="1")


class Answer(NamedTuple):
    """What came back over HTTP."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


@dataclass
class Edge:
    """A running server, and ways to talk to it."""

    port: int
    toy: Toy
    complaints: list[str]
    not_ready: list[str]
    loop: asyncio.AbstractEventLoop

    def send(
        self,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        verb: str = "POST",
        path: str = "/",
    ) -> Answer:
        """Send one HTTP request and return the answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        with contextlib.closing(client):
            client.request(verb, path, body, JSON_HEADERS if headers is None else headers)
            response = client.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return checked(Answer(response.status, found, response.read()))

    def call(self, name: str, *params: object, id: object = 1) -> Any:  # noqa: A002
        """Make one JSON-RPC call and return the whole answer."""
        answer = self.send(json.dumps(request(name, *params, id=id)).encode())
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        return answer.value

    def is_honest(self) -> bool:
        """Tell whether an ordinary request still gets its ordinary answer."""
        return bool(self.call("echo", "honest")["result"] == "honest")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_SECONDS)

    def talk(self, data: bytes) -> bytes:
        """Send raw bytes, say no more, and return everything up to the end."""
        with self.connect() as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(data)
            return read_to_end(client)


def request(name: str, *params: object, id: object = 1) -> dict[str, object]:  # noqa: A002
    return {"jsonrpc": "2.0", "id": id, "method": name, "params": [*params]}


def http_request(body: bytes, *headers: str, host: str = "localhost", length: int | None = None) -> bytes:
    """Return the bytes of a POST; `length` may lie."""
    lines = [
        "POST / HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def read_to_end(client: socket.socket) -> bytes:
    chunks = []
    with contextlib.suppress(ConnectionError):
        while chunk := client.recv(65536):
            chunks.append(chunk)
    data = b"".join(chunks)
    assert b"Traceback" not in data
    assert b" 500 " not in data[:20]
    return data


def checked(answer: Answer) -> Answer:
    """Check what must hold of every answer there is."""
    assert answer.status != 500
    for word in (b"Traceback", b'File "', b"/secret", b".py"):
        assert word not in answer.body
    assert "access-control-allow-origin" not in answer.headers or answer.headers["vary"] == "origin"
    assert "server" not in answer.headers
    return answer


class _Complaints(logging.Handler):
    """Collects what the server logs as a warning or worse, but for the failures of `fail`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "rpc.dispatch":
            self.texts.append(record.getMessage())


@contextlib.contextmanager
def running(
    *, limits: Limits = LIMITS, http_limits: HttpLimits | None = None, doors: Doors | None = None
) -> Iterator[Edge]:
    """Run a server in a thread; at the end it has stopped and nothing was complained about."""
    toy, complaints = Toy(), _Complaints()
    not_ready: list[str] = []
    started: queue.Queue[int | BaseException] = queue.Queue()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))
        dispatcher = Dispatcher(REGISTRY, toy, limits)
        app = Application(dispatcher, why_not_ready=lambda: not_ready[0] if not_ready else None, doors=doors)
        await serve(
            app,
            "127.0.0.1",
            0,
            lambda _, port: started.put(port),
            limits=http_limits,
            message_bytes_max=limits.body_bytes_max,
            stop=stop,
        )

    def run() -> None:
        try:
            run_loop(main())
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            started.put(error)

    thread = threading.Thread(target=run)
    logging.getLogger().addHandler(complaints)
    thread.start()
    try:
        port = started.get(timeout=PATIENCE_SECONDS)
        if isinstance(port, BaseException):
            raise port
        loop, stop = loops[0]
        yield Edge(port, toy, complaints.texts, not_ready, loop)
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()
        assert started.empty(), started.get()
        assert complaints.texts == []
    finally:
        logging.getLogger().removeHandler(complaints)
        if thread.is_alive():
            loops[0][0].call_soon_threadsafe(loops[0][1].set)
            thread.join(PATIENCE_SECONDS)

"""A server that gives prepared answers, for tests of what a client makes of them."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Answer = Any
STATUS = {
    "chainId": "0x5007",
    "clientVersion": "poolchain/test",
    "authority": "0xBcd4042DE499D14e55001CcbB24a551F3b954096",
    "genesisHash": "0x" + "ab" * 32,
    "head": {"height": "0xc", "hash": "0x" + "cd" * 32, "timestamp": "0x6955b900"},
    "pending": "0x0",
    "sealing": "on-transaction",
    "parameters": {"blockInterval": "0x5", "minFee": "0xe8d4a51000", "reward": "0xde0b6b3a7640000"},
    "limits": {},
    "supply": {"genesis": "0xa", "balances": "0x7", "locked": "0x2", "burned": "0x1"},
}
"""What chain_status might answer."""


class FakeRpc:
    """Answers each method with what `answers` has for it: a result, or a function of the parameters.

    A function may return `Raw` to answer with other bytes than JSON-RPC.
    """

    def __init__(self, url: str, answers: Mapping[str, Answer]) -> None:
        self.url = url
        self.answers = {"chain_status": STATUS, **answers}
        self.calls: list[tuple[str, Any]] = []
        self.connections = 0

    def answer(self, request: dict[str, Any]) -> Raw:
        self.calls.append((request["method"], request["params"]))
        found = self.answers[request["method"]]
        if callable(found):
            found = found(request["params"])
        if isinstance(found, Raw):
            return found
        member = "error" if isinstance(found, Error) else "result"
        body = found.body if isinstance(found, Error) else found
        return Raw(200, json.dumps({"jsonrpc": "2.0", "id": request["id"], member: body}).encode())


class Raw:
    """An HTTP answer; `close` ends the connection after it, `cut` before it."""

    def __init__(self, status: int, data: bytes, *, close: bool = False, cut: bool = False) -> None:
        self.status, self.data, self.close, self.cut = status, data, close, cut


class Error:
    """A JSON-RPC error."""

    def __init__(self, reason: str, code: int = -32003, message: str = "no", **data: Any) -> None:
        self.body = {"code": code, "message": message, "data": {"reason": reason, **data}}


@contextmanager
def fake_rpc(answers: Mapping[str, Answer] | None = None) -> Iterator[FakeRpc]:
    """Run one on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(lambda: fake))
    server.daemon_threads = True
    fake = FakeRpc(f"http://127.0.0.1:{server.server_port}", answers or {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(get_fake: Callable[[], FakeRpc]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            get_fake().connections += 1

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            raw = get_fake().answer(json.loads(self.rfile.read(length)))
            self.close_connection = raw.close or raw.cut
            if raw.cut:
                return
            # A client may have given up meanwhile.
            with suppress(ConnectionError):
                self.send_response(raw.status)
                self.send_header("Content-Length", str(len(raw.data)))
                self.end_headers()
                self.wfile.write(raw.data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler

"""JSON-RPC over one kept-alive connection, with requests that are prepared as bytes."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any, Final, Self

CHUNK: Final = 1 << 16
"""Read at a time. What is larger than 128 KiB would be mapped anew for every read."""
STALLED_SECONDS: Final = 60.0
_LENGTH: Final = b"content-length: "
_END: Final = b"\r\n\r\n"


def request(method: str, *params: Any) -> bytes:
    """Return the whole HTTP request of one call."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


def submit_one(raw: bytes, wait: str = "pooled") -> bytes:
    """Return the request that submits one transaction."""
    return request("tx_submit", f"0x{raw.hex()}", wait)


def submit_many(raws: Sequence[bytes]) -> bytes:
    """Return the request that submits transactions in one call."""
    return request("tx_submitMany", [f"0x{raw.hex()}" for raw in raws])


def whole_length(received: bytes) -> int | None:
    """Return how long the answer is that begins like this, None while its head is not there."""
    head = received.find(_END)
    if head < 0:
        return None
    at = received.find(_LENGTH, 0, head) + len(_LENGTH)
    return head + len(_END) + int(received[at : received.index(b"\r", at)])


def connect(port: int) -> socket.socket:
    """Return a connection that sends at once."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=STALLED_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Caller:
    """One blocking connection."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self._connection = connect(port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, *params: Any) -> Any:
        """Return the result of a call; raises RuntimeError for an error."""
        answer = json.loads(self.exchange(request(method, *params)))
        if "error" in answer:
            raise RuntimeError(json.dumps(answer["error"]))
        return answer["result"]

    def exchange(self, prepared: bytes) -> bytes:
        """Send a request and return the body of its answer."""
        self._connection.sendall(prepared)
        received = b""
        while (length := whole_length(received)) is None or len(received) < length:
            data = self._connection.recv(CHUNK)
            if not data:
                raise ConnectionError("the node has closed a connection")
            received += data
        return received[received.index(_END) + len(_END) :]

"""Bodies that are read whole or not at all, and answers of known length."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from peers.asgi import Gone, Refused, read_body, send_bytes, send_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def body(*messages: dict[str, Any], limit: int = 10) -> bytes:
    left = [*messages]

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return asyncio.run(read_body(receive, limit))


def part(data: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def sent(send: Callable[[Any], Awaitable[None]]) -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body of what `send` hands to a server."""
    messages: list[Any] = []

    async def take(message: Any) -> None:
        messages.append(message)

    asyncio.run(send(take))  # type: ignore[arg-type]  # a coroutine
    start, rest = messages
    assert (start["type"], rest["type"]) == ("http.response.start", "http.response.body")
    assert len(dict(start["headers"])) == len(start["headers"])
    return start["status"], dict(start["headers"]), rest["body"]


def test_the_parts_of_a_body_are_put_together() -> None:
    assert body(part(b"abc", more=True), part(b"", more=True), part(b"def", more=False)) == b"abcdef"
    assert body({"type": "http.request"}) == b""


def test_a_body_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert body(part(b"x" * 10, more=False)) == b"x" * 10
    for messages in ([part(b"x" * 11, more=False)], [part(b"x" * 6, more=True), part(b"x" * 5, more=True)]):
        with pytest.raises(Refused) as caught:
            body(*messages)  # what would come after it is not waited for
        assert (caught.value.status, caught.value.document["reason"]) == (413, "TOO_LARGE")
        assert caught.value.document["expected"] == "at most 10 bytes"


def test_who_hangs_up_has_sent_nothing() -> None:
    with pytest.raises(Gone):
        body(part(b"abc", more=True), {"type": "http.disconnect"})


def test_json_and_bytes_are_sent_with_their_length() -> None:
    status, headers, text = sent(lambda send: send_json(send, 404, {"reason": "é"}))
    assert (status, json.loads(text)) == (404, {"reason": "é"})
    assert headers == {b"content-type": b"application/json", b"content-length": str(len(text)).encode()}
    assert sent(lambda send: send_bytes(send, 200, b"abc"))[1:] == (
        {b"content-type": b"application/octet-stream", b"content-length": b"3"},
        b"abc",
    )


def test_no_content_has_no_headers() -> None:
    assert sent(lambda send: send_bytes(send, 204, b"")) == (204, {}, b"")

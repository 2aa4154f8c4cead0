"""The cacher's HTTP face without a network: paths, bodies, headers; what is behind it is `test_desk.py`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from peers.cacher_app import HANDSHAKE_BYTES_MAX, CacherApp

from .selling_world import CHUNKS, FILM, FIRST, SellingWorld, stocked_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = f"0x{FILM.resource_id.hex()}"
UNKNOWN = f"0x{bytes(32).hex()}"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[SellingWorld]:
    with stocked_world(tmp_path) as found:
        yield found


async def ask(
    app: CacherApp, method: str, path: str, *parts: bytes, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; `parts` are the pieces in which a request's body comes."""
    incoming = [
        {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
        for number, part in enumerate(parts or (b"",))
    ]
    incoming.append({"type": "http.disconnect"})
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    told = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    await app({"type": "http", "method": method, "path": path, "headers": told}, receive, send)
    start, body = sent
    head = {name.decode(): value.decode() for name, value in start["headers"]}
    assert head["content-length"] == str(len(body["body"]))
    assert head["cache-control"] == "no-store", "an answer that was paid for is nobody else's"
    return start["status"], head, body["body"]


async def refused(app: CacherApp, *request: Any, **more: Any) -> tuple[int, str]:
    status, head, body = await ask(app, *request, **more)
    found = json.loads(body)
    assert found.keys() >= {"reason", "expected", "given"}
    assert head["content-type"] == "application/json"
    assert ("retry-after" in head) == (status == 503)
    return status, found["reason"]


def test_before_it_sells_it_says_when_to_come_again(world: SellingWorld) -> None:
    async def work() -> None:
        status, head, body = await ask(CacherApp(), "GET", "/status")
        assert (status, head["retry-after"], json.loads(body)["reason"]) == (503, "1", "NOT_READY")

    world.run(work())


def test_a_resource_is_offered_shown_and_bought(world: SellingWorld) -> None:
    async def work() -> None:
        app = CacherApp()
        async with world.selling() as app.cacher:
            status, head, body = await ask(app, "GET", f"/offer/{NAME}")
            assert (status, json.loads(body)["firstAmount"]) == (200, hex(FIRST))
            status, head, body = await ask(app, "GET", f"/manifest/{NAME}")
            assert (status, json.loads(body)) == (200, FILM.to_json())
            body = json.dumps(await world.documents()).encode()
            status, head, body = await ask(
                app, "POST", "/handshake", body[:100], body[100:], headers={"content-length": str(len(body))}
            )
            assert (status, json.loads(body)["tgtSeq"]) == (200, "0x1")
            paid = {"Poolchain-Payment": world.header(20)}
            status, head, body = await ask(app, "GET", f"/chunk/{NAME}/0", headers=paid)
            assert (status, head["content-type"], body) == (200, "application/octet-stream", CHUNKS[0])
            status, _, body = await ask(app, "GET", "/status")
            assert (status, json.loads(body)["counts"]["payments"]) == (200, 1)

    world.run(work())


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", (404, "UNKNOWN_PATH")),
        ("GET", "/handshake", (404, "UNKNOWN_PATH")),
        ("POST", "/status", (404, "UNKNOWN_PATH")),
        ("POST", f"/chunk/{NAME}/0", (404, "UNKNOWN_PATH")),
        ("HEAD", f"/chunk/{NAME}/0", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME}/00", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME}/-1", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME}/٣", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME}/12345678901234567", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME.upper()}/0", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME}/0/", (404, "UNKNOWN_PATH")),
        ("GET", f"/chunk/{NAME}/20", (404, "UNKNOWN_CHUNK")),
        ("GET", f"/chunk/{UNKNOWN}/0", (404, "UNKNOWN_CHUNK")),
        ("GET", f"/offer/{UNKNOWN}", (404, "UNKNOWN_RESOURCE")),
        ("GET", f"/manifest/{UNKNOWN}", (404, "UNKNOWN_RESOURCE")),
        ("GET", f"/chunk/{NAME}/0", (402, "PAYMENT_REQUIRED")),
    ],
)
def test_each_refusal_has_its_status_and_is_counted(
    world: SellingWorld, method: str, path: str, expected: tuple[int, str]
) -> None:
    async def work() -> None:
        app = CacherApp()
        async with world.selling() as app.cacher:
            assert await refused(app, method, path) == expected
            assert app.cacher.status()["refusals"] == {expected[1]: 1}

    world.run(work())


@pytest.mark.parametrize("header", ["", "0x", "0x00", "12" * 193, "0X" + "12" * 193, "0x" + "AB" * 193, "\xe9" * 10])
def test_a_header_that_is_no_payment_is_refused(world: SellingWorld, header: str) -> None:
    async def work() -> None:
        app = CacherApp()
        async with world.selling() as app.cacher:
            found = await refused(app, "GET", f"/chunk/{NAME}/0", headers={"Poolchain-Payment": header})
            assert found == (403, "BAD_PAYMENT")

    world.run(work())


@pytest.mark.parametrize(
    ("parts", "length", "expected"),
    [
        ([b""], None, (400, "MALFORMED")),
        ([b"{"], None, (400, "MALFORMED")),
        ([b"\xff"], None, (400, "MALFORMED")),
        ([b"[]"], None, (400, "MALFORMED")),
        ([b"[" * 100 + b"]" * 100], None, (400, "MALFORMED")),
        ([b'{"version":2,"version":1}'], None, (400, "MALFORMED")),
        ([b"{}"], str(HANDSHAKE_BYTES_MAX + 1), (413, "TOO_LARGE")),
        ([b"{}"], "1" * 5000, (413, "TOO_LARGE")),
        ([b"{}"], "-1", (413, "TOO_LARGE")),
        ([b"{}"], "words", (413, "TOO_LARGE")),
        ([b" " * HANDSHAKE_BYTES_MAX, b" "], None, (413, "TOO_LARGE")),
    ],
)
def test_a_body_that_is_no_handshake_is_refused(
    world: SellingWorld, parts: list[bytes], length: str | None, expected: tuple[int, str]
) -> None:
    async def work() -> None:
        app = CacherApp()
        headers = {} if length is None else {"content-length": length}
        async with world.selling() as app.cacher:
            assert await refused(app, "POST", "/handshake", *parts, headers=headers) == expected

    world.run(work())


def test_who_hangs_up_is_not_answered(world: SellingWorld) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def work() -> None:
        app = CacherApp()
        async with world.selling() as app.cacher:
            await app({"type": "http", "method": "POST", "path": "/handshake", "headers": []}, receive, send)
            await app({"type": "lifespan"}, receive, send)
            assert sent == []
            assert app.cacher.status()["refusals"] == {}

    world.run(work())

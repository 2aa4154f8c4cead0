"""One exchange with a stranger over a real socket: bounded, whole, and nothing that a browser would do besides."""

from __future__ import annotations

import gzip

import pytest
from aiohttp import web

from peers.transfer import Answer, NoAnswer, ask, get_json, open_session

from .serving import run, saying, serving

OK = b"HTTP/1.1 200 OK\r\n"


def asked(raw: bytes, limit: int = 100) -> Answer:
    """What comes of these bytes as an answer."""
    found: list[Answer] = []

    async def work() -> None:
        async with saying(raw) as url, open_session() as session:
            found.append(await ask(session, "GET", url, limit=limit))

    run(work())
    return found[0]


def test_an_answer_comes_whole_with_its_status() -> None:
    answer = asked(b"HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\n" + b'{"reason": "UNKNOWN"}')
    assert (answer.status, answer.json, answer.reason) == (404, {"reason": "UNKNOWN"}, "UNKNOWN")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (OK + b"Content-Length: 101\r\n\r\n", "more than 100 bytes"),
        (
            OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"40\r\n" + b"x" * 64 + b"\r\n" + b"40\r\n" + b"x" * 64,
            "more than",
        ),
        (OK + b"\r\n" + b"x" * 101, "more than 100 bytes"),
        (OK + b"Content-Length: 10\r\n\r\nhalf", "broke off"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "broke off"),
        (b"no HTTP at all\r\n\r\n", "Bad status line"),
        (b"", "broke off: Server disconnected"),
    ],
)
def test_an_answer_that_is_too_much_or_not_whole_is_none(raw: bytes, says: str) -> None:
    with pytest.raises(NoAnswer, match=says):
        asked(raw)


def test_an_answer_may_be_as_long_as_the_limit() -> None:
    assert asked(OK + b"Content-Length: 100\r\n\r\n" + b"x" * 100).body == b"x" * 100


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://", "no url", "http://127.0.0.1:99999/", "ftp://127.0.0.1", "http://[::1"]
)
def test_nobody_there_is_no_answer(url: str) -> None:
    async def work() -> None:
        async with open_session() as session:
            await ask(session, "GET", url, limit=10)

    with pytest.raises(NoAnswer):
        run(work())


def test_redirections_are_not_followed_and_nothing_is_unpacked_or_remembered() -> None:
    """A stranger could send us elsewhere, or make a megabyte of a kilobyte."""
    seen: list[web.Request] = []
    packed = gzip.compress(b"x" * 100_000)

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        if request.path == "/packed":
            return web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        return web.Response(status=302, headers={"Location": "/packed", "Set-Cookie": "a=b"})

    async def work() -> None:
        async with serving(handle) as url, open_session() as session:
            assert (await ask(session, "GET", f"{url}/", limit=1000)).status == 302
            assert (await ask(session, "GET", f"{url}/packed", limit=1000)).body == packed
            assert [request.path for request in seen] == ["/", "/packed"]
            assert not any("cookie" in request.headers for request in seen)

    run(work())


def test_a_body_is_sent_as_json_with_the_headers_that_are_given() -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers.get("Content-Type", ""), await request.read()))
        return web.Response(text=request.headers.get("Poolchain-Payment", "none"))

    async def work() -> None:
        async with serving(handle) as url, open_session() as session:
            answer = await ask(session, "POST", url, limit=10, body=b"{}", headers={"Poolchain-Payment": "0x1"})
            assert answer.body == b"0x1"
            assert (await ask(session, "GET", url, limit=10)).body == b"none"

    run(work())
    assert seen == [("POST", "application/json", b"{}"), ("GET", "", b"")]


@pytest.mark.parametrize(
    ("text", "seconds"), [("3", 3.0), ("0", 0.0), ("", 0.0), ("-1", 0.0), ("1.5", 0.0), ("٣", 0.0), ("100000", 0.0)]
)
def test_a_pause_is_a_few_digits_of_seconds(text: str, seconds: float) -> None:
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: " + text.encode() + b"\r\n\r\n"
    assert asked(head).retry_after == seconds


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":' * 40 + b"1" + b"}" * 40, b"1"])
def test_a_body_that_is_no_object_has_no_members(body: bytes) -> None:
    answer = Answer(400, body, 0.0)
    assert (answer.json, answer.reason) == ({}, "no reason")


def test_a_strangers_words_are_shown_in_ascii_and_not_for_long() -> None:
    rude = b'{"reason": "\\u001b[2J\\u202e' + b"x" * 500 + b'"}'
    reason = Answer(400, rude, 0.0).reason
    assert reason.startswith("\\x1b[2J\\u202ex")
    assert len(reason) == 200


def test_what_is_fetched_as_json_has_status_200() -> None:
    async def handle(request: web.Request) -> web.Response:
        return web.json_response({"reason": "GONE"}, status=200 if request.path == "/here" else 410)

    async def work() -> None:
        async with serving(handle) as url, open_session() as session:
            assert await get_json(session, f"{url}/here", 100) == {"reason": "GONE"}
            with pytest.raises(NoAnswer, match="status 410: GONE"):
                await get_json(session, f"{url}/there", 100)

    run(work())

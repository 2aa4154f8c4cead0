"""The gateway for players: ranges, types, and whom it answers."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from peers.asgi import Refused
from peers.chunk_store import ChunkStore, OriginFiles, cut_path
from peers.gateway import Gateway, Span, main_playlist, read_range

if TYPE_CHECKING:
    from pathlib import Path

HOST = ("host", "127.0.0.1:8900")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Span(0, 100, is_part=False)),
        ("bytes=0-9", Span(0, 10, is_part=True)),
        ("bytes=90-", Span(90, 100, is_part=True)),
        ("bytes=90-200", Span(90, 100, is_part=True)),
        ("bytes=-10", Span(90, 100, is_part=True)),
        ("bytes=-1000", Span(0, 100, is_part=True)),
        ("bytes=9-0", Span(0, 100, is_part=False)),
        ("bytes=0-1,5-6", Span(0, 100, is_part=False)),
        ("bytes=-", Span(0, 100, is_part=False)),
        ("lines=0-1", Span(0, 100, is_part=False)),
    ],
)
def test_ranges(header: str | None, expected: Span) -> None:
    assert read_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_refused(header: str) -> None:
    with pytest.raises(Refused) as refused:
        read_range(header, 100)
    assert refused.value.status == 416


def ask(
    gateway: Gateway, path: str, *headers: tuple[str, str], method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "raw_path": path.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers],
    }
    asyncio.run(gateway(scope, None, send))
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    """A gateway whose chunks are all here."""
    root = tmp_path / "hls"
    (root / "low quality").mkdir(parents=True)
    (root / "index.m3u8").write_bytes(b"#EXTM3U\n" * 40)
    (root / "low quality" / "1.ts").write_bytes(bytes(range(256)) * 3)
    manifest = cut_path(root, chunk_bytes=100, price_per_chunk=1)
    store = ChunkStore(tmp_path / "s", manifest)
    for index in range(manifest.chunk_count):
        store.put(index, OriginFiles(root, manifest).read(index))

    async def chunk(index: int) -> bytes:
        return store.read(index)

    found = Gateway()
    queue = SimpleNamespace(want=lambda *_, **__: None)
    found.buying = SimpleNamespace(store=store, chunk=chunk, queue=queue)  # type: ignore[assignment]
    assert main_playlist(manifest) == "index.m3u8"
    return found


def test_files_and_ranges_are_what_was_published(gateway: Gateway) -> None:
    status, head, body = ask(gateway, "/low%20quality/1.ts", HOST)
    assert (status, head["content-type"], body) == (200, "video/mp2t", bytes(range(256)) * 3)
    status, head, body = ask(gateway, "/low%20quality/1.ts", HOST, ("range", "bytes=95-305"))
    assert (status, body) == (206, (bytes(range(256)) * 3)[95:306])
    assert (head["content-range"], head["content-length"]) == ("bytes 95-305/768", "211")
    status, head, body = ask(gateway, "/index.m3u8", HOST, method="HEAD")
    assert (status, head["content-length"], body) == (200, "320", b"")
    assert head["content-type"] == "application/vnd.apple.mpegurl"


def test_what_is_not_there_is_refused(gateway: Gateway) -> None:
    assert ask(gateway, "/other.ts", HOST)[0] == 404
    assert ask(gateway, "/index.m3u8", HOST, method="POST")[0] == 405
    assert ask(gateway, "/index.m3u8", HOST, ("range", "bytes=1000-"))[0] == 416
    assert ask(Gateway(), "/index.m3u8", HOST)[0] == 503
    assert ask(gateway, "/", HOST)[2] == b"/index.m3u8\n/low quality/1.ts\n"


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "evil.example:8900")],
        [],
        [HOST, ("origin", "http://evil.example")],
        [HOST, ("origin", "null")],
        [HOST, ("sec-fetch-site", "cross-site")],
    ],
)
def test_other_web_pages_cannot_spend(gateway: Gateway, headers: list[tuple[str, str]]) -> None:
    assert ask(gateway, "/index.m3u8", *headers)[0] == 403


PAGE = "http://localhost:3000"


def test_a_page_that_was_named_may_play(gateway: Gateway) -> None:
    """As hls.js asks: a fetch of another origin, with a range for parts of a file, and a preflight before it."""
    gateway._page_origin = PAGE
    asked = (HOST, ("origin", PAGE), ("sec-fetch-site", "cross-site"))
    status, head, body = ask(gateway, "/index.m3u8", *asked)
    assert (status, head["access-control-allow-origin"], body) == (200, PAGE, b"#EXTM3U\n" * 40)
    status, head, body = ask(gateway, "/low%20quality/1.ts", *asked, ("range", "bytes=0-9"))
    assert (status, body) == (206, bytes(range(10)))
    assert "content-range" in head["access-control-expose-headers"]
    status, head, body = ask(gateway, "/index.m3u8", *asked, method="OPTIONS")
    assert (status, head["access-control-allow-headers"], body) == (204, "range", b"")
    assert ask(gateway, "/other.ts", *asked)[:2][1]["access-control-allow-origin"] == PAGE, "it may read why not"


@pytest.mark.parametrize(
    "headers",
    [
        [HOST, ("origin", "http://localhost:3001")],
        [HOST, ("origin", "http://localhost:3000.evil.example")],
        [HOST, ("origin", "null")],
        [HOST, ("sec-fetch-site", "cross-site")],
        [("host", "evil.example:8900"), ("origin", PAGE)],
    ],
)
def test_naming_one_page_opens_nothing_to_others(gateway: Gateway, headers: list[tuple[str, str]]) -> None:
    gateway._page_origin = PAGE
    for method in ("GET", "OPTIONS"):
        status, head, _ = ask(gateway, "/index.m3u8", *headers, method=method)
        assert status == 403
        assert headers[0][0] == "host"
        if headers[0] == HOST:
            assert "access-control-allow-origin" not in head


def test_without_a_named_page_no_answer_is_shared(gateway: Gateway) -> None:
    own = ("origin", "http://127.0.0.1:8900")
    status, head, _ = ask(gateway, "/index.m3u8", HOST, own, ("sec-fetch-site", "same-origin"))
    assert status == 200, "a page that is part of the resource"
    assert not [name for name in head if name.startswith("access-control")]
    assert ask(gateway, "/index.m3u8", HOST, own, method="OPTIONS")[0] == 405

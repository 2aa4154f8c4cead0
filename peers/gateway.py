"""A resource for players on the same machine: files over HTTP, bought chunk by chunk behind it. Plain ASGI.

An unmodified player asks for a playlist and then for segment after segment, or for ranges of one file; what it asks for
is bought before all else, and a little ahead of it. Because a request costs money, other web pages may not make one:
only this host's own names are answered, and nothing that a browser says comes from another site, but for one that the
user has named: there a player such as hls.js may run.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote

from .asgi import Refused, Scope, Send, send_bytes, send_json
from .buying import Buying
from .manifest import FileEntry, Manifest

AHEAD_CHUNKS: Final = 16
"""So many chunks behind what a player reads are bought before it asks."""
_URGENT_CHUNKS: Final = 8
_TYPES: Final = MappingProxyType(
    {
        ".m3u8": b"application/vnd.apple.mpegurl",
        ".ts": b"video/mp2t",
        ".m4s": b"video/iso.segment",
        ".mp4": b"video/mp4",
        ".mpd": b"application/dash+xml",
        ".vtt": b"text/vtt",
        ".html": b"text/html; charset=utf-8",
    }
)
_RANGE: Final = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII)
_LOCAL_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
_LIST_TYPE: Final = b"text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `start` up to, not including, `stop` of a file."""

    start: int
    stop: int
    is_part: bool


class Gateway:
    """Serves the files of one purchase."""

    def __init__(self, page_origin: str | None = None) -> None:
        """Begin without a purchase: then the answer is 503. Pages of `page_origin`, such as http://h:1, may ask."""
        self.buying: Buying | None = None
        self._page_origin = page_origin

    async def __call__(self, scope: Scope, receive: object, send: Send) -> None:
        """Answer one request."""
        del receive  # no request that is answered has a body
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        shared = self._share(headers)

        async def answer(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *shared]
            await send(message)

        try:
            _expect_local(headers, is_named=bool(shared))
            if shared and scope["method"] == "OPTIONS":
                await send_bytes(answer, 204, b"")
                return
            path = unquote(scope["raw_path"].decode("latin-1")).lstrip("/")
            await _serve(self.buying, path, headers, scope["method"], answer)
        except Refused as refused:
            await send_json(answer, refused.status, refused.document)

    def _share(self, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
        """Return what lets a page of the named origin read the answer (Fetch, CORS protocol); nothing for others."""
        if self._page_origin is None or headers.get("origin") != self._page_origin:
            return []
        return [
            (b"access-control-allow-origin", self._page_origin.encode()),
            (b"access-control-allow-headers", b"range"),
            (b"access-control-expose-headers", b"content-range, content-length"),
            (b"vary", b"origin"),
        ]


async def _serve(buying: Buying | None, path: str, headers: dict[str, str], method: str, send: Send) -> None:
    if method not in {"GET", "HEAD"}:
        raise Refused(405, "METHOD", "GET or HEAD")
    if buying is None:
        raise Refused(503, "NOT_READY", "a purchase under way")
    manifest = buying.store.manifest
    file = _find(manifest, path)
    if file is None and not path:
        listing = "".join(f"/{entry.path}\n" for entry in manifest.files).encode()
        await send_bytes(send, 200, listing, _LIST_TYPE)
        return
    if file is None:
        raise Refused(404, "UNKNOWN_FILE", "a file of this resource", path[:200])
    span = read_range(headers.get("range"), file.size)
    await send({"type": "http.response.start", "status": 206 if span.is_part else 200, "headers": _head(file, span)})
    if method == "GET":
        async for part in _parts(buying, manifest, file, span):
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def read_range(header: str | None, size: int) -> Span:
    """Return what a Range header asks of a file of this size (RFC 9110, 14.2); several ranges get the whole file.

    Raises Refused 416.
    """
    found = _RANGE.fullmatch(header or "")
    if found is None or not (found[1] or found[2]):
        return Span(0, size, is_part=False)
    if not found[1]:
        start, stop = max(0, size - int(found[2])), size
    else:
        start, stop = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
        if found[2] and int(found[2]) < start:
            return Span(0, size, is_part=False)
    if start >= stop:
        raise Refused(416, "RANGE", f"a range within {size} bytes", (header or "")[:80])
    return Span(start, stop, is_part=True)


def main_playlist(manifest: Manifest) -> str | None:
    """Return the playlist that a player should open: the outermost, one called master or index before others."""
    found = [file.path for file in manifest.files if file.path.endswith(".m3u8")]
    preferred = ("master.m3u8", "index.m3u8")
    return min(found, key=lambda path: (path.count("/"), PurePosixPath(path).name not in preferred, path), default=None)


async def _parts(buying: Buying, manifest: Manifest, file: FileEntry, span: Span) -> AsyncIterator[bytes]:
    """Yield the bytes of a span, bought in playing order."""
    size = manifest.chunk_bytes
    first, last = span.start // size, -(-span.stop // size)
    for number in range(first, last):
        index = file.first_chunk + number
        _order(buying, index, file.first_chunk + last)
        data = await buying.chunk(index)
        yield data[max(0, span.start - number * size) : span.stop - number * size]


def _order(buying: Buying, index: int, stop: int) -> None:
    """Have what the player reads now bought at once, and what comes after it soon."""
    store = buying.store
    buying.queue.want(store.missing(index, min(index + _URGENT_CHUNKS, stop)), urgent=True)
    buying.queue.want(store.missing(index, min(index + AHEAD_CHUNKS, store.manifest.chunk_count)))


def _find(manifest: Manifest, path: str) -> FileEntry | None:
    if manifest.is_single_file and not path:
        return manifest.files[0]
    return manifest.find(path)


def _head(file: FileEntry, span: Span) -> list[tuple[bytes, bytes]]:
    kind = _TYPES.get(PurePosixPath(file.path).suffix.lower(), b"application/octet-stream")
    head = [
        (b"content-type", kind),
        (b"content-length", b"%d" % (span.stop - span.start)),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"no-store"),
    ]
    if span.is_part:
        head.append((b"content-range", b"bytes %d-%d/%d" % (span.start, span.stop - 1, file.size)))
    return head


def _expect_local(headers: dict[str, str], *, is_named: bool) -> None:
    """Refuse what a page that was not named has asked a browser to fetch: it costs money (DNS rebinding included)."""
    host = headers.get("host", "")
    if re.sub(r":[0-9]+\Z", "", host) not in _LOCAL_HOSTS:
        raise Refused(403, "FOREIGN_HOST", "a request to 127.0.0.1 or localhost", host[:80])
    if is_named:
        return
    origin = headers.get("origin")
    is_foreign = origin is not None and origin != f"http://{host}"
    if is_foreign or headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise Refused(403, "FOREIGN_PAGE", "a request of this machine's own player")

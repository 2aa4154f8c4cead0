"""The publisher's HTTP face: manifests, chunks for nothing, the tracker (docs/peers.md, section 2). Plain ASGI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from light.errors import ProofRefused
from light.parsing import parse_json

from .asgi import Gone, Receive, Refused, Scope, Send, read_body, send_bytes, send_json
from .chunk_store import ChunkMissing, ChunkSource
from .tracker import BadAnnouncement, Tracker, read_announcement, read_resource_id

_ANNOUNCEMENT_BYTES_MAX = 4096
_INDEX_DIGITS_MAX = 10
_PIECE_BYTES = 256 * 1024
"""The usual length of a chunk, which is sent at once."""


class OriginApp:
    """Serves resources. `sources` may be exchanged for newer states of live ones with `publish`."""

    def __init__(self, sources: Iterable[ChunkSource]) -> None:
        """Take what is published from the start."""
        self.tracker = Tracker()
        self._sources: dict[bytes, ChunkSource] = {}
        self._manifests: dict[bytes, bytes] = {}
        for source in sources:
            self.publish(source)

    def publish(self, source: ChunkSource) -> None:
        """Serve a resource, in the place of its older state if it is live."""
        resource_id = source.manifest.resource_id
        self._sources[resource_id] = source
        self._manifests[resource_id] = json.dumps(source.manifest.to_json()).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            await self._answer(scope, receive, send)
        except Refused as refused:
            await send_json(send, refused.status, refused.document)
        except Gone:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["method"], scope["path"].split("/")[1:]:
            case ("GET", ["resources"]):
                await send_json(send, 200, {"resources": [_summary(source) for source in self._sources.values()]})
            case ("GET", ["manifest", name]):
                manifest = self._manifests[self._source(name).manifest.resource_id]
                await send_bytes(send, 200, manifest, b"application/json")
            case ("GET", ["chunk", name, index]):
                await _send_chunk(send, self._source(name), index)
            case ("GET", ["peers", name]):
                entries = self.tracker.peers(self._source(name).manifest.resource_id, time.monotonic())
                await send_json(send, 200, {"peers": [entry.to_json() for entry in entries]})
            case ("POST", ["announce"]):
                self._announce(await read_body(receive, _ANNOUNCEMENT_BYTES_MAX))
                await send_bytes(send, 204, b"")
            case _:
                raise Refused(404, "NOT_FOUND", "a path of docs/peers.md, section 2")

    def _source(self, name: str) -> ChunkSource:
        try:
            return self._sources[read_resource_id(name)]
        except (ValueError, KeyError):
            raise Refused(404, "UNKNOWN_RESOURCE", "a resource of GET /resources", name[:80]) from None

    def _announce(self, body: bytes) -> None:
        try:
            resource_id, entry = read_announcement(parse_json(body))
        except (BadAnnouncement, ProofRefused) as error:
            raise Refused(400, "BAD_REQUEST", str(error)) from error
        if resource_id not in self._sources:
            raise Refused(404, "UNKNOWN_RESOURCE", "a resource of GET /resources")
        if not self.tracker.announce(resource_id, entry, time.monotonic()):
            raise Refused(503, "TOO_MANY_PEERS", "fewer peers of this resource")


async def _send_chunk(send: Send, source: ChunkSource, text: str) -> None:
    """Send a chunk that verifies, a large one in pieces: who reads slowly must not make us hold all of it."""
    is_index = text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS_MAX
    if not is_index or not source.has(index := int(text)):
        raise Refused(404, "UNKNOWN_CHUNK", f"a number below {source.manifest.chunk_count}", text[:80])
    try:
        data = await asyncio.to_thread(source.read, index)
    except ChunkMissing as error:
        raise Refused(404, "UNKNOWN_CHUNK", str(error), text) from error
    if (size := len(data)) <= _PIECE_BYTES:
        await send_bytes(send, 200, data)
        return
    del data
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, size, _PIECE_BYTES):
        piece = await asyncio.to_thread(source.piece, index, start, min(_PIECE_BYTES, size - start))
        await send({"type": "http.response.body", "body": piece, "more_body": start + _PIECE_BYTES < size})


def _summary(source: ChunkSource) -> Mapping[str, Any]:
    manifest = source.manifest
    return {
        "resourceId": f"0x{manifest.resource_id.hex()}",
        "name": manifest.name,
        "size": manifest.size,
        "chunkCount": manifest.chunk_count,
    }

"""Small manifests: chunks of a few bytes, a publisher's key, and what a reader makes of their JSON."""

from __future__ import annotations

import io
import json
from typing import Any, Final

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from peers.manifest import FileEntry, LivePart, Manifest, live_id, make_fixed, make_live
from peers.manifest_reader import read_manifest

DOMAIN: Final = Domain.of(20487, bytes(range(32)))
KEY: Final = SigningKey(b"\x07" * 32)


def single(data: bytes, chunk_bytes: int = 10) -> Manifest:
    return make_fixed([("a.bin", io.BytesIO(data))], chunk_bytes=chunk_bytes, price_per_chunk=5, single=True)


def folder(**files: bytes) -> Manifest:
    readers = [(name, io.BytesIO(data)) for name, data in files.items()]
    return make_fixed(readers, chunk_bytes=10, price_per_chunk=5, single=False)


def live(sequence: int = 1, data: bytes = b"0123456789ab", *, ended: bool = False, chunk_bytes: int = 4) -> Manifest:
    cut = single(data, chunk_bytes)
    part = LivePart("concert", bytes(20), sequence, ended, b"")
    return make_live(Manifest(live_id("concert"), chunk_bytes, cut.chunks, cut.files, 5, part), KEY, DOMAIN)


def read(found: Any, domain: Domain | None = DOMAIN) -> Manifest:
    return read_manifest(json.dumps(found).encode(), domain)


def live_files(sequence: int, *files: tuple[str, int], chunks: int) -> Manifest:
    """A live manifest of chunks of 4 bytes, cut into files of these sizes."""
    entries, start = [], 0
    for path, size in files:
        entries.append(FileEntry(path, size, start, -(-size // 4)))
        start += -(-size // 4)
    leaves = tuple(bytes([number]) * 32 for number in range(chunks))
    part = LivePart("concert", bytes(20), sequence, False, b"")
    made = make_live(Manifest(live_id("concert"), 4, leaves, tuple(entries), 5, part), KEY, DOMAIN)
    return read(made.to_json())

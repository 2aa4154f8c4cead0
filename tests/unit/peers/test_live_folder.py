"""A folder that grows while it is published."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from peers.chunk_store import ChunkMissing
from peers.live_folder import LiveFolder
from peers.manifest_reader import read_manifest
from tests.unit.peers.market import VIEWER

if TYPE_CHECKING:
    from pathlib import Path

DOMAIN = Domain.of(20487, bytes(32))
NOW = 1_000_000.0


def write(root: Path, name: str, data: bytes, at: float) -> None:
    (root / name).write_bytes(data)
    os.utime(root / name, (at, at))


def make(root: Path, key: SigningKey = VIEWER) -> LiveFolder:
    return LiveFolder(root, "concert", key, DOMAIN, chunk_bytes=10, price_per_chunk=1)


def content(live: LiveFolder, path: str) -> bytes:
    file = live.manifest.find(path)
    assert file is not None
    return b"".join(live.read(file.first_chunk + number) for number in range(file.chunk_count))


def test_what_is_settled_is_published_and_playlists_last(tmp_path: Path) -> None:
    live = make(tmp_path)
    assert not live.scan(NOW)
    write(tmp_path, "a.m3u8", b"#EXTINF\n1.ts\n", NOW)
    write(tmp_path, "b1.ts", b"x" * 25, NOW)
    assert not live.scan(NOW + 0.1)
    first = live.manifest
    assert live.scan(NOW + 1)
    assert [file.path for file in live.manifest.files] == ["b1.ts", "a.m3u8"]
    assert live.manifest.follows(first)
    assert content(live, "b1.ts") == b"x" * 25


def test_a_playlist_that_is_written_anew_replaces_the_older_one(tmp_path: Path) -> None:
    live = make(tmp_path)
    write(tmp_path, "a.m3u8", b"#EXTINF\n1.ts\n", NOW)
    live.scan(NOW + 1)
    older = live.manifest
    write(tmp_path, "2.ts", b"y" * 10, NOW + 2)
    write(tmp_path, "a.m3u8", b"#EXTINF\n1.ts\n2.ts\n#EXT-X-ENDLIST", NOW + 2)
    assert live.scan(NOW + 3)
    assert live.manifest.follows(older)
    assert live.manifest.live is not None
    assert live.manifest.live.ended
    assert content(live, "a.m3u8").endswith(b"#EXT-X-ENDLIST")
    assert live.read(0) == b"#EXTINF\n1."  # the older playlist's first chunk stays
    assert read_manifest(json.dumps(live.manifest.to_json()).encode(), DOMAIN) == live.manifest
    assert not live.scan(NOW + 9)


def test_a_segment_that_is_removed_is_missing(tmp_path: Path) -> None:
    live = make(tmp_path)
    write(tmp_path, "1.ts", b"x" * 10, NOW)
    live.scan(NOW + 1)
    (tmp_path / "1.ts").unlink()
    with pytest.raises(ChunkMissing, match="changed or removed"):
        live.read(0)
    with pytest.raises(ChunkMissing, match="yet"):
        live.read(1)

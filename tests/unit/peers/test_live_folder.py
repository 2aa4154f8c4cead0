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
from peers.manifest import BadManifest
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


def has_ended(live: LiveFolder) -> bool:
    assert live.manifest.live is not None
    return live.manifest.live.ended


def test_what_a_playlist_names_is_published_before_it(tmp_path: Path) -> None:
    live = make(tmp_path)
    assert not live.scan(NOW)
    write(tmp_path, "a.m3u8", b'#EXT-X-MAP:URI="init.mp4"\n#EXTINF:1,\nb%201.ts?key=1\n', NOW)
    write(tmp_path, "b 1.ts", b"x" * 25, NOW)
    write(tmp_path, "init.mp4", b"i" * 5, NOW)
    first = live.manifest
    assert live.scan(NOW + 0.1)
    assert [file.path for file in live.manifest.files] == ["b 1.ts", "init.mp4"]
    assert live.scan(NOW + 0.2)
    assert [file.path for file in live.manifest.files] == ["b 1.ts", "init.mp4", "a.m3u8"]
    assert live.manifest.follows(first)
    assert content(live, "b 1.ts") == b"x" * 25


def test_a_segment_that_no_playlist_names_may_still_be_growing(tmp_path: Path) -> None:
    """An encoder of speech fills its buffer every few seconds: taken in between, the segment would be cut short."""
    live = make(tmp_path)
    write(tmp_path, "a.m3u8", b"#EXTINF\n1.ts\n", NOW)
    write(tmp_path, "1.ts", b"x" * 10, NOW)
    write(tmp_path, "2.ts", b"y" * 10, NOW)
    write(tmp_path, "2.ts.tmp", b"y" * 10, NOW)
    assert live.scan(NOW + 9.9)
    assert [file.path for file in live.manifest.files] == ["1.ts", "a.m3u8"]
    (tmp_path / "2.ts.tmp").unlink()
    write(tmp_path, "2.ts", b"y" * 20, NOW + 9)
    write(tmp_path, "a.m3u8", b"#EXTINF\n1.ts\n#EXTINF\n2.ts\n", NOW + 10)
    assert live.scan(NOW + 10.2)
    assert content(live, "2.ts") == b"y" * 20
    write(tmp_path, "readme.txt", b"z", NOW + 11)
    assert not live.scan(NOW + 20.9)
    assert live.scan(NOW + 21)
    assert content(live, "readme.txt") == b"z"


def test_the_outermost_playlist_comes_last(tmp_path: Path) -> None:
    live = make(tmp_path)
    write(tmp_path, "a.m3u8", b"#EXT-X-STREAM-INF:BANDWIDTH=1\nlow.m3u8\n", NOW)
    write(tmp_path, "low.m3u8", b"#EXTINF\n1.ts\n", NOW)
    write(tmp_path, "1.ts", b"x", NOW)
    assert live.scan(NOW + 1)
    assert [file.path for file in live.manifest.files] == ["1.ts", "low.m3u8", "a.m3u8"]


def test_it_ends_when_every_playlist_of_segments_says_so_and_all_is_taken(tmp_path: Path) -> None:
    live = make(tmp_path)
    write(tmp_path, "a.m3u8", b"#EXTINF\n1.ts\n#EXT-X-ENDLIST\n", NOW)
    write(tmp_path, "b.m3u8", b"#EXTINF\n2.ts\n", NOW)
    for name in ("1.ts", "2.ts"):
        write(tmp_path, name, b"x", NOW)
    assert live.scan(NOW + 1)
    assert not has_ended(live)
    write(tmp_path, "b.m3u8", b"#EXTINF\n2.ts\n#EXT-X-ENDLIST\n", NOW + 2)
    write(tmp_path, "notes.txt", b"x", NOW + 2.1)
    assert live.scan(NOW + 2.2)
    assert not has_ended(live), "the notes are not taken yet"
    assert live.scan(NOW + 2.3), "nothing grows any more: no need to wait for long"
    assert has_ended(live)
    assert content(live, "notes.txt") == b"x"


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
    live.scan(NOW + 10)
    (tmp_path / "1.ts").unlink()
    with pytest.raises(ChunkMissing, match="changed or removed"):
        live.read(0)
    with pytest.raises(ChunkMissing, match="yet"):
        live.read(1)


def test_a_name_that_cannot_be_published_does_not_shift_the_others(tmp_path: Path) -> None:
    live = make(tmp_path)
    write(tmp_path, "a.ts", b"a" * 15, NOW - 60)
    write(tmp_path, "b\\b.ts", b"b" * 15, NOW - 60)
    for _ in range(2):
        with pytest.raises(BadManifest):
            live.scan(NOW)
    (tmp_path / "b\\b.ts").unlink()
    write(tmp_path, "c.ts", b"c" * 15, NOW - 60)
    assert live.scan(NOW)
    assert (content(live, "a.ts"), content(live, "c.ts")) == (b"a" * 15, b"c" * 15)

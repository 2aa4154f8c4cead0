"""Manifests: what is cut, what is a chunk, and what follows."""

from __future__ import annotations

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from crypto.signature import SigningKey
from peers.chunk_store import cut_path
from peers.manifest import BadManifest, FileEntry, LivePart, Manifest, WrongChunk, live_id, make_live

from .manifests import DOMAIN, KEY, folder, live, live_files, read, single


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 95, 100])
def test_the_id_is_the_root_that_pymerkle_computes(length: int) -> None:
    data = bytes(range(length))
    tree = InmemoryTree(algorithm="sha256")
    for start in range(0, length, 10):
        tree.append_entry(data[start : start + 10])
    assert single(data).resource_id == (tree.get_root() if length else hashlib.sha256(b"").digest())


@given(st.lists(st.binary(max_size=35), max_size=6))
def test_what_is_cut_is_what_is_read(contents: list[bytes]) -> None:
    manifest = folder(**{f"f{number}": data for number, data in enumerate(contents)})
    assert read(manifest.to_json()) == manifest
    assert manifest.has_index
    assert manifest.size == sum(map(len, contents))
    manifest.verify_chunk(0, manifest.index())
    for file, data in zip(manifest.files, contents, strict=True):
        for number in range(file.chunk_count):
            chunk = data[number * 10 : number * 10 + 10]
            assert manifest.chunk_size(file.first_chunk + number) == len(chunk)
            assert manifest.place(file.first_chunk + number) == (file, number * 10)
            manifest.verify_chunk(file.first_chunk + number, chunk)


def test_a_folder_with_one_file_is_not_that_file() -> None:
    assert folder(a=b"x" * 30).resource_id != single(b"x" * 30).resource_id


def test_no_other_bytes_are_a_chunk() -> None:
    manifest = single(b"x" * 25)
    for data in (b"", b"x" * 9, b"x" * 11, b"y" * 10):
        with pytest.raises(WrongChunk):
            manifest.verify_chunk(1, data)
    for index in (-1, 3):
        with pytest.raises(WrongChunk):
            manifest.verify_chunk(index, b"x" * 10)


def test_the_index_is_canonical_json() -> None:
    assert folder(a=b"x").index() == b'[{"chunkCount":1,"firstChunk":1,"path":"a","size":1}]'


def test_a_length_that_the_chunk_does_not_have_is_the_manifests_fault() -> None:
    wrong = read({**single(b"x" * 30).to_json(), "chunkBytes": 11})
    with pytest.raises(BadManifest, match="the manifest says 11"):
        wrong.verify_chunk(0, b"x" * 10)


def test_a_live_manifest_is_its_publishers() -> None:
    made = live()
    assert read(made.to_json()) == made
    assert made.live is not None
    assert made.live.publisher == KEY.address


def test_what_follows_begins_like_the_older_one() -> None:
    older, newer = live(1, b"01234567"), live(2, b"01234567abcd")
    assert newer.follows(older)
    assert not older.follows(newer)
    assert not live(2, b"01234567").follows(live(2, b"0123"))
    assert not live(2, b"X1234567").follows(older)
    assert not newer.follows(live(1, b"01234567", ended=True))
    assert not newer.follows(single(b"x"))


def test_only_the_last_file_grows_and_only_behind_whole_chunks() -> None:
    older = live_files(1, ("a", 8), ("b", 8), chunks=4)
    assert live_files(2, ("a", 8), ("b", 8), ("c", 3), chunks=5).follows(older)
    assert live_files(2, ("a", 8), ("b", 11), chunks=5).follows(older)
    assert live_files(2, ("a", 8), ("b", 12), ("c", 4), chunks=6).follows(older)
    # The same chunks, in other files than before: what was played from them would be something else.
    assert not live_files(2, ("a", 4), ("b", 12), chunks=4).follows(older)
    assert not live_files(2, ("a", 8), ("b", 7), chunks=4).follows(older)
    assert not live_files(2, ("a", 8), ("x", 8), chunks=4).follows(older)
    assert not live_files(2, ("a", 16), chunks=4).follows(older)
    ragged = live_files(1, ("a", 7), chunks=2)
    assert not live_files(2, ("a", 8), chunks=2).follows(ragged)
    assert not live_files(2, ("a", 12), chunks=3).follows(ragged)


def test_another_publisher_or_chunk_length_does_not_follow() -> None:
    older = live(1, b"01234567")
    part = LivePart("concert", bytes(20), 2, False, b"")
    stranger = make_live(replace(live(2, b"01234567abcd"), live=part), SigningKey(b"\x08" * 32), DOMAIN)
    assert stranger.live is not None
    assert not stranger.follows(older)
    assert not live(2, b"01234567", chunk_bytes=8).follows(older)


def test_in_a_live_resource_the_newest_file_of_a_path_counts() -> None:
    cut = single(b"0123456789ab", 4)
    files = (FileEntry("list", 4, 0, 1), FileEntry("list", 8, 1, 2))
    part = LivePart("concert", bytes(20), 1, False, b"")
    made = make_live(Manifest(live_id("concert"), 4, cut.chunks, files, 5, part), KEY, DOMAIN)
    assert read(made.to_json()).find("list") == files[1]


def test_a_large_file_is_cut_in_bounded_memory(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    tracemalloc.start()
    try:
        manifest = cut_path(large, price_per_chunk=1)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert manifest.chunk_count == 800

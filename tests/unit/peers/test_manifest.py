"""Manifests: what is cut, what a stranger's must say, and what no reader may take."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from peers.canonical import canonical_json
from peers.chunk_store import cut_path
from peers.manifest import BadManifest, FileEntry, LivePart, Manifest, WrongChunk, live_id, make_fixed, make_live
from peers.manifest_reader import read_manifest

DOMAIN = Domain.of(20487, bytes(range(32)))
KEY = SigningKey(b"\x07" * 32)


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
    assert canonical_json({"b": 1, "a": 'é"\\\n\u001f'}) == '{"a":"é\\"\\\\\\n\\u001f","b":1}'.encode()
    assert folder(a=b"x").index() == b'[{"chunkCount":1,"firstChunk":1,"path":"a","size":1}]'


def test_a_length_that_the_chunk_does_not_have_is_the_manifests_fault() -> None:
    wrong = read({**single(b"x" * 30).to_json(), "chunkBytes": 11})
    with pytest.raises(BadManifest, match="the manifest says 11"):
        wrong.verify_chunk(0, b"x" * 10)


DAMAGES: list[tuple[str, Any]] = [
    ("version", 2),
    ("version", True),
    ("version", 1.0),
    ("kind", "other"),
    ("kind", "live"),
    ("resourceId", "0x" + "11" * 32),
    ("resourceId", "0X" + "11" * 32),
    ("chunkBytes", 0),
    ("chunkBytes", 20),
    ("chunkBytes", 4 * 1024 * 1024 + 1),
    ("chunkBytes", "10"),
    ("size", 31),
    ("size", True),
    ("chunks", []),
    ("chunks", {}),
    ("chunks", ["0x" + "11" * 32] * 4),
    ("files", []),
    ("files", [{"path": "a", "size": 30}]),
    ("pricePerChunk", 5),
    ("pricePerChunk", "0x05"),
    ("pricePerChunk", hex(1 << 128)),
    ("extra", 1),
    ("name", "x"),
]


@pytest.mark.parametrize(("member", "value"), DAMAGES)
@pytest.mark.parametrize("made", [single(b"x" * 30), folder(a=b"x" * 15, b=b"y" * 15)], ids=["file", "folder"])
def test_a_damaged_manifest_is_refused(made: Manifest, member: str, value: Any) -> None:
    with pytest.raises(BadManifest):
        read({**made.to_json(), member: value})


@pytest.mark.parametrize("member", single(b"x").to_json())
def test_a_missing_member_is_refused(member: str) -> None:
    found = single(b"x").to_json()
    del found[member]
    with pytest.raises(BadManifest):
        read(found)


BAD_PATHS = ["", "/a", "../a", "a/../b", "./a", "a//b", "a/", "a\\b", "a\x00b", "a\nb", "\u202ea", "x" * 256, "é" * 128]


@pytest.mark.parametrize("path", [*BAD_PATHS, "/".join(["x" * 200] * 6)])
def test_a_path_that_leads_elsewhere_is_refused_though_the_id_fits(path: str) -> None:
    made = make_fixed([(path, io.BytesIO(b"x"))], chunk_bytes=10, price_per_chunk=5, single=False)
    with pytest.raises(BadManifest, match="path"):
        read(made.to_json())


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"]])
def test_paths_that_exclude_each_other_are_refused(paths: list[str]) -> None:
    readers = [(path, io.BytesIO(b"x")) for path in paths]
    made = make_fixed(readers, chunk_bytes=10, price_per_chunk=5, single=False)
    with pytest.raises(BadManifest, match="a path is"):
        read(made.to_json())


def test_files_that_say_something_else_than_the_index_are_refused() -> None:
    found = folder(a=b"x" * 15, b=b"y" * 15).to_json()
    found["files"][0]["path"] = "c"
    with pytest.raises(BadManifest, match="index"):
        read(found)


@pytest.mark.parametrize("change", [("firstChunk", 2), ("chunkCount", 1), ("size", 100), ("size", -1)])
def test_files_that_do_not_cover_the_chunks_are_refused(change: tuple[str, int]) -> None:
    found = copy.deepcopy(folder(a=b"x" * 15, b=b"y" * 15).to_json())
    found["files"][0][change[0]] = change[1]
    with pytest.raises(BadManifest):
        read(found)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{", b"\xff", b'{"a":1,"a":1}', b'{"a":NaN}', b"[" * 100_000, b'{"version":1.5}']
)
def test_what_is_not_strict_json_is_refused(text: bytes) -> None:
    with pytest.raises(BadManifest):
        read_manifest(text)


def test_a_member_twice_and_a_lone_surrogate_are_refused() -> None:
    text = json.dumps(single(b"x").to_json())
    with pytest.raises(BadManifest, match="twice"):
        read_manifest(text.replace('"version": 1', '"version": 1, "version": 1').encode())
    with pytest.raises(BadManifest):
        read_manifest(text.replace("a.bin", "\\ud800").encode())


def test_a_live_manifest_is_its_publishers() -> None:
    made = live()
    assert read(made.to_json()) == made
    assert made.live is not None
    assert made.live.publisher == KEY.address


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 2},
        {"sequence": 0},
        {"ended": True},
        {"ended": 0},
        {"name": "other"},
        {"publisher": "0x" + "00" * 20},
        {"signature": "0x" + "00" * 65},
        {"signature": ""},
        {"chunks": live(data=b"0123456789aX").to_json()["chunks"]},
    ],
)
def test_a_live_manifest_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BadManifest):
        read({**live().to_json(), **change})


def test_a_live_manifest_of_another_chain_is_refused() -> None:
    with pytest.raises(BadManifest):
        read(live().to_json(), Domain.of(20487, bytes(32)))
    with pytest.raises(BadManifest, match="against a chain"):
        read(live().to_json(), None)


def test_what_follows_begins_like_the_older_one() -> None:
    older, newer = live(1, b"01234567"), live(2, b"01234567abcd")
    assert newer.follows(older)
    assert not older.follows(newer)
    assert not live(2, b"01234567").follows(live(2, b"0123"))
    assert not live(2, b"X1234567").follows(older)
    assert not newer.follows(live(1, b"01234567", ended=True))
    assert not newer.follows(single(b"x"))


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

"""What no reader may take of a stranger: every member, every form, every bound, with what was expected."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import pytest

from crypto.eip712 import Domain
from peers.manifest import BadManifest, Manifest, make_fixed
from peers.manifest_reader import (
    BRACKETS_MAX,
    MANIFEST_BYTES_MAX,
    NESTING_MAX,
    SIZE_LIMIT,
    check_path,
    read_manifest,
    read_quantity,
)

from .manifests import folder, live, read, single

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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "name: expected a printable text"),
        ({"name": "a\nb"}, "name: expected a printable text"),
        ({"name": "x" * 256}, "name: expected a printable text"),
        ({"name": 1}, "name: expected a printable text"),
        ({"ended": 0}, "ended: expected true or false"),
        ({"signature": "0x12"}, "signature: expected 65 bytes"),
        ({"publisher": 1}, "publisher: "),
        ({"sequence": 0}, "sequence: expected a whole number from 1"),
        ({"sequence": SIZE_LIMIT}, "sequence: expected a whole number from 1"),
        ({"name": "another"}, "resourceId is not the Keccak-256 of the name"),
        ({"sequence": 2}, "the signature is not the publisher's"),
        ({"size": 12}, "the members are not those of a live manifest"),
    ],
)
def test_each_refusal_of_a_live_manifest_says_why(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadManifest, match=says):
        read({**live().to_json(), **change})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 2}, "expected version 1, kind fixed or live"),
        ({"kind": "other"}, "expected version 1, kind fixed or live"),
        ({"more": 1}, "the members are not those of a fixed manifest"),
        ({"resourceId": "0x12"}, "resourceId: expected 32 bytes"),
        ({"chunkBytes": 0}, "chunkBytes: expected a whole number from 1"),
        ({"chunkBytes": True}, "chunkBytes: expected a whole number from 1"),
        ({"chunks": {}}, "chunks: expected an array"),
        ({"chunks": ["0x12"]}, "chunks: expected 32 bytes"),
        ({"files": [1]}, "files: expected {path, size, firstChunk, chunkCount}"),
        ({"pricePerChunk": "0x05"}, "pricePerChunk: expected a quantity below 2"),
        ({"size": 29}, "size: expected 30"),
        ({"size": SIZE_LIMIT}, "size: expected a whole number"),
        ({"resourceId": "0x" + "11" * 32}, "resourceId is not the root over the chunks"),
        ({"chunks": single(b"x" * 40).to_json()["chunks"]}, "the files have 3 chunks, the manifest 4"),
    ],
)
def test_each_refusal_of_a_fixed_manifest_says_why(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BadManifest, match=says):
        read({**single(b"x" * 30).to_json(), **change})


def test_brackets_and_bytes_are_bounded() -> None:
    deep = "[" * (NESTING_MAX + 1) + "]" * (NESTING_MAX + 1)
    with pytest.raises(BadManifest, match=f"at most {NESTING_MAX} levels"):
        read_manifest(deep.encode())
    with pytest.raises(BadManifest, match="expected an object"):
        read_manifest(deep[1:-1].encode())
    with pytest.raises(BadManifest, match=f"at most {MANIFEST_BYTES_MAX} bytes"):
        read_manifest(bytes(MANIFEST_BYTES_MAX + 1))
    with pytest.raises(BadManifest, match=f"at most {BRACKETS_MAX} objects and arrays"):
        read_manifest(b"[" + b"[]," * BRACKETS_MAX + b"[]]")


@pytest.mark.parametrize("path", ["a", "a/b.ts", "Ünder/1 2.m3u8", "é" * 127, "/".join(["x" * 250] * 4)])
def test_an_ordinary_path_is_taken(path: str) -> None:
    check_path(path)


def test_a_quantity_is_below_the_limit_of_amounts() -> None:
    assert read_quantity(hex((1 << 128) - 1), "amount") == (1 << 128) - 1
    for wrong in (hex(1 << 128), "0x", "0x00", "0X1", "1", 1, None, "0x1\n", "-0x1"):
        with pytest.raises(BadManifest, match="amount: expected a quantity"):
            read_quantity(wrong, "amount")


def test_a_path_of_a_live_resource_may_come_again_but_not_as_a_folder() -> None:
    found = live().to_json()
    entry = found["files"][0]
    empty = {"size": 0, "firstChunk": entry["chunkCount"], "chunkCount": 0}
    found["files"] = [{**entry, "path": "a"}, {**empty, "path": "a/b"}]
    with pytest.raises(BadManifest, match="a path is a file and a folder"):
        read(found)
    found["files"][1]["path"] = "a"
    with pytest.raises(BadManifest, match="signature"):  # all else is right
        read(found)

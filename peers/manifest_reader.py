"""Manifests of strangers: read strictly, checked completely, before anything in them is believed (docs/peers.md, 1)."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from crypto.address import parse_address
from crypto.eip712 import Domain
from crypto.merkle import hash_leaf
from crypto.nesting import nests_deeper
from crypto.signature import SIGNATURE_BYTES
from crypto.words import AMOUNT_LIMIT, UINT64_LIMIT

from .manifest import (
    CHUNK_BYTES_MAX,
    BadManifest,
    FileEntry,
    LivePart,
    Manifest,
    index_bytes,
    live_id,
    live_signer,
    root_of,
)

MANIFEST_BYTES_MAX: Final = 64 * 1024 * 1024
"""Leaf hashes of about 900,000 chunks: 200 GiB at the default size."""
BRACKETS_MAX: Final = 300_000
"""Of objects and arrays, and in names: a folder of 80,000 files, the most that an index has room for, needs a quarter.

Each costs a hundred bytes and more when it is read.
"""
NESTING_MAX: Final = 8
"""Levels of objects and arrays; a manifest has three."""
SIZE_LIMIT: Final = 2**53
"""Below it every JSON reader has the same number."""
PATH_BYTES_MAX: Final = 1024
NAME_BYTES_MAX: Final = 255
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_SIGNATURE = re.compile(rf"0x[0-9a-f]{{{2 * SIGNATURE_BYTES}}}", re.ASCII)
_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,31})", re.ASCII)
_COMMON: Final = frozenset({"version", "kind", "resourceId", "chunkBytes", "chunks", "files", "pricePerChunk"})
_FIXED: Final = _COMMON | {"size"}
_LIVE: Final = _COMMON | {"name", "publisher", "sequence", "ended", "signature"}
_ENTRY: Final = frozenset({"path", "size", "firstChunk", "chunkCount"})


def read_manifest(data: bytes, domain: Domain | None = None) -> Manifest:
    """Return the manifest of a JSON text, everything in it checked; raises BadManifest.

    A fixed one is what its resourceId says. A live one is signed by the publisher it names, under `domain`, without
    which it is refused: whether that is the right publisher is for the caller to know.
    """
    found = _parse(data)
    kind = found.get("kind")
    if type(found.get("version")) is not int or found["version"] != 1 or kind not in ("fixed", "live"):
        raise BadManifest("expected version 1, kind fixed or live")
    if found.keys() != (_FIXED if kind == "fixed" else _LIVE):
        raise BadManifest(f"the members are not those of a {kind} manifest")
    manifest = Manifest(
        resource_id=_hash(found["resourceId"], "resourceId"),
        chunk_bytes=_number(found["chunkBytes"], "chunkBytes", 1, CHUNK_BYTES_MAX + 1),
        chunks=tuple(_hash(leaf, "chunks") for leaf in _list(found["chunks"], "chunks")),
        files=tuple(_entry(entry) for entry in _list(found["files"], "files")),
        price_per_chunk=read_quantity(found["pricePerChunk"], "pricePerChunk"),
        live=_live_part(found) if kind == "live" else None,
    )
    _check_files(manifest)
    if manifest.live is None:
        _check_fixed(manifest, found["size"])
    else:
        _check_live(manifest, manifest.live, domain)
    return manifest


def read_quantity(value: object, name: str) -> int:
    """Return an amount of base units; raises BadManifest."""
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value) or int(value, 16) >= AMOUNT_LIMIT:
        raise BadManifest(f"{name}: expected a quantity below 2^128")
    return int(value, 16)


def check_path(path: str) -> None:
    """Refuse a path that would lead out of its folder or that not every system can name; raises BadManifest."""
    parts = path.split("/")
    bad = not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts)
    if bad or len(path.encode()) > PATH_BYTES_MAX or any(len(part.encode()) > NAME_BYTES_MAX for part in parts):
        raise BadManifest(f"path: expected a relative path of plain names, given {path[:80]!a}")


def _check_files(manifest: Manifest) -> None:
    """Check that the files' chunks come one after another and cover all chunks but the index."""
    position = 1 if manifest.has_index else 0
    for file in manifest.files:
        expected = (position, -(-file.size // manifest.chunk_bytes))
        if (file.first_chunk, file.chunk_count) != expected:
            raise BadManifest(f"{file.path!a}: expected firstChunk and chunkCount {expected}")
        position += file.chunk_count
    if position != len(manifest.chunks):
        raise BadManifest(f"the files have {position} chunks, the manifest {len(manifest.chunks)}")
    paths = [file.path for file in manifest.files]
    names = set(paths)
    if manifest.live is None and len(names) != len(paths):
        raise BadManifest("a path is there twice")
    folders = {
        "/".join(parts[:depth]) for parts in (path.split("/") for path in names) for depth in range(1, len(parts))
    }
    if folders & names:
        raise BadManifest("a path is a file and a folder")


def _check_fixed(manifest: Manifest, size: object) -> None:
    if _number(size, "size", 0, SIZE_LIMIT) != manifest.size:
        raise BadManifest(f"size: expected {manifest.size}")
    if manifest.has_index and hash_leaf(index_bytes(manifest.files)) != manifest.chunks[0]:
        raise BadManifest("chunk 0 is not the index of these files")
    if root_of(manifest.chunks) != manifest.resource_id:
        raise BadManifest("resourceId is not the root over the chunks")


def _check_live(manifest: Manifest, live: LivePart, domain: Domain | None) -> None:
    if domain is None:
        raise BadManifest("a live manifest can only be checked against a chain")
    if live_id(live.name) != manifest.resource_id:
        raise BadManifest("resourceId is not the Keccak-256 of the name")
    if live_signer(manifest, domain) != live.publisher:
        raise BadManifest("the signature is not the publisher's")


def _live_part(found: dict[str, Any]) -> LivePart:
    name, signature = found["name"], found["signature"]
    if not isinstance(name, str) or not 0 < len(name) <= NAME_BYTES_MAX or not name.isprintable():
        raise BadManifest("name: expected a printable text")
    if type(found["ended"]) is not bool:
        raise BadManifest("ended: expected true or false")
    if not isinstance(signature, str) or not _SIGNATURE.fullmatch(signature):
        raise BadManifest("signature: expected 65 bytes as 0x-hex")
    try:
        publisher = parse_address(found["publisher"] if isinstance(found["publisher"], str) else "")
    except ValueError as error:
        raise BadManifest(f"publisher: {error}") from error
    sequence = _number(found["sequence"], "sequence", 1, min(UINT64_LIMIT, SIZE_LIMIT))
    return LivePart(name, publisher, sequence, found["ended"], bytes.fromhex(signature[2:]))


def _entry(value: object) -> FileEntry:
    if not isinstance(value, dict) or value.keys() != _ENTRY or not isinstance(value["path"], str):
        raise BadManifest("files: expected {path, size, firstChunk, chunkCount}")
    check_path(value["path"])
    sizes = (_number(value[name], name, 0, SIZE_LIMIT) for name in ("size", "firstChunk", "chunkCount"))
    return FileEntry(value["path"], *sizes)


def _number(value: object, name: str, least: int, limit: int) -> int:
    if type(value) is not int or not least <= value < limit:
        raise BadManifest(f"{name}: expected a whole number from {least} to {limit - 1}")
    return value


def _hash(value: object, name: str) -> bytes:
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise BadManifest(f"{name}: expected 32 bytes as 0x-hex")
    return bytes.fromhex(value[2:])


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise BadManifest(f"{name}: expected an array")
    return value


def _parse(data: bytes) -> dict[str, Any]:
    if len(data) > MANIFEST_BYTES_MAX:
        raise BadManifest(f"expected at most {MANIFEST_BYTES_MAX} bytes, given {len(data)}")
    if data.count(b"[") + data.count(b"{") > BRACKETS_MAX:
        raise BadManifest(f"expected at most {BRACKETS_MAX} objects and arrays")
    if nests_deeper(data, NESTING_MAX):
        raise BadManifest(f"not JSON of at most {NESTING_MAX} levels")
    try:
        text = data.decode()
        found = json.loads(text, object_pairs_hook=_object, parse_float=_refuse_number, parse_constant=_refuse_number)
        # A lone surrogate can be written as an escape, but is no text.
        json.dumps(found, ensure_ascii=False).encode()
    except ValueError as error:
        raise BadManifest(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadManifest("expected an object")
    return found


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member is there twice")
    return found


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of a manifest")

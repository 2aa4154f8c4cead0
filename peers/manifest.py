"""What a resource consists of: chunks, their leaf hashes, the files they make up (docs/peers.md, section 1).

A *fixed* resource is named by the RFC 9162 root over its chunks, so that its id authenticates every chunk. A *live* one
is named by the Keccak-256 of its name; its manifest grows and is signed by its publisher. Pure: bytes come in through
readers that are handed in. Sizes are in bytes, prices in base units.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final, NewType

from crypto.address import checksum_address
from crypto.eip712 import Domain, StructType, struct_hash
from crypto.hashing import keccak256
from crypto.merkle import Frontier, hash_leaf
from crypto.signature import InvalidSignature, SigningKey, recover
from crypto.words import encode_uint

from .canonical import canonical_json

CHUNK_BYTES_DEFAULT: Final = 256 * 1024
CHUNK_BYTES_MAX: Final = 4 * 1024 * 1024
"""No chunk is larger, the index of a folder neither: what has to fit into memory a few times."""
LIVE_MANIFEST: Final = StructType(
    "LiveManifest",
    (
        ("resourceId", "bytes32"),
        ("sequence", "uint64"),
        ("chunkCount", "uint64"),
        ("root", "bytes32"),
        ("filesHash", "bytes32"),
        ("ended", "bool"),
    ),
)
_TYPE_HASH = LIVE_MANIFEST.type_hash()
Json = dict[str, Any]


ChunkData = NewType("ChunkData", bytes)
"""The bytes of a chunk that were compared with a manifest. Who may be handed anything takes `bytes`."""


class BadManifest(Exception):
    """Bytes or members are not a manifest, or not one of this resource; the argument says why."""


class WrongChunk(Exception):
    """Data is not the chunk that was asked for; the argument says how."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a resource and the chunks that it consists of."""

    path: str
    """Relative, with `/` between the parts."""
    size: int
    first_chunk: int
    chunk_count: int

    def to_json(self) -> Json:
        """Return the entry as in the manifest and in the index."""
        return {
            "path": self.path,
            "size": self.size,
            "firstChunk": self.first_chunk,
            "chunkCount": self.chunk_count,
        }


@dataclass(frozen=True, slots=True)
class LivePart:
    """What only a live manifest has."""

    name: str
    publisher: bytes
    sequence: int
    ended: bool
    signature: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checked manifest: made by `make_fixed`, `make_live` or `manifest_reader.read_manifest`."""

    resource_id: bytes
    chunk_bytes: int
    chunks: tuple[bytes, ...]
    """The leaf hash of each chunk."""
    files: tuple[FileEntry, ...]
    price_per_chunk: int
    live: LivePart | None = None
    """None for a fixed resource."""
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Keep where the files start, for `chunk_size`."""
        object.__setattr__(self, "_starts", tuple(file.first_chunk for file in self.files))

    @property
    def size(self) -> int:
        """The bytes of all files; an index is not counted."""
        return sum(file.size for file in self.files)

    @property
    def chunk_count(self) -> int:
        """How many chunks there are, an index included."""
        return len(self.chunks)

    @property
    def has_index(self) -> bool:
        """Whether chunk 0 is the index: so it is with every fixed resource but a single file."""
        return self.live is None and not self.is_single_file

    @property
    def is_single_file(self) -> bool:
        """Whether the resource is one file whose chunks begin with chunk 0."""
        return len(self.files) == 1 and self.files[0].first_chunk == 0

    @property
    def name(self) -> str:
        """A name for people: the live name, a file's path, or the id's beginning for a folder."""
        if self.live is not None:
            return self.live.name
        return self.files[0].path if self.is_single_file else f"0x{self.resource_id.hex()[:16]}"

    def index(self) -> ChunkData:
        """Return the bytes of chunk 0 of a folder."""
        return ChunkData(index_bytes(self.files))

    def chunk_size(self, index: int) -> int:
        """Return how long a chunk is; raises IndexError for a chunk that is not there."""
        if not 0 <= index < len(self.chunks):
            raise IndexError(index)
        if index == 0 and self.has_index:
            return len(self.index())
        file, offset = self.place(index)
        return min(self.chunk_bytes, file.size - offset)

    def place(self, index: int) -> tuple[FileEntry, int]:
        """Return the file that a chunk other than an index belongs to, and where in it the chunk starts, in bytes."""
        file = self.files[bisect_right(self._starts, index) - 1]
        return file, (index - file.first_chunk) * self.chunk_bytes

    def path_below(self, root: Path, file: FileEntry) -> Path:
        """Return where a file is, below the folder `root`; of a single file `root` is the file."""
        return root if self.is_single_file else root / file.path

    def verify_chunk(self, index: int, data: bytes) -> ChunkData:
        """Return `data` as what it is if it is this chunk; raises WrongChunk.

        Raises BadManifest for bytes that have the right hash and not the length that the manifest says: an id commits
        to the chunks, not to chunkBytes, so it is the manifest that is wrong and not who gave the chunk.
        """
        if not 0 <= index < len(self.chunks):
            raise WrongChunk(f"there are {len(self.chunks)} chunks, none has the index {index}")
        if len(data) > CHUNK_BYTES_MAX or hash_leaf(data) != self.chunks[index]:
            raise WrongChunk(f"{len(data)} bytes are not chunk {index}")
        if len(data) != self.chunk_size(index):
            raise BadManifest(f"chunk {index} has {len(data)} bytes, the manifest says {self.chunk_size(index)}")
        return ChunkData(data)

    def find(self, path: str) -> FileEntry | None:
        """Return the file of this path: in a live resource the newest one, which replaces those before it."""
        return next((file for file in reversed(self.files) if file.path == path), None)

    def to_json(self) -> Json:
        """Return the manifest as it is served."""
        common = {
            "resourceId": f"0x{self.resource_id.hex()}",
            "chunkBytes": self.chunk_bytes,
            "chunks": [f"0x{leaf.hex()}" for leaf in self.chunks],
            "files": [file.to_json() for file in self.files],
            "pricePerChunk": hex(self.price_per_chunk),
        }
        if self.live is None:
            return {"version": 1, "kind": "fixed", "size": self.size, **common}
        return {
            "version": 1,
            "kind": "live",
            "name": self.live.name,
            "publisher": checksum_address(self.live.publisher),
            "sequence": self.live.sequence,
            "ended": self.live.ended,
            "signature": f"0x{self.live.signature.hex()}",
            **common,
        }

    def follows(self, older: Manifest) -> bool:
        """Tell whether this is a later state of the same live resource.

        It is newer, signed by the same publisher, and begins with the older one's chunks and files. Only the last of
        those files may have grown, and only behind whole chunks.
        """
        if self.live is None or older.live is None or self.live.sequence <= older.live.sequence or older.live.ended:
            return False
        same = (self.resource_id, self.chunk_bytes, self.live.publisher)
        if same != (older.resource_id, older.chunk_bytes, older.live.publisher):
            return False
        if self.chunks[: len(older.chunks)] != older.chunks or len(self.files) < len(older.files):
            return False
        before = len(older.files) - 1
        return self.files[: max(0, before)] == older.files[: max(0, before)] and (
            before < 0 or self._continues(self.files[before], older.files[before])
        )

    def _continues(self, file: FileEntry, older: FileEntry) -> bool:
        """Tell whether a file is the older one, or that with more chunks behind it."""
        has_grown = file.size > older.size and older.size % self.chunk_bytes == 0
        return file.path == older.path and (file.size == older.size or has_grown)


def cut(reader: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """Yield the leaf hash of each chunk of a file, read once in bounded memory."""
    buffer = memoryview(bytearray(chunk_bytes))
    while length := _fill(reader, buffer):
        leaf = hashlib.sha256(b"\x00")
        leaf.update(buffer[:length])
        yield leaf.digest()


def make_fixed(
    files: Iterable[tuple[str, BinaryIO]], *, chunk_bytes: int, price_per_chunk: int, single: bool
) -> Manifest:
    """Return the manifest of a single file, or of a folder's files in their playing order; raises BadManifest."""
    start = 0 if single else 1
    entries, leaves = _cut_files(files, chunk_bytes, start)
    if not single:
        leaves.insert(0, hash_leaf(index_bytes(entries)))
    return Manifest(root_of(leaves), chunk_bytes, tuple(leaves), tuple(entries), price_per_chunk)


def make_live(manifest: Manifest, key: SigningKey, domain: Domain) -> Manifest:
    """Return a live manifest (its `live` part says name, sequence and end) signed by its publisher."""
    if manifest.live is None:
        raise BadManifest("expected a live manifest")
    unsigned = replace(manifest, live=replace(manifest.live, publisher=key.address))
    signature = key.sign(_live_digest(unsigned, domain))
    return replace(unsigned, live=replace(manifest.live, publisher=key.address, signature=signature))


def live_signer(manifest: Manifest, domain: Domain) -> bytes:
    """Return the address that signed a live manifest; raises BadManifest."""
    if manifest.live is None:
        raise BadManifest("a fixed manifest has no signature")
    try:
        return recover(_live_digest(manifest, domain), manifest.live.signature)
    except InvalidSignature as error:
        raise BadManifest(f"the signature is not valid: {error}") from error


def live_id(name: str) -> bytes:
    """Return the resourceId of a live resource."""
    return keccak256(name.encode())


def index_bytes(files: Iterable[FileEntry]) -> bytes:
    """Return the canonical JSON of `files`: chunk 0 of a folder; raises BadManifest when it is too long."""
    found = canonical_json([file.to_json() for file in files])
    if len(found) > CHUNK_BYTES_MAX:
        raise BadManifest(f"the index of so many files has {len(found)} bytes: at most {CHUNK_BYTES_MAX} are possible")
    return found


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Return the RFC 9162 root over leaf hashes."""
    frontier = Frontier(0, lambda _level, _index: b"")
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def _live_digest(manifest: Manifest, domain: Domain) -> bytes:
    live = manifest.live
    if live is None:
        raise BadManifest("a fixed manifest is not signed")
    files_hash = keccak256(canonical_json([file.to_json() for file in manifest.files]))
    words = (
        manifest.resource_id,
        encode_uint(live.sequence),
        encode_uint(len(manifest.chunks)),
        root_of(manifest.chunks),
        files_hash,
        encode_uint(int(live.ended)),
    )
    return domain.digest(struct_hash(_TYPE_HASH, b"".join(words)))


def _cut_files(
    files: Iterable[tuple[str, BinaryIO]], chunk_bytes: int, start: int
) -> tuple[list[FileEntry], list[bytes]]:
    entries: list[FileEntry] = []
    leaves: list[bytes] = []
    for path, reader in files:
        first = start + len(leaves)
        leaves += cut(reader, chunk_bytes)
        entries.append(FileEntry(path, reader.tell(), first, start + len(leaves) - first))
    return entries, leaves


def _fill(reader: BinaryIO, buffer: memoryview) -> int:
    """Read until the buffer is full or the file ends; return how much was read."""
    length = 0
    while length < len(buffer):
        count = reader.readinto(buffer[length:])  # type: ignore[attr-defined]  # every binary file has it
        if not count:
            break
        length += count
    return length

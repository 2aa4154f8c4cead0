"""Chunks of resources on disk: a view over the publisher's own files, and a store that chunks are put into one by one.

A chunk counts only when it verifies. What a store says it has is a hint, written without waiting for the disk: the
first read of a chunk after opening checks it against the manifest, so that a crash at any moment, or a damaged disk,
at worst makes a chunk missing again. Calls block for a disk's moment; a server calls them from a thread if it minds.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self

from crypto.eip712 import Domain

from .manifest import CHUNK_BYTES_DEFAULT, BadManifest, ChunkData, FileEntry, Manifest, WrongChunk, make_fixed
from .manifest_reader import check_path, read_manifest

MANIFEST_FILE: Final = "manifest.json"
_DATA: Final = "data"
_HAVE: Final = "have"
_COPY_BYTES: Final = 1 << 20


class ChunkMissing(Exception):
    """A chunk is not here, or not any more."""


class ChunkSource(Protocol):
    """Where chunks of one resource come from."""

    @property
    def manifest(self) -> Manifest:
        """The resource."""
        ...

    def has(self, index: int) -> bool:
        """Tell whether a chunk is probably here."""
        ...

    def read(self, index: int) -> ChunkData:
        """Return a chunk that verifies; raises ChunkMissing."""
        ...

    def piece(self, index: int, start: int, length: int) -> bytes:
        """Return a part of a chunk that `read` has verified, as it is now; raises OSError."""
        ...


class OriginFiles:
    """A view over the original file or folder: nothing is copied."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        """Take the file or folder that `manifest` was made of."""
        self._root = root
        self.manifest = manifest

    def has(self, index: int) -> bool:
        """Tell whether the resource has such a chunk."""
        return 0 <= index < self.manifest.chunk_count

    def are_whole(self) -> bool:
        """Tell whether the files are there and as long as the manifest says; what is in them `read` tells."""
        for file in self.manifest.files:
            path = self.manifest.path_below(self._root, file)
            if not path.is_file() or path.stat().st_size != file.size:
                return False
        return True

    def read(self, index: int) -> ChunkData:
        """Return a chunk; raises ChunkMissing, also when the file was changed since it was published."""
        if not self.has(index):
            raise ChunkMissing(f"there is no chunk {index}")
        if index == 0 and self.manifest.has_index:
            return self.manifest.index()
        try:
            return self.manifest.verify_chunk(index, self.piece(index, 0, self.manifest.chunk_size(index)))
        except (OSError, WrongChunk) as error:
            file, _ = self.manifest.place(index)
            raise ChunkMissing(f"{file.path} was changed or removed since it was published") from error

    def piece(self, index: int, start: int, length: int) -> bytes:
        """Return a part of a chunk, unverified; raises OSError."""
        if index == 0 and self.manifest.has_index:
            return self.manifest.index()[start : start + length]
        file, offset = self.manifest.place(index)
        path = self.manifest.path_below(self._root, file)
        with path.open("rb", buffering=0) as reader:
            return os.pread(reader.fileno(), length, offset + start)


class ChunkStore:
    """One resource's chunks in a directory: a sparse file, a bitmap and the manifest. One process at a time writes."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        """Open or begin the store in `folder`. Raises OSError, and BadManifest for a folder of another resource."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = folder / MANIFEST_FILE
        self._folder = folder
        if kept.exists() and f'"0x{manifest.resource_id.hex()}"' not in kept.read_text():
            raise BadManifest(f"{folder} holds another resource")
        self.manifest = manifest
        self._write_manifest()
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._data = os.open(folder / _DATA, flags, 0o600)
        self._have = os.open(folder / _HAVE, flags, 0o600)
        self._bits = bytearray(os.pread(self._have, os.fstat(self._have).st_size, 0))
        self._verified: set[int] = set()
        self._grow()

    @classmethod
    def open(cls, folder: Path, domain: Domain | None = None) -> Self:
        """Open the store that `folder` holds. Raises OSError and BadManifest."""
        return cls(folder, read_manifest((folder / MANIFEST_FILE).read_bytes(), domain))

    def __enter__(self) -> Self:
        """Hold the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._data, self._have):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._data = self._have = -1

    def has(self, index: int) -> bool:
        """Tell whether a chunk is noted as here; an index always is, because the manifest has it."""
        if index == 0 and self.manifest.has_index:
            return True
        return 0 <= index < self.manifest.chunk_count and bool(self._bits[index >> 3] >> (index & 7) & 1)

    def count(self) -> int:
        """Return how many chunks are noted as here."""
        noted = sum(byte.bit_count() for byte in self._bits)
        return noted + (1 if self.manifest.has_index and not self._bits[0] & 1 else 0)

    def missing(self, start: int = 0, stop: int | None = None) -> Iterator[int]:
        """Yield the chunks of a range that are not here, in playing order."""
        end = self.manifest.chunk_count if stop is None else stop
        return (index for index in range(start, end) if not self.has(index))

    def put(self, index: int, data: ChunkData) -> None:
        """Keep a chunk; raises OSError."""
        if index == 0 and self.manifest.has_index:
            return
        written, offset = 0, index * self.manifest.chunk_bytes
        while written < len(data):
            written += os.pwrite(self._data, memoryview(data)[written:], offset + written)
        self._note(index, here=True)
        self._verified.add(index)

    def read(self, index: int) -> ChunkData:
        """Return a chunk that verifies; raises ChunkMissing, and forgets what turns out to be damaged."""
        if not self.has(index):
            raise ChunkMissing(f"chunk {index} is not here")
        if index == 0 and self.manifest.has_index:
            return self.manifest.index()
        data = os.pread(self._data, self.manifest.chunk_size(index), index * self.manifest.chunk_bytes)
        if index not in self._verified:
            try:
                self.manifest.verify_chunk(index, data)
            except WrongChunk as error:
                self._note(index, here=False)
                raise ChunkMissing(f"chunk {index} was damaged") from error
            self._verified.add(index)
        return ChunkData(data)

    def check(self) -> int:
        """Read every chunk that is noted as here, forget the damaged ones, and return how many there are."""
        for index in range(self.manifest.chunk_count):
            if self.has(index):
                with contextlib.suppress(ChunkMissing):
                    self.read(index)
        return self.count()

    def follow(self, manifest: Manifest) -> None:
        """Go on to a newer manifest of a live resource; raises BadManifest."""
        if not manifest.follows(self.manifest):
            raise BadManifest("not a newer manifest of this live resource")
        self.manifest = manifest
        self._grow()
        self._write_manifest()

    def expect_place(self, target: Path) -> None:
        """Raise OSError where `export` could not write, as far as can be told before anything is bought."""
        for file in self.manifest.files:
            place = self.manifest.path_below(target, file)
            if place.exists() and not place.is_file():
                raise FileExistsError(errno.EEXIST, "expected the name of a file, for this is none", str(place))
            folder = next(parent for parent in place.absolute().parents if parent.exists())
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "expected a folder", str(folder))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "nothing can be written here", str(folder))

    def export(self, target: Path) -> None:
        """Write the whole resource to a file, or for a folder to a new folder; raises ChunkMissing and OSError."""
        if self.manifest.is_single_file:
            self._write_file(self.manifest.files[0], target)
            return
        for file in self.manifest.files:
            check_path(file.path)
            (target / file.path).parent.mkdir(parents=True, exist_ok=True)
            self._write_file(file, target / file.path)

    def remove(self) -> None:
        """Delete the store."""
        self.close()
        shutil.rmtree(self._folder)

    def _write_file(self, file: FileEntry, target: Path) -> None:
        draft = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with draft.open("xb") as out:
                for index in range(file.first_chunk, file.first_chunk + file.chunk_count):
                    out.write(self.read(index))
                out.flush()
                os.fsync(out.fileno())
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def _note(self, index: int, *, here: bool) -> None:
        bit = 1 << (index & 7)
        self._bits[index >> 3] = self._bits[index >> 3] | bit if here else self._bits[index >> 3] & ~bit
        os.pwrite(self._have, self._bits[index >> 3 : (index >> 3) + 1], index >> 3)

    def _grow(self) -> None:
        self._bits.extend(bytes(max(0, -(-self.manifest.chunk_count // 8) - len(self._bits))))

    def _write_manifest(self) -> None:
        text, kept = json.dumps(self.manifest.to_json()), self._folder / MANIFEST_FILE
        if kept.exists() and kept.read_text() == text:
            return  # a full disk does not keep anybody from reading what is there
        draft = self._folder / f"{MANIFEST_FILE}.new"
        draft.write_text(text)
        draft.replace(kept)


def cut_path(root: Path, *, chunk_bytes: int = CHUNK_BYTES_DEFAULT, price_per_chunk: int) -> Manifest:
    """Return the manifest of a file or of a folder with everything in it. Raises OSError and BadManifest.

    A folder's files are in the order of their paths; hidden ones and links are left out. What is read once is not kept.
    """
    if root.is_file():
        check_path(root.name)
        with root.open("rb", buffering=0) as reader:
            files = [(root.name, _binary(reader))]
            return make_fixed(files, chunk_bytes=chunk_bytes, price_per_chunk=price_per_chunk, single=True)
    return make_fixed(_opened(root), chunk_bytes=chunk_bytes, price_per_chunk=price_per_chunk, single=False)


def folder_files(root: Path) -> list[Path]:
    """Return the files below a folder that are published, in the order of their paths' bytes."""
    found = [
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and not _is_hidden(path, root)
    ]
    return sorted(found, key=lambda path: path.relative_to(root).as_posix().encode())


def _opened(root: Path) -> Iterator[tuple[str, BinaryIO]]:
    for path in folder_files(root):
        name = path.relative_to(root).as_posix()
        check_path(name)
        with path.open("rb", buffering=0) as reader:
            yield name, _binary(reader)


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _binary(reader: object) -> BinaryIO:
    return reader  # type: ignore[return-value]  # FileIO has all that is used of it

"""A folder that grows while it is published: what an encoder writes becomes chunks of a live resource.

A file is taken once it has not changed for a moment; playlists after everything else, because they name what must be
there already. A playlist that is written anew becomes a new file of the same path; its bytes are kept in memory.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

from crypto.eip712 import Domain
from crypto.signature import SigningKey

from .chunk_store import ChunkMissing, folder_files
from .manifest import BadManifest, FileEntry, LivePart, Manifest, WrongChunk, cut, live_id, make_live
from .manifest_reader import check_path

SETTLED_SECONDS: Final = 0.7
_PLAYLIST_BYTES_MAX: Final = 1 << 20
_Stamp = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Taken:
    """Where the bytes of one file entry are."""

    path: Path
    data: bytes | None
    """A playlist as it was when it was taken."""


class LiveFolder:
    """The publisher's side of a live resource; a `ChunkSource`."""

    def __init__(
        self, root: Path, name: str, key: SigningKey, domain: Domain, *, chunk_bytes: int, price_per_chunk: int
    ) -> None:
        """Begin with what `scan` finds."""
        self._root = root
        self._key = key
        self._domain = domain
        self._taken: list[_Taken] = []
        self._stamps: dict[Path, _Stamp] = {}
        part = LivePart(name, key.address, 1, ended=False, signature=b"")
        self.manifest = make_live(Manifest(live_id(name), chunk_bytes, (), (), price_per_chunk, part), key, domain)

    def has(self, index: int) -> bool:
        """Tell whether there is such a chunk by now."""
        return 0 <= index < self.manifest.chunk_count

    def read(self, index: int) -> bytes:
        """Return a chunk; raises ChunkMissing, also when a file was removed or changed since it was taken."""
        if not self.has(index):
            raise ChunkMissing(f"there is no chunk {index} yet")
        file, offset = self.manifest.place(index)
        taken, size = self._taken[self.manifest.files.index(file)], self.manifest.chunk_size(index)
        try:
            if taken.data is not None:
                data = taken.data[offset : offset + size]
            else:
                with taken.path.open("rb", buffering=0) as reader:
                    data = os.pread(reader.fileno(), size, offset)
            self.manifest.verify_chunk(index, data)
        except (OSError, WrongChunk, BadManifest) as error:
            raise ChunkMissing(f"{file.path} was changed or removed since it was published") from error
        return data

    def scan(self, now: float) -> bool:
        """Take what is new and settled at the Unix time `now`; tell whether the manifest is a newer one.

        The resource ends when every playlist of segments says so (`#EXT-X-ENDLIST`) and nothing is left to be taken.
        """
        live = self.manifest.live
        if live is None or live.ended:
            return False
        chunks, files = [*self.manifest.chunks], [*self.manifest.files]
        paths = sorted(folder_files(self._root), key=lambda path: (_is_playlist(path), path.as_posix()))
        is_settled = True
        for path in paths:
            is_settled &= self._take(path, now, chunks, files)
        ended = is_settled and _says_end([taken.data for taken in self._newest().values()])
        if len(files) == len(self.manifest.files) and not ended:
            return False
        part = replace(live, sequence=live.sequence + 1, ended=ended)
        grown = replace(self.manifest, chunks=tuple(chunks), files=tuple(files), live=part)
        self.manifest = make_live(grown, self._key, self._domain)
        return True

    def _take(self, path: Path, now: float, chunks: list[bytes], files: list[FileEntry]) -> bool:
        """Take a file if it is new and settled; tell whether it is settled."""
        found = path.stat()
        stamp = (found.st_mtime_ns, found.st_size)
        if self._stamps.get(path) == stamp or (path in self._stamps and not _is_playlist(path)):
            return True
        if now - found.st_mtime < SETTLED_SECONDS or not found.st_size:
            return False
        name = path.relative_to(self._root).as_posix()
        check_path(name)
        kept = path.read_bytes() if _is_playlist(path) and found.st_size <= _PLAYLIST_BYTES_MAX else None
        with path.open("rb", buffering=0) as file:
            reader = cast("BinaryIO", file) if kept is None else io.BytesIO(kept)
            leaves = [*cut(reader, self.manifest.chunk_bytes)]
            entry = FileEntry(name, reader.tell(), len(chunks), len(leaves))
        chunks += leaves
        files.append(entry)
        self._taken.append(_Taken(path, kept))
        self._stamps[path] = stamp
        return True

    def _newest(self) -> dict[Path, _Taken]:
        """Return the newest state of each playlist."""
        return {taken.path: taken for taken in self._taken if taken.data is not None}


def _is_playlist(path: Path) -> bool:
    return path.suffix == ".m3u8"


def _says_end(playlists: list[bytes | None]) -> bool:
    media = [text for text in playlists if text is not None and b"#EXTINF" in text]
    return bool(media) and all(b"#EXT-X-ENDLIST" in text for text in media)

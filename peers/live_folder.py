"""A folder that grows while it is published: what an encoder writes becomes chunks of a live resource.

An encoder names a segment in a playlist when it is complete: so a playlist that has not changed for a moment is taken,
after all the files that it names. What no playlist names may still be growing, however slowly, and waits until it has
not changed for long. A playlist that is written anew becomes a new file of the same path; its bytes are kept in memory.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast
from urllib.parse import unquote

from crypto.eip712 import Domain
from crypto.signature import SigningKey

from .chunk_store import ChunkMissing, folder_files
from .manifest import BadManifest, ChunkData, FileEntry, LivePart, Manifest, WrongChunk, cut, live_id, make_live
from .manifest_reader import check_path

PLAYLIST_SECONDS: Final = 0.2
"""Short beside the time between two segments: else a playlist that is always new is never taken."""
UNNAMED_SECONDS: Final = 10.0
"""An encoder of little sound may write to a segment every few seconds only."""
_PLAYLIST_BYTES_MAX: Final = 1 << 20
_URI: Final = re.compile(rb'^(?:#EXT[^\n]*?\bURI="([^"\n]*)"|([^#\s][^\n]*))', re.MULTILINE)
"""RFC 8216, section 4.1: a line that is no tag, or the attribute of one."""
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

    def read(self, index: int) -> ChunkData:
        """Return a chunk; raises ChunkMissing, also when a file was removed or changed since it was taken."""
        if not self.has(index):
            raise ChunkMissing(f"there is no chunk {index} yet")
        try:
            return self.manifest.verify_chunk(index, self.piece(index, 0, self.manifest.chunk_size(index)))
        except (OSError, WrongChunk, BadManifest) as error:
            file, _ = self.manifest.place(index)
            raise ChunkMissing(f"{file.path} was changed or removed since it was published") from error

    def piece(self, index: int, start: int, length: int) -> bytes:
        """Return a part of a chunk, unverified; raises OSError."""
        file, offset = self.manifest.place(index)
        taken = self._taken[self.manifest.files.index(file)]
        if taken.data is not None:
            return taken.data[offset + start : offset + start + length]
        with taken.path.open("rb", buffering=0) as reader:
            return os.pread(reader.fileno(), length, offset + start)

    def scan(self, now: float) -> bool:
        """Take what is new and settled at the Unix time `now`; tell whether the manifest is a newer one.

        The resource ends when every playlist of segments says so (`#EXT-X-ENDLIST`) and nothing is left to be taken.
        """
        live = self.manifest.live
        if live is None or live.ended:
            return False
        chunks, files = [*self.manifest.chunks], [*self.manifest.files]
        before = [*self._taken], {**self._stamps}
        try:
            return self._scan(now, live, chunks, files)
        except BaseException:
            # What was taken belongs to the manifest that did not come about.
            self._taken, self._stamps = before
            raise

    def _scan(self, now: float, live: LivePart, chunks: list[bytes], files: list[FileEntry]) -> bool:
        is_settled = True
        for path, wait in self._in_order():
            is_settled &= self._take(path, now - wait, chunks, files)
        ended = is_settled and _says_end(taken.data or b"" for taken in self._newest().values())
        if len(files) == len(self.manifest.files) and not ended:
            return False
        part = replace(live, sequence=live.sequence + 1, ended=ended)
        grown = replace(self.manifest, chunks=tuple(chunks), files=tuple(files), live=part)
        self.manifest = make_live(grown, self._key, self._domain)
        return True

    def _in_order(self) -> Iterator[tuple[Path, float]]:
        """Yield the files as they are to be taken, each with the seconds for which it must not have changed.

        A playlist names other playlists, segments and keys: the outermost comes last.
        """
        found = folder_files(self._root)
        texts = {path: path.read_bytes() for path in found if _is_playlist(path)}
        named = {path: {*_named(path, text)} for path, text in texts.items()}
        complete = {name for names in named.values() for name in names}
        unnamed_seconds = PLAYLIST_SECONDS if _says_end(texts.values()) else UNNAMED_SECONDS
        for path in found:
            if path not in texts:
                yield path, 0.0 if path in complete else unnamed_seconds
        for path in sorted(texts, key=lambda path: (not named[path].isdisjoint(texts), path.as_posix())):
            yield path, PLAYLIST_SECONDS

    def _take(self, path: Path, latest: float, chunks: list[bytes], files: list[FileEntry]) -> bool:
        """Take a file if it is new and was last changed by `latest`; tell whether it was."""
        found = path.stat()
        stamp = (found.st_mtime_ns, found.st_size)
        if self._stamps.get(path) == stamp or (path in self._stamps and not _is_playlist(path)):
            return True
        if found.st_mtime > latest or not found.st_size:
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


def _named(playlist: Path, text: bytes) -> Iterator[Path]:
    """Yield the files that a playlist names, whether or not they are there."""
    for attribute, line in _URI.findall(text):
        name = unquote((attribute or line).strip().decode("utf-8", "replace").partition("?")[0])
        yield Path(os.path.normpath(playlist.parent / name))


def _says_end(playlists: Iterable[bytes]) -> bool:
    media = [text for text in playlists if b"#EXTINF" in text]
    return bool(media) and all(b"#EXT-X-ENDLIST" in text for text in media)

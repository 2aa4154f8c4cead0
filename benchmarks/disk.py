"""What lies on the disk for a node that has stopped: by kind of entry, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import plyvel

from poolchain.data_directory import DataDirectory
from storage.leveldb import DEFAULT_SETTINGS

from .bench_chain import DATA
from .figures import Sample

KINDS: Final = MappingProxyType(
    {
        "B": "headers and seals",
        "K": "transactions",
        "R": "receipts",
        "X": "places by transaction hash",
        "S": "records",
        "Q": "pages of the state tree",
        "P": "tails of pages",
        "T": "index by target",
        "U": "undo",
        "V": "lists of undo",
    }
)
"""Letter of storage/schema.py -> what it is; the others are small and counted together."""
_PASSING: Final = ("U", "V")
"""Kept for the newest states only, so that it does not grow with the chain."""
_OTHERS: Final = "everything else"


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes."""

    by_kind: Mapping[str, int]
    """Keys and values, as they are before LevelDB has dropped what was replaced."""
    files: int
    """The length of the database's files as the node has left them, which depends on what LevelDB has merged so far."""
    merged: int
    """The same when it has merged everything."""
    record: int
    """The length of the signing record, which holds the last block whatever the chain's length."""

    def less(self, before: Disk) -> Disk:
        """Return what has come since; the record as it is."""
        kinds = {*self.by_kind, *before.by_kind}
        grown = {kind: self.by_kind.get(kind, 0) - before.by_kind.get(kind, 0) for kind in kinds}
        return Disk(grown, self.files - before.files, self.merged - before.merged, self.record)

    def samples(self, of_what: str, count: int) -> Iterator[Sample]:
        """Yield the bytes for each of so many transactions."""
        yield Sample(f"disk {of_what}", "bytes in files", self.files / count)
        yield Sample(f"disk {of_what}, all merged", "bytes in files", self.merged / count)
        yield Sample("disk of the signing record", "bytes", self.record)
        passing = sum(self.by_kind.get(KINDS[letter], 0) for letter in _PASSING)
        yield Sample(f"disk {of_what}: entries that stay", "bytes", (sum(self.by_kind.values()) - passing) / count)
        yield Sample(f"disk {of_what}: entries for the newest states", "bytes", passing / count)
        for kind in (*KINDS.values(), _OTHERS):
            yield Sample(f"disk {of_what}: {kind}", "bytes", self.by_kind.get(kind, 0) / count)


def look_at(folder: Path) -> Disk:
    """Return what lies in `folder`/devnet, and merge its database."""
    directory = DataDirectory(folder / DATA)
    files = _length(directory.chain)
    with closing(
        plyvel.DB(str(directory.chain), bloom_filter_bits=DEFAULT_SETTINGS.bloom_bits, compression=None)
    ) as database:
        found = _by_kind(database)
        database.compact_range()
    return Disk(found, files, _length(directory.chain), directory.record.stat().st_size)


def _by_kind(database: plyvel.DB) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, value in database:
        found[KINDS.get(chr(key[0]), _OTHERS)] += len(key) + len(value)
    return found


def _length(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())

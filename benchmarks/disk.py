"""What lies on the disk for a node that has stopped: by kind of entry, and in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from .bench_chain import DATA, open_made
from .figures import Sample

KINDS: Final = MappingProxyType(
    {
        "B": "blocks",
        "R": "receipts",
        "X": "places by transaction hash",
        "S": "records",
        "Q": "pages of the state tree",
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
    """Keys and values, as they are before LevelDB compresses and before it has dropped what was replaced."""
    files: int
    """The length of all files."""

    def less(self, before: Disk) -> Disk:
        """Return what has come since."""
        kinds = {*self.by_kind, *before.by_kind}
        grown = {kind: self.by_kind.get(kind, 0) - before.by_kind.get(kind, 0) for kind in kinds}
        return Disk(grown, self.files - before.files)

    def samples(self, of_what: str, count: int) -> Iterator[Sample]:
        """Yield the bytes for each of so many transactions."""
        yield Sample(f"disk {of_what}", "bytes in files", self.files / count)
        passing = sum(self.by_kind.get(KINDS[letter], 0) for letter in _PASSING)
        yield Sample(f"disk {of_what}: entries that stay", "bytes", (sum(self.by_kind.values()) - passing) / count)
        yield Sample(f"disk {of_what}: entries for the newest states", "bytes", passing / count)
        for kind in (*KINDS.values(), _OTHERS):
            yield Sample(f"disk {of_what}: {kind}", "bytes", self.by_kind.get(kind, 0) / count)


def look_at(folder: Path) -> Disk:
    """Return what lies in `folder`/devnet."""
    files = sum(path.stat().st_size for path in (folder / DATA).rglob("*") if path.is_file())
    found: Counter[str] = Counter()
    with open_made(folder) as opened:
        for key, value in opened.store.view().entries():
            found[KINDS.get(chr(key[0]), _OTHERS)] += len(key) + len(value)
    return Disk(found, files)

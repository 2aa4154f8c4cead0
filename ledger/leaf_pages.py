"""Leaf pages of the state tree: all leaves with one prefix, in ascending order of keys.

    0x01 || entries        an entry is key || SHA-256 of the record, 64 bytes

Nothing else is kept of them: all leaves of a page are hashed where one has changed, in one call. A page of more than
MAX_LEAVES is cut into an inner page and leaf pages below it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from crypto.bulk_hashes import roots_of_runs
from crypto.plain_hashes import ENTRY_BYTES
from crypto.state_proof import HASH_BYTES

from .tree_pages import NO_CELL, DamagedTree

Change = tuple[bytes, bytes | None]
"""Tree key and SHA-256 of the new record, or None where the record goes."""

MAX_LEAVES: Final = 32

_FEW_CHANGES: Final = 8
"""So many are put in one by one, in less time than the page is taken apart."""
_LEAVES: Final = b"\x01"


def leaf_page(entries: bytes) -> bytes | None:
    """Page of at most MAX_LEAVES sorted entries with a common prefix; None for no entries."""
    return _LEAVES + entries if entries else None


def leaf_cells(runs: list[bytes]) -> list[bytes]:
    """Cell of the entries of each page; raises DamagedTree unless their keys ascend strictly."""
    try:
        roots = iter(roots_of_runs([entries for entries in runs if entries]))
    except ValueError as error:
        raise DamagedTree(f"leaf page is unreadable: {error}") from error
    return [next(roots) if entries else NO_CELL for entries in runs]


def leaf_cell(entries: bytes) -> bytes:
    """Cell of one page's entries; raises DamagedTree unless their keys ascend strictly."""
    return leaf_cells([entries])[0]


def entries_in(page: bytes | None) -> bytes:
    """Entries of a leaf page in one byte string; raises DamagedTree. Whether they are sorted, `leaf_cell` finds out."""
    if page is None:
        return b""
    entries = page[1:]
    if page[:1] != _LEAVES or not entries or len(entries) % ENTRY_BYTES:
        raise DamagedTree("leaf page is unreadable")
    return entries


def are_too_many(entries: bytes) -> bool:
    """Whether one page cannot hold them."""
    return len(entries) > MAX_LEAVES * ENTRY_BYTES


def split_entries(entries: bytes) -> list[bytes]:
    """The single entries of 64 bytes in one byte string."""
    return [entries[at : at + ENTRY_BYTES] for at in range(0, len(entries), ENTRY_BYTES)]


def put_entries(entries: bytes, depth: int, changes: Sequence[Change]) -> bytes:
    """Sorted entries with those of the changed keys set, or removed where the record hash is None."""
    if len(changes) > _FEW_CHANGES:
        return _merged(entries, changes)
    byte = depth >> 3
    for key, record_hash in changes:
        at = entries.find(key)
        if record_hash is not None and at >= 0 and not at % ENTRY_BYTES:
            # Most changes are new records of keys that are there.
            at += HASH_BYTES
            entries = entries[:at] + record_hash + entries[at + HASH_BYTES :]
            continue
        column = entries[byte::ENTRY_BYTES]  # sorted, for the bits before it are common to all keys
        at = bisect_left(column, key[byte]) * ENTRY_BYTES
        while (there := entries[at : at + HASH_BYTES]) < key and there:
            at += ENTRY_BYTES
        rest = entries[at + ENTRY_BYTES :] if there == key else entries[at:]
        entry = b"" if record_hash is None else key + record_hash
        entries = entries[:at] + entry + rest
    return entries


def _merged(entries: bytes, changes: Sequence[Change]) -> bytes:
    """The same for many changes: a pool that settles with a thousand new targets in a block adds them to one page."""
    merged = {entry[:HASH_BYTES]: entry for entry in split_entries(entries)}
    for key, record_hash in changes:
        merged[key] = b"" if record_hash is None else key + record_hash
    return b"".join([merged[key] for key in sorted(merged)])

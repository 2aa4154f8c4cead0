"""Leaf pages of the state tree: all leaves with one prefix, in ascending order of keys.

An entry is key || SHA-256 of the record, 64 bytes. A page has one of two forms, by its number of leaves:

    plain   0x01 || entries                                                          up to PLAIN_LEAVES
    packed  0x02 || leaves in each group (4 bytes) || cell of each group (128) || entries    up to MAX_LEAVES

The groups of a packed page are its leaves by the next two bits of their keys; with their cells at hand a change hashes
one group instead of the whole page. A page of more leaves is cut into an inner page and leaf pages below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crypto.state_proof import HASH_BYTES

from .tree_pages import DamagedTree, fold, root_of_leaves

Change = tuple[bytes, bytes | None]
"""Tree key and SHA-256 of the new record, or None where the record goes."""

ENTRY_BYTES = 2 * HASH_BYTES
PLAIN_LEAVES = 8
MAX_LEAVES = 32

_PLAIN, _PACKED = 1, 2
_GROUPS = 4
_PACKED_HEAD = 1 + _GROUPS + _GROUPS * HASH_BYTES


def leaf_page(depth: int, entries: bytes) -> tuple[bytes | None, bytes]:
    """Page and cell of at most MAX_LEAVES sorted entries with a common prefix of `depth` bits; None for no entries."""
    if len(entries) <= PLAIN_LEAVES * ENTRY_BYTES:
        return bytes((_PLAIN,)) + entries if entries else None, root_of_leaves(split_entries(entries))
    groups = [b""] * _GROUPS
    for entry in split_entries(entries):
        groups[_group_of(entry, depth)] += entry
    return _packed(depth, groups, [root_of_leaves(split_entries(group)) for group in groups])


def update_leaf_page(page: bytes | None, depth: int, changes: Iterable[Change]) -> tuple[bytes | None, bytes] | bytes:
    """New page and cell of a leaf page after changes; the entries alone where they are too many for one page."""
    if page is None or page[0] == _PLAIN:
        entries = page[1:] if page else b""
        for key, record_hash in changes:
            entries = _put(entries, key, record_hash)
    else:
        groups, cells = _unpack(page)
        for key, record_hash in changes:
            group = _group_of(key, depth)
            groups[group] = _put(groups[group], key, record_hash)
            cells[group] = b""
        entries = b"".join(groups)
        if PLAIN_LEAVES * ENTRY_BYTES < len(entries) <= MAX_LEAVES * ENTRY_BYTES:
            fresh = [cell or root_of_leaves(split_entries(group)) for group, cell in zip(groups, cells, strict=True)]
            return _packed(depth, groups, fresh)
    return entries if len(entries) > MAX_LEAVES * ENTRY_BYTES else leaf_page(depth, entries)


def entries_in(page: bytes) -> bytes:
    """Entries of a leaf page in one byte string; raises DamagedTree."""
    entries = page[1:] if page[0] == _PLAIN else b"".join(_unpack(page)[0])
    if not entries or len(entries) % ENTRY_BYTES:
        raise DamagedTree("leaf page is unreadable")
    return entries


def split_entries(entries: bytes) -> list[bytes]:
    """The single entries of 64 bytes in one byte string."""
    return [entries[at : at + ENTRY_BYTES] for at in range(0, len(entries), ENTRY_BYTES)]


def _packed(depth: int, groups: Sequence[bytes], cells: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Packed page and its cell."""
    counts = [len(group) // ENTRY_BYTES for group in groups]
    return b"".join((bytes((_PACKED, *counts)), *cells, *groups)), fold(depth, cells)


def _unpack(page: bytes) -> tuple[list[bytes], list[bytes]]:
    """Entries of each group and cell of each group of a packed page; raises DamagedTree."""
    cells = [page[at : at + HASH_BYTES] for at in range(1 + _GROUPS, _PACKED_HEAD, HASH_BYTES)]
    groups, at = [], _PACKED_HEAD
    for count in page[1 : 1 + _GROUPS]:
        groups.append(page[at : at + count * ENTRY_BYTES])
        at += count * ENTRY_BYTES
    if page[0] != _PACKED or at != len(page):
        raise DamagedTree("leaf page is unreadable")
    return groups, cells


def _group_of(key: bytes, depth: int) -> int:
    """Group of a key in a packed page: its two bits from `depth` on."""
    return int.from_bytes(key[depth >> 3 : (depth >> 3) + 2], "big") >> (14 - (depth & 7)) & 3


def _put(entries: bytes, key: bytes, record_hash: bytes | None) -> bytes:
    """Sorted entries with the one of `key` set, or removed if the record hash is None."""
    at = entries.find(key)
    if at < 0 or at % ENTRY_BYTES:  # absent, or found first in a place where no key stands
        at = ENTRY_BYTES * sum(entry[:HASH_BYTES] < key for entry in split_entries(entries))
    rest = at + ENTRY_BYTES if entries.startswith(key, at) else at
    entry = b"" if record_hash is None else key + record_hash
    return entries[:at] + entry + entries[rest:]

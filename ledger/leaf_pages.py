"""Leaf pages of the state tree: all leaves with one prefix, in ascending order of keys.

An entry is key || SHA-256 of the record, 64 bytes. A page has one of two forms, by its number of leaves:

    plain   0x01 || entries                up to PLAIN_LEAVES
    packed  0x02 || 14 cells || entries    up to MAX_LEAVES

The groups of a page are its leaves by the next three bits of their keys, which lie in one byte at every cut. A packed
page begins with the cells of its two halves, four quarters and eight groups; with them at hand a change hashes one
group instead of the whole page. A page of more leaves is cut into an inner page and leaf pages below it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from crypto.state_proof import HASH_BYTES

from .tree_pages import BRANCH_TAGS, CELL, LEAF_TAG, NO_CELL, DamagedTree, join

Change = tuple[bytes, bytes | None]
"""Tree key and SHA-256 of the new record, or None where the record goes."""

ENTRY_BYTES: Final = 2 * HASH_BYTES
PLAIN_LEAVES: Final = 8
MAX_LEAVES: Final = 32

_FEW_CHANGES: Final = 8
"""So many are put in one by one, in less time than the page is taken apart."""
_PLAIN: Final = 1
_PACKED: Final = 2
_GROUPS: Final = 8
_CELLS_BYTES: Final = (2 * _GROUPS - 2) * CELL
_PACKED_HEAD: Final = 1 + _CELLS_BYTES


def _nodes_above(changed: int) -> list[tuple[int, int, int]]:
    """What to hash, in this order, after the groups whose bits are set in `changed`.

    Quarters, then halves: where the cell is, where the cells of its two halves begin, and how many bits it is below
    the page. The cell of node n (see `tree_pages.rehash`) of the fifteen in a page is the (n - 2)nd.
    """
    quarters = {(_GROUPS | group) >> 1 for group in range(_GROUPS) if changed >> group & 1}
    halves = {node >> 1 for node in quarters}
    nodes = [*quarters, *halves]
    return [((node - 2) * CELL, (2 * node - 2) * CELL, node.bit_length() - 1) for node in nodes]


_ABOVE: Final = [_nodes_above(changed) for changed in range(1 << _GROUPS)]


def leaf_page(depth: int, entries: bytes) -> tuple[bytes | None, bytes]:
    """Page and cell of at most MAX_LEAVES sorted entries with a common prefix of `depth` bits; None for no entries."""
    if len(entries) <= PLAIN_LEAVES * ENTRY_BYTES:
        return b"\x01" + entries if entries else None, _root_of(entries, 0, len(entries), depth >> 3)
    first = entries[depth >> 3] >> (8 - (depth & 7)) << 3
    return _packed(depth, entries, bytearray(_CELLS_BYTES), range(first, first + _GROUPS))


def update_leaf_page(page: bytes | None, depth: int, changes: Sequence[Change]) -> tuple[bytes | None, bytes] | bytes:
    """New page and cell of a leaf page after changes; the entries alone where they are too many for one page."""
    entries = put_entries(entries_in(page) if page else b"", depth, changes)
    if len(entries) > MAX_LEAVES * ENTRY_BYTES:
        return entries
    if page is None or page[0] == _PLAIN or len(entries) <= PLAIN_LEAVES * ENTRY_BYTES:
        return leaf_page(depth, entries)
    byte, rest = depth >> 3, 5 - (depth & 7)
    if len(changes) == 1:
        groups: Iterable[int] = (changes[0][0][byte] >> rest,)
    else:
        groups = {key[byte] >> rest for key, _ in changes}
    return _packed(depth, entries, bytearray(page[1:_PACKED_HEAD]), groups)


def entries_in(page: bytes) -> bytes:
    """Entries of a leaf page in one byte string; raises DamagedTree."""
    entries = page[1:] if page[0] == _PLAIN else page[_PACKED_HEAD:]
    if not entries or len(entries) % ENTRY_BYTES or page[0] > _PACKED:
        raise DamagedTree("leaf page is unreadable")
    return entries


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


def _packed(depth: int, entries: bytes, cells: bytearray, groups: Iterable[int]) -> tuple[bytes, bytes]:
    """Packed page and its cell, from the cells before these groups changed.

    A group is named by its bits and those before them in the same byte.
    """
    byte = depth >> 3
    column = entries[byte::ENTRY_BYTES]
    below = 5 - (depth & 7)
    changed = 0
    for group in groups:
        start = bisect_left(column, group << below)
        end = bisect_left(column, group + 1 << below, start)
        index = group & _GROUPS - 1
        changed |= 1 << index
        at = (_GROUPS + index - 2) * CELL
        cells[at : at + CELL] = _root_of(entries, start * ENTRY_BYTES, end * ENTRY_BYTES, byte)
    for at, halves, level in _ABOVE[changed]:
        pair = cells[halves : halves + 2 * CELL]
        tag = BRANCH_TAGS[depth + level]
        cells[at : at + CELL] = sha256(tag + pair).digest() if pair[0] and pair[CELL] else join(tag, pair)
    pair, tag = cells[: 2 * CELL], BRANCH_TAGS[depth]
    cell = sha256(tag + pair).digest() if pair[0] and pair[CELL] else join(tag, pair)
    return b"\x02" + cells + entries, cell


def _root_of(entries: bytes, start: int, end: int, byte: int) -> bytes:
    """Cell of the sorted entries from `start` to `end`, whose keys agree in all bytes before `byte`.

    The same as `root_of_leaves`, for a few entries that are at hand.
    """
    middle = start + ENTRY_BYTES
    if end <= middle:
        return sha256(LEAF_TAG + entries[start:end]).digest() if end == middle else NO_CELL
    last = end - ENTRY_BYTES
    while not (differing := entries[start + byte] ^ entries[last + byte]):
        byte += 1
    bits = differing.bit_length()
    mask = 1 << bits - 1
    while not entries[middle + byte] & mask:
        middle += ENTRY_BYTES
    # Single leaves, which most halves are, are hashed here: a call for each would cost as much as the hash.
    if middle == start + ENTRY_BYTES:
        left = sha256(LEAF_TAG + entries[start:middle]).digest()
    else:
        left = _root_of(entries, start, middle, byte)
    right = sha256(LEAF_TAG + entries[last:end]).digest() if middle == last else _root_of(entries, middle, end, byte)
    return sha256(BRANCH_TAGS[8 * byte + 8 - bits] + left + right).digest()

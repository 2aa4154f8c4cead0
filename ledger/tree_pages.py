"""Pages of the state tree: where the tree is cut, how a page is written, and how it is hashed.

A *cell* is the hash of the crit-bit subtree of all keys with a common prefix, 32 zero bytes if
there is none. Two neighbouring cells give their parent's by `join`, so cells may be kept at fixed
depths (in bits) although the committed tree has nodes only where keys differ.

An *inner page* of depth d holds the cells at the next cut (3 bits below depth 0, then every 4 bits:
depths 0, 3, 7, 11, 15, 19, ...). From LEAF_DEPTH on a page may be a *leaf page*: all leaves with
its prefix, at most MAX_LEAVES, in four groups by the next two bits, with the cells of the groups,
so that a change hashes one group only.

Page key: depth (1 byte) || prefix, left-aligned in as few bytes as hold it. Pages are opaque bytes
for whoever stores them. Source: docs/decisions/0002-state-tree.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from crypto.state_proof import HASH_BYTES, KEY_BITS, leaf_hash

ReadPage = Callable[[bytes], bytes | None]
"""Page bytes of a page key, None where there is no such page."""

FIRST_WIDTH = 3
WIDTH = 4
LEAF_DEPTH = 19
"""Depth in bits of the first pages that may hold leaves; pages above are always inner."""
MAX_LEAVES = 32
"""A leaf page with more leaves is cut into an inner page and leaf pages below it."""
ENTRY_BYTES = 2 * HASH_BYTES
"""Entry of a leaf page: key || SHA-256 of the record."""

GROUPS = 4
NO_CELL = bytes(HASH_BYTES)
LEAF_TAG = b"\x00"
"""First byte of what a leaf hashes; an entry of a leaf page is the rest."""
BRANCH_TAGS = tuple(bytes((1, bit)) for bit in range(KEY_BITS))
"""First two bytes of what a branch hashes, by bit: see `crypto.state_proof.branch_hash`."""
_INNER, _LEAVES = b"\x00", b"\x01"


class DamagedTree(Exception):
    """A page is missing, unreadable, or does not hash to what the page above says."""


def width(depth: int) -> int:
    """Number of bits that the inner page at `depth` spans."""
    return WIDTH if depth else FIRST_WIDTH


def page_key(depth: int, prefix: int) -> bytes:
    """Storage key of the page for the keys that begin with the `depth` bits of `prefix`."""
    return bytes((depth,)) + (prefix << (-depth % 8)).to_bytes((depth + 7) // 8, "big")


def prefix_of(key: bytes, depth: int) -> int:
    """The first `depth` bits of a key as an integer."""
    return int.from_bytes(key, "big") >> (KEY_BITS - depth)


def join(bit: int, left: bytes, right: bytes) -> bytes:
    """Cell of the keys with a common prefix of `bit` bits from the cells of its two halves."""
    if left == NO_CELL:
        return right
    if right == NO_CELL:
        return left
    return sha256(BRANCH_TAGS[bit] + left + right).digest()


def fold(depth: int, cells: Sequence[bytes]) -> bytes:
    """Cell at `depth` from the 2, 4, 8 or 16 cells some bits below it."""
    bit = depth + len(cells).bit_length() - 1
    while len(cells) > 1:
        bit -= 1
        cells = [join(bit, *pair) for pair in zip(cells[::2], cells[1::2], strict=True)]
    return cells[0]


def root_of_leaves(leaves: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Cell of the crit-bit tree over (key, record hash) in strictly ascending order of keys.

    Streams: holds one hash per level of the path to the newest leaf, so any number of leaves fits.
    Raises ValueError when the order is broken.
    """
    bits: list[int] = []
    hashes: list[bytes] = []
    last = -1
    for key, record_hash in leaves:
        number = int.from_bytes(key, "big")
        if number <= last:
            raise ValueError("leaves are not in strictly ascending order")
        if last >= 0:
            bit = KEY_BITS - (number ^ last).bit_length()
            _close(bits, hashes, bit)
            bits.append(bit)
        hashes.append(leaf_hash(key, record_hash))
        last = number
    _close(bits, hashes, -1)
    return hashes[0] if hashes else NO_CELL


def _close(bits: list[int], hashes: list[bytes], bit: int) -> None:
    """Hash every open branch below `bit`: no later leaf can fall into it."""
    while bits and bits[-1] > bit:
        right = hashes.pop()
        hashes[-1] = sha256(BRANCH_TAGS[bits.pop()] + hashes[-1] + right).digest()


def is_leaf_page(page: bytes) -> bool:
    """Whether a page holds leaves, rather than cells."""
    return page[:1] == _LEAVES


def encode_cells(cells: bytes) -> bytes | None:
    """Inner page from its cells in one byte string; None if all are empty.

    0x00 || bitmap of the cells that are not empty (2 bytes, cell 0 the lowest bit) || those cells.
    """
    if NO_CELL not in cells:
        return _INNER + ((1 << len(cells) // HASH_BYTES) - 1).to_bytes(2, "big") + cells
    bitmap, kept = 0, []
    for index in range(len(cells) // HASH_BYTES):
        cell = cells[index * HASH_BYTES : (index + 1) * HASH_BYTES]
        if cell != NO_CELL:
            bitmap |= 1 << index
            kept.append(cell)
    return _INNER + bitmap.to_bytes(2, "big") + b"".join(kept) if kept else None


def decode_cells(page: bytes, depth: int) -> list[bytes]:
    """The 8 (at depth 0) or 16 cells of an inner page; raises DamagedTree."""
    count = 1 << width(depth)
    bitmap = int.from_bytes(page[1:3], "big")
    if page[:1] != _INNER or len(page) != 3 + HASH_BYTES * bitmap.bit_count() or bitmap >> count:
        raise DamagedTree(f"inner page of depth {depth} is unreadable")
    cells, at = [NO_CELL] * count, 3
    for index in range(count):
        if bitmap >> index & 1:
            cells[index] = page[at : at + HASH_BYTES]
            at += HASH_BYTES
    return cells


def encode_leaves(groups: Sequence[bytes], cells: Sequence[bytes]) -> bytes:
    """Leaf page from the entries and the cell of each group.

    0x01 || number of leaves of each group (4 bytes) || cells of the groups of two leaves and more
    || entries in ascending order of keys.
    """
    counts = bytes([len(group) // ENTRY_BYTES for group in groups])
    kept = [cell for cell, count in zip(cells, counts, strict=True) if count > 1]
    return b"".join((_LEAVES, counts, *kept, *groups))


def decode_leaves(page: bytes) -> tuple[list[bytes], list[bytes]]:
    """Entries of each group and cell of each group; raises DamagedTree."""
    counts = page[1 : 1 + GROUPS]
    at = 1 + GROUPS
    cells = []
    for count in counts:
        cells.append(page[at : at + HASH_BYTES] if count > 1 else NO_CELL)
        at += HASH_BYTES if count > 1 else 0
    groups = []
    for index, count in enumerate(counts):
        groups.append(page[at : at + count * ENTRY_BYTES])
        at += count * ENTRY_BYTES
        if count == 1:
            cells[index] = sha256(LEAF_TAG + groups[index]).digest()
    if at != len(page) or len(counts) != GROUPS:
        raise DamagedTree("leaf page is unreadable")
    return groups, cells


def entries_of(groups: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """(key, record hash) of all entries of groups, in ascending order of keys."""
    data = b"".join(groups)
    return [
        (data[at : at + HASH_BYTES], data[at + HASH_BYTES : at + ENTRY_BYTES])
        for at in range(0, len(data), ENTRY_BYTES)
    ]


def group_of(key: bytes, depth: int) -> int:
    """Group of a key in a leaf page: its two bits from `depth` on."""
    return int.from_bytes(key[depth >> 3 : (depth >> 3) + 2], "big") >> (14 - (depth & 7)) & 3


def put_entry(group: bytes, key: bytes, record_hash: bytes | None) -> bytes:
    """Group with the entry of `key` set, or removed if the record hash is None."""
    at = 0
    while at < len(group) and group[at : at + HASH_BYTES] < key:
        at += ENTRY_BYTES
    rest = at + ENTRY_BYTES if group[at : at + HASH_BYTES] == key else at
    entry = b"" if record_hash is None else key + record_hash
    return group[:at] + entry + group[rest:]

"""Pages of the state tree: where the tree is cut, how a page is written, and how it is hashed.

A *cell* is the hash of the crit-bit subtree of all keys with a common prefix, 32 zero bytes if
there is none. Two neighbouring cells give their parent's (`crypto.plain_hashes.join_pairs`), so cells may be kept at
fixed depths (in bits) although the committed tree has nodes only where keys differ.

The cuts are before the first bit of every byte, and from LEAF_DEPTH on before the fourth one, too: depths 0, 8, 16, 19,
24, 27, ... An *inner page* of depth d holds the cells at the next cut. From LEAF_DEPTH on a page may be a *leaf page*
(`ledger.leaf_pages`) with all leaves of its prefix. The first byte says which: 0x00 inner, 0x01 leaves.

Page key: depth (1 byte) || prefix, left-aligned in as few bytes as hold it. Pages are opaque bytes
for whoever stores them. Source: docs/decisions/0002-state-tree.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from crypto.bulk_hashes import join_pairs
from crypto.state_proof import HASH_BYTES, KEY_BITS

ReadPage = Callable[[bytes], bytes | None]
"""Page bytes of a page key, None where there is no such page."""
Pages = dict[bytes, bytes | None]
"""Page bytes by page key, None for no page."""

LEAF_DEPTH: Final = 16
"""Depth in bits of the first pages that may hold leaves; pages above are always inner."""
CELL: Final = HASH_BYTES
"""Bytes of a cell."""
NO_CELL: Final = bytes(CELL)
_BRANCH_TAGS: Final = tuple(bytes((1, bit)) for bit in range(KEY_BITS))
"""First two bytes of what a branch hashes, by bit: see `crypto.state_proof.branch_hash`."""
_INNER: Final = b"\x00"


class DamagedTree(Exception):
    """A page is missing, unreadable, or does not hash to what the page above says."""


def width(depth: int) -> int:
    """Number of bits that the inner page at the cut `depth` spans."""
    return 8 if depth < LEAF_DEPTH else 5 if depth & 7 else 3


def page_key(depth: int, prefix: int) -> bytes:
    """Storage key of the page for the keys that begin with the `depth` bits of `prefix`."""
    return bytes((depth,)) + (prefix << (-depth % 8)).to_bytes((depth + 7) // 8, "big")


def prefix_of(key: bytes, depth: int) -> int:
    """The first `depth` bits of a key as an integer."""
    return int.from_bytes(key, "big") >> (KEY_BITS - depth)


def rows_above(depth: int, cells: bytes) -> list[bytes]:
    """Rows of cells from the given one, some bits below `depth`, upward to the single cell at `depth`."""
    rows = [cells]
    bit = depth + (len(cells) // CELL).bit_length() - 1
    while bit > depth:
        bit -= 1
        rows.append(join_pairs(_BRANCH_TAGS[bit], rows[-1]))
    return rows


def fold(depth: int, cells: bytes) -> bytes:
    """Cell at `depth` from the row of 1, 2, 4, ... 256 cells some bits below it."""
    return rows_above(depth, cells)[-1]


def stored_page(read: ReadPage, key: bytes) -> bytes:
    """A page that must be there; raises DamagedTree."""
    page = read(key)
    if not page:
        raise DamagedTree(f"page of depth {key[0]} is missing")
    return page


def is_inner_page(page: bytes) -> bool:
    """Whether a page holds cells, rather than leaves."""
    return page[:1] == _INNER


def encode_cells(cells: bytes) -> bytes:
    """Inner page, 0x00 || cells, from the cells in one byte string; not to be stored if all of them are empty."""
    return _INNER + cells


def decode_cells(page: bytes, depth: int) -> bytes:
    """The row of 8, 32 or 256 cells of an inner page; raises DamagedTree."""
    if not is_inner_page(page) or len(page) != 1 + (HASH_BYTES << width(depth)):
        raise DamagedTree(f"inner page of depth {depth} is unreadable")
    return page[1:]

"""Pages of the state tree: where the tree is cut, how a page is written, and how it is hashed.

A *cell* is the hash of the crit-bit subtree of all keys with a common prefix, 32 zero bytes if
there is none. Two neighbouring cells give their parent's by `join`, so cells may be kept at fixed
depths (in bits) although the committed tree has nodes only where keys differ.

An *inner page* of depth d holds the cells at the next cut (3 bits below depth 0, then every 4 bits:
depths 0, 3, 7, 11, 15, 19, ...). From LEAF_DEPTH on a page may be a *leaf page* (`ledger.leaf_pages`) with all leaves
of its prefix. The first byte says which: 0x00 inner, 0x01 and 0x02 leaves.

Page key: depth (1 byte) || prefix, left-aligned in as few bytes as hold it. Pages are opaque bytes
for whoever stores them. Source: docs/decisions/0002-state-tree.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from crypto.state_proof import HASH_BYTES, KEY_BITS

ReadPage = Callable[[bytes], bytes | None]
"""Page bytes of a page key, None where there is no such page."""
Pages = dict[bytes, bytes | None]
"""Page bytes by page key, None for no page."""

FIRST_WIDTH = 3
WIDTH = 4
LEAF_DEPTH = 19
"""Depth in bits of the first pages that may hold leaves; pages above are always inner."""
NO_CELL = bytes(HASH_BYTES)
LEAF_TAG = b"\x00"
"""First byte of what a leaf hashes, the entry being the rest: see `crypto.state_proof.leaf_hash`."""
BRANCH_TAGS = tuple(bytes((1, bit)) for bit in range(KEY_BITS))
"""First two bytes of what a branch hashes, by bit: see `crypto.state_proof.branch_hash`."""
_INNER = 0


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


def join_all(bit: int, cells: Sequence[bytes]) -> list[bytes]:
    """Cells at depth `bit` from the cells one bit deeper, which are pairs of halves: half as many."""
    tag = BRANCH_TAGS[bit]
    halves = zip(cells[::2], cells[1::2], strict=True)
    return [
        right if left == NO_CELL else left if right == NO_CELL else sha256(tag + left + right).digest()
        for left, right in halves
    ]


def fold(depth: int, cells: Sequence[bytes]) -> bytes:
    """Cell at `depth` from the 1, 2, 4, 8 or 16 cells some bits below it."""
    bit = depth + len(cells).bit_length() - 1
    while len(cells) > 1:
        bit -= 1
        cells = join_all(bit, cells)
    return cells[0]


def root_of_leaves(entries: Iterable[bytes]) -> bytes:
    """Cell of the crit-bit tree over entries (key || SHA-256 of the record) in strictly ascending order of keys.

    Streams: `bits` are the open branches, from the root down, whose left halves and newest leaf are in `hashes`. A leaf
    that differs from the one before it at a bit closes every branch below that bit.
    """
    bits: list[int] = []
    hashes: list[bytes] = []
    last = 0
    for entry in entries:
        key = int.from_bytes(entry[:HASH_BYTES], "big")
        if hashes:
            bit = KEY_BITS - (key ^ last).bit_length()
            while bits and bits[-1] > bit:
                right = hashes.pop()
                hashes[-1] = sha256(BRANCH_TAGS[bits.pop()] + hashes[-1] + right).digest()
            bits.append(bit)
        hashes.append(sha256(LEAF_TAG + entry).digest())
        last = key
    while bits:
        right = hashes.pop()
        hashes[-1] = sha256(BRANCH_TAGS[bits.pop()] + hashes[-1] + right).digest()
    return hashes[0] if hashes else NO_CELL


def is_inner_page(page: bytes) -> bool:
    """Whether a page holds cells, rather than leaves."""
    return page[0] == _INNER


def encode_cells(cells: bytes) -> bytes:
    """Inner page, 0x00 || cells, from the cells in one byte string; not to be stored if all of them are empty."""
    return b"\x00" + cells


def decode_cells(page: bytes, depth: int) -> list[bytes]:
    """The 8 (at depth 0) or 16 cells of an inner page; raises DamagedTree."""
    if page[0] != _INNER or len(page) != 1 + (HASH_BYTES << width(depth)):
        raise DamagedTree(f"inner page of depth {depth} is unreadable")
    return [page[at : at + HASH_BYTES] for at in range(1, len(page), HASH_BYTES)]

"""Pages of the state tree: where the tree is cut, how a page is written, and how it is hashed.

A *cell* is the hash of the crit-bit subtree of all keys with a common prefix, 32 zero bytes if
there is none. Two neighbouring cells give their parent's by `join`, so cells may be kept at fixed
depths (in bits) although the committed tree has nodes only where keys differ.

The cuts are before the first and the fourth bit of every byte: depths 0, 3, 8, 11, 16, 19, ... An *inner page* of
depth d holds the cells at the next cut. From LEAF_DEPTH on a page may be a *leaf page* (`ledger.leaf_pages`) with all
leaves of its prefix. The first byte says which: 0x00 inner, 0x01 and 0x02 leaves.

Page key: depth (1 byte) || prefix, left-aligned in as few bytes as hold it. Pages are opaque bytes
for whoever stores them. Source: docs/decisions/0002-state-tree.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from mmap import mmap
from typing import Final

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
LEAF_TAG: Final = b"\x00"
"""First byte of what a leaf hashes, the entry being the rest: see `crypto.state_proof.leaf_hash`."""
BRANCH_TAGS: Final = tuple(bytes((1, bit)) for bit in range(KEY_BITS))
"""First two bytes of what a branch hashes, by bit: see `crypto.state_proof.branch_hash`."""
_INNER: Final = 0
_PAIR: Final = 2 * CELL


class DamagedTree(Exception):
    """A page is missing, unreadable, or does not hash to what the page above says."""


def width(depth: int) -> int:
    """Number of bits that the inner page at the cut `depth` spans."""
    return 5 if depth & 7 else 3


def page_key(depth: int, prefix: int) -> bytes:
    """Storage key of the page for the keys that begin with the `depth` bits of `prefix`."""
    return bytes((depth,)) + (prefix << (-depth % 8)).to_bytes((depth + 7) // 8, "big")


def prefix_of(key: bytes, depth: int) -> int:
    """The first `depth` bits of a key as an integer."""
    return int.from_bytes(key, "big") >> (KEY_BITS - depth)


def rehash(cells: mmap, nodes: Iterable[int], stop: int = 0) -> list[int]:
    """Hash anew, in place, the cells above those of nodes at one depth, up to the depth `stop`; the nodes there.

    A *node* is a prefix with a one in front of it: 1 is the root, 2n and 2n + 1 are the halves of n. `cells` has the
    cell of node n at n * CELL.
    """
    nodes = list(nodes)
    while nodes and nodes[0] >> stop > 1:
        nodes = list(dict.fromkeys([node >> 1 for node in nodes]))
        tag = BRANCH_TAGS[nodes[0].bit_length() - 1]
        for node in nodes:
            at = node * _PAIR
            pair = cells[at : at + _PAIR]
            at >>= 1
            cells[at : at + CELL] = sha256(tag + pair).digest() if pair[0] and pair[CELL] else join(tag, pair)
    return nodes


def join(tag: bytes, pair: bytes | bytearray) -> bytes:
    """Cell from those of its two halves, each of which may be empty; the tag is that of the bit they differ in."""
    if pair[0] and pair[CELL]:  # neither is empty, which this finds in all but a few cases
        return sha256(tag + pair).digest()
    left, right = bytes(pair[:CELL]), bytes(pair[CELL:])
    return right if left == NO_CELL else left if right == NO_CELL else sha256(tag + pair).digest()


def join_all(bit: int, cells: Sequence[bytes]) -> list[bytes]:
    """Cells at depth `bit` from the cells one bit deeper, which are pairs of halves: half as many."""
    tag = BRANCH_TAGS[bit]
    return [
        sha256(tag + left + right).digest() if left[0] and right[0] else join(tag, left + right)
        for left, right in zip(cells[::2], cells[1::2], strict=True)
    ]


def fold(depth: int, cells: Sequence[bytes]) -> bytes:
    """Cell at `depth` from the 1, 2, 4, ... 32 cells some bits below it."""
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


def stored_page(read: ReadPage, key: bytes) -> bytes:
    """A page that must be there; raises DamagedTree."""
    page = read(key)
    if not page:
        raise DamagedTree(f"page of depth {key[0]} is missing")
    return page


def is_inner_page(page: bytes) -> bool:
    """Whether a page holds cells, rather than leaves."""
    return page[0] == _INNER


def encode_cells(cells: bytes) -> bytes:
    """Inner page, 0x00 || cells, from the cells in one byte string; not to be stored if all of them are empty."""
    return b"\x00" + cells


def decode_cells(page: bytes, depth: int) -> list[bytes]:
    """The 8 or 32 cells of an inner page; raises DamagedTree."""
    if page[0] != _INNER or len(page) != 1 + (HASH_BYTES << width(depth)):
        raise DamagedTree(f"inner page of depth {depth} is unreadable")
    return [page[at : at + HASH_BYTES] for at in range(1, len(page), HASH_BYTES)]

"""State trees from nothing: the root of a whole state, and all its pages in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import groupby

from crypto.state_proof import EMPTY_ROOT, HASH_BYTES, KEY_BITS, branch_hash, leaf_hash

from .leaf_pages import MAX_LEAVES, leaf_cell, leaf_page
from .tree_pages import (
    LEAF_DEPTH,
    NO_CELL,
    encode_cells,
    fold,
    page_key,
    prefix_of,
    width,
)
from .tree_top import page_depths

PutPage = Callable[[bytes, bytes], None]


def compute_root(items: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Root of the state with these (tree key, record), in strictly ascending order of keys.

    Knows nothing of pages and holds one path in memory: what a full verification compares with.
    Raises ValueError when the order is broken.
    """
    cell = _root_of_leaves(_entries(items))
    return EMPTY_ROOT if cell == NO_CELL else cell


def build_pages(items: Iterable[tuple[bytes, bytes]], put: PutPage) -> bytes:
    """Hand every page of the state with these sorted (tree key, record) to `put`; the root.

    One pass, one path of pages in memory. Raises ValueError when the order is broken.
    """
    cells = _pages_at(LEAF_DEPTH, _entries(items), put)
    for depth in reversed(page_depths(LEAF_DEPTH)):
        cells = _inner_pages(depth, cells, put)
    return next((cell for _, cell in cells), EMPTY_ROOT)


def _entries(items: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Key || SHA-256 of the record of each item, once the keys are seen to ascend strictly."""
    last = b""
    for key, record in items:
        if key <= last:
            raise ValueError("keys are not in strictly ascending order")
        last = key
        yield key + sha256(record).digest()


def _pages_at(depth: int, entries: Iterable[bytes], put: PutPage) -> Iterator[tuple[int, bytes]]:
    """(prefix, cell) of every page at `depth`, after the pages themselves were put."""
    for prefix, part in groupby(entries, key=lambda entry: prefix_of(entry[:HASH_BYTES], depth)):
        leaves = list(part)
        if len(leaves) > MAX_LEAVES:
            below = _pages_at(depth + width(depth), leaves, put)
            yield from _inner_pages(depth, below, put)
        else:
            below_prefix = b"".join(leaves)
            if (page := leaf_page(below_prefix)) is not None:
                put(page_key(depth, prefix), page)
            yield prefix, leaf_cell(below_prefix)


def _inner_pages(depth: int, below: Iterable[tuple[int, bytes]], put: PutPage) -> Iterator[tuple[int, bytes]]:
    """(prefix, cell) of the inner pages at `depth` over the cells at the next cut."""
    bits = width(depth)
    for prefix, part in groupby(below, key=lambda item: item[0] >> bits):
        cells = [NO_CELL] * (1 << bits)
        for child, cell in part:
            cells[child & (1 << bits) - 1] = cell
        row = b"".join(cells)
        put(page_key(depth, prefix), encode_cells(row))
        yield prefix, fold(depth, row)


def _root_of_leaves(entries: Iterable[bytes]) -> bytes:
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
                _close_branch(bits, hashes)
            bits.append(bit)
        hashes.append(leaf_hash(entry[:HASH_BYTES], entry[HASH_BYTES:]))
        last = key
    while bits:
        _close_branch(bits, hashes)
    return hashes[0] if hashes else NO_CELL


def _close_branch(bits: list[int], hashes: list[bytes]) -> None:
    """Put the hash of the lowest open branch in the place of those of its halves."""
    right = hashes.pop()
    hashes[-1] = branch_hash(bits.pop(), hashes[-1], right)

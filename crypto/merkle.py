"""Merkle trees of RFC 9162 section 2.1 over SHA-256.

`root` is the hot path (two trees for every block) and our own, many times faster than building a tree object; the
tests compare it with pymerkle. Proofs from stored nodes are in `crypto.node_tree`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final

from .bulk_hashes import hash_each, join_pairs
from .hashing import HASH_BYTES

EMPTY_ROOT: Final = sha256(b"").digest()
_PAIR: Final = 2 * HASH_BYTES

NodeReader = Callable[[int, int], bytes]
"""(level, index) -> hash of the perfect subtree over leaves index * 2^level up to (index + 1) * 2^level."""


def hash_leaf(entry: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def root(entries: Iterable[bytes]) -> bytes:
    """Return the Merkle tree hash of `entries`."""
    row = b"".join(hash_each([b"\x00" + entry for entry in entries]))
    while len(row) > HASH_BYTES:
        # A last node without a partner moves up as it is: the same tree as the RFC's split at the largest power of two.
        paired = len(row) // _PAIR * _PAIR
        row = join_pairs(b"\x01", row[:paired]) + row[paired:]
    return row or EMPTY_ROOT


class Frontier:
    """The right edge of a growing tree: enough to append leaves and to know the root."""

    __slots__ = ("_peaks", "size")

    def __init__(self, size: int, read_node: NodeReader) -> None:
        """Resume a tree of `size` leaves whose finished nodes `read_node` returns."""
        self.size = size
        self._peaks = [read_node(level, index) for level, index in peaks(size)]

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Append a leaf *hash*; return the nodes this finishes as (level, index, hash), the leaf first."""
        level, index, node = 0, self.size, leaf
        finished = [(level, index, node)]
        while index & 1:
            node = hash_node(self._peaks.pop(), node)
            level, index = level + 1, index >> 1
            finished.append((level, index, node))
        self._peaks.append(node)
        self.size += 1
        return finished

    def root(self) -> bytes:
        """Return the root over all leaves appended so far."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = hash_node(peak, node)
        return node

    def fork(self) -> Frontier:
        """Return an independent copy, to append to without changing this one."""
        nodes = dict(zip(peaks(self.size), self._peaks, strict=True))
        return Frontier(self.size, lambda level, index: nodes[level, index])


def peaks(size: int) -> list[tuple[int, int]]:
    """Return the (level, index) of the perfect subtrees that make up a tree of `size` leaves, from left to right."""
    found, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def tree_nodes(entries: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    """Return all finished nodes of the tree over `entries`, for proofs within one block."""
    nodes: dict[tuple[int, int], bytes] = {}
    level, row = 0, [sha256(b"\x00" + entry).digest() for entry in entries]
    while row:
        nodes |= {(level, index): node for index, node in enumerate(row)}
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]
        level += 1
    return nodes

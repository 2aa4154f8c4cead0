"""Merkle trees of RFC 9162 section 2.1 over SHA-256.

`root` is the hot path (two trees for every block) and a loop of our own, seven times faster than building a tree
object; the tests compare it with pymerkle. `NodeTree` is pymerkle over stored nodes: proofs and roots of any size in a
logarithmic number of reads; its inclusion paths are read straight from the nodes, and compared with pymerkle's by the
tests. Indices start at 0, paths run from the leaf to the root, as in the RFC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from pymerkle import BaseMerkleTree

EMPTY_ROOT: Final = sha256(b"").digest()

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
    level = [sha256(b"\x00" + entry).digest() for entry in entries]
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        # A last node without a partner moves up as it is: the same tree as the RFC's split at the largest power of two.
        odd = level[-1:] if len(level) & 1 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return level[0]


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


class NodeTree(BaseMerkleTree):  # type: ignore[misc]  # pymerkle has no annotations
    """A tree of `size` leaves whose finished nodes lie in a store; roots and proofs read only what they need."""

    def __init__(self, size: int, read_node: NodeReader) -> None:
        """Look at the first `size` leaves of the tree whose finished nodes `read_node` returns."""
        super().__init__("sha256", disable_cache=False, capacity=1)
        self._size = size
        self._read_node = read_node

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` leaves."""
        found: bytes = self.get_root(size)
        return found

    def inclusion_path(self, index: int, size: int) -> list[bytes]:
        """Return the path of leaf `index` (from 0) in the tree of the first `size` leaves."""
        read = self._read_node
        edges = peaks(size)
        own = next(at for at, (level, place) in enumerate(edges) if index >> level == place)
        path = [read(level, index >> level ^ 1) for level in range(edges[own][0])]
        if right := [read(*edge) for edge in edges[own + 1 :]]:
            node = right.pop()
            while right:
                node = hash_node(right.pop(), node)
            path.append(node)
        return path + [read(*edge) for edge in reversed(edges[:own])]

    def consistency_path(self, first: int, second: int) -> list[bytes]:
        """Return the RFC 9162 consistency path between two sizes, first <= second; [] for 0 and for equal sizes."""
        if first in (0, second):
            return []
        proof = self.prove_consistency(first, second)
        return _to_rfc_order(proof.rule, proof.subset, proof.path)

    def _get_subroot(self, offset: int, width: int) -> bytes:
        level = width.bit_length() - 1
        return self._read_node(level, offset >> level)

    def _get_leaf(self, index: int) -> bytes:
        return self._read_node(0, index - 1)

    def _get_leaves(self, offset: int, width: int) -> list[bytes]:
        return [self._read_node(0, index) for index in range(offset, offset + width)]

    def _get_size(self) -> int:
        return self._size

    def _encode_entry(self, data: Any) -> bytes:
        raise NotImplementedError("leaves are appended through a Frontier")

    def _store_leaf(self, data: Any, digest: bytes) -> int:
        raise NotImplementedError("leaves are appended through a Frontier")


def _to_rfc_order(rule: Sequence[int], subset: Sequence[int], path: Sequence[bytes]) -> list[bytes]:
    """Turn pymerkle's consistency path (down to one leaf of the range) into the RFC's.

    The entries before the first one that belongs to the older tree fold into a single hash; of that first one the
    RFC sends nothing when it is the whole older tree, since the verifier has its root already.
    """
    first = subset.index(1)  # at least 1: pymerkle's path begins at a leaf behind the older tree
    folded = path[0]
    # rule[i] says on which side of path[i + 1] stands what was folded up to path[i].
    for side, entry in zip(rule, path[1:first], strict=False):
        folded = hash_node(folded, entry) if side == 0 else hash_node(entry, folded)
    found = [path[first]] if sum(subset) > 1 else []
    return [*found, folded, *path[first + 1 :]]


def tree_nodes(entries: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    """Return all finished nodes of the tree over `entries`, for proofs within one block."""
    nodes: dict[tuple[int, int], bytes] = {}
    level, row = 0, [sha256(b"\x00" + entry).digest() for entry in entries]
    while row:
        nodes |= {(level, index): node for index, node in enumerate(row)}
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]
        level += 1
    return nodes

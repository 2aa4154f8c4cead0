"""pymerkle over stored nodes: proofs and roots of any size of an RFC 9162 tree in a logarithmic number of reads.

The inclusion paths are read straight from the nodes, and compared with pymerkle's by the tests. Indices start at 0,
paths run from the leaf to the root, as in the RFC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymerkle import BaseMerkleTree

from .merkle import NodeReader, hash_node, peaks


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
        read, edges = self._read_node, peaks(size)
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

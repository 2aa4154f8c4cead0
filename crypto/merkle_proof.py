"""Verification of RFC 9162 paths: inclusion (section 2.1.3.2) and consistency (section 2.1.4.2).

A verifier states index, sizes and roots itself; what a proof says of them proves nothing. Both functions return for a
valid proof and raise MerkleProofError for every other one. This module needs the hash rules of `crypto.merkle` only.
"""

from __future__ import annotations

from collections.abc import Sequence

from .merkle import EMPTY_ROOT, hash_leaf, hash_node


class MerkleProofError(Exception):
    """A path that proves nothing; the argument says why."""


def verify_inclusion(root: bytes, size: int, index: int, entry: bytes, path: Sequence[bytes]) -> None:
    """Check that `entry` is leaf `index` (from 0) of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        raise MerkleProofError(f"leaf {index} is not in a tree of {size}")
    node, position, last = hash_leaf(entry), index, size - 1
    for sibling in path:
        if last == 0:
            raise MerkleProofError("the path is too long")
        if position & 1 or position == last:
            node = hash_node(sibling, node)
            # A right edge without a partner moved up as it was: no sibling stands for those levels.
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = hash_node(node, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise MerkleProofError("the path is too short")
    if node != root:
        raise MerkleProofError("the path does not lead to the root")


def verify_consistency(
    first_root: bytes, first_size: int, second_root: bytes, second_size: int, path: Sequence[bytes]
) -> None:
    """Check that the tree of `first_size` leaves is the beginning of that of `second_size` leaves."""
    if not 0 <= first_size <= second_size:
        raise MerkleProofError(f"a tree of {first_size} is not the beginning of one of {second_size}")
    if first_size in (0, second_size):
        _expect_trivial(first_root, first_size, second_root, path)
        return
    if not path:
        raise MerkleProofError("the path is too short")
    # A first tree that is one perfect subtree is its own first node: the RFC does not send what is known.
    nodes = list(path) if first_size & (first_size - 1) else [first_root, *path]
    if _climb_both(nodes, first_size - 1, second_size - 1) != (first_root, second_root):
        raise MerkleProofError("the path does not lead to both roots")


def _climb_both(nodes: Sequence[bytes], position: int, last: int) -> tuple[bytes, bytes]:
    """Return the roots of the older and of the newer tree that follow from a consistency path."""
    while position & 1:
        position, last = position >> 1, last >> 1
    older = newer = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            raise MerkleProofError("the path is too long")
        if position & 1 or position == last:
            older, newer = hash_node(node, older), hash_node(node, newer)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            newer = hash_node(newer, node)
        position, last = position >> 1, last >> 1
    if last:
        raise MerkleProofError("the path is too short")
    return older, newer


def _expect_trivial(first_root: bytes, first_size: int, second_root: bytes, path: Sequence[bytes]) -> None:
    """Nothing to prove: the empty tree is the beginning of every tree, and every tree of itself."""
    if path:
        raise MerkleProofError("the path of equal or empty trees is empty")
    expected = second_root if first_size else EMPTY_ROOT
    if first_root != expected:
        raise MerkleProofError("the roots differ" if first_size else "the smaller root is not the empty tree's")

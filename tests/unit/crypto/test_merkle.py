"""Our trees against pymerkle's and against RFC 9162 section 2.1, written out here from its text."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

import pytest
from pymerkle import InmemoryTree

from crypto.merkle import EMPTY_ROOT, Frontier, hash_leaf, hash_node, peaks, root, tree_nodes
from crypto.node_tree import NodeTree

LEAVES_MAX = 130
PROVED_MAX = 70
ENTRIES = [b"entry %d" % count for count in range(LEAVES_MAX)]
# The tree of the Certificate Transparency test suite: its entries, and its roots of sizes 0 to 8.
CT_ENTRIES = [
    *(bytes.fromhex(entry) for entry in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")),
    bytes(range(0x60, 0x70)),
]
CT_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@cache
def tree_hash(start: int, stop: int) -> bytes:
    """MTH(D[start:stop]) of RFC 9162 section 2.1.1."""
    if stop == start:
        return sha256(b"").digest()
    if stop == start + 1:
        return sha256(b"\x00" + ENTRIES[start]).digest()
    middle = start + split(stop - start)
    return node(tree_hash(start, middle), tree_hash(middle, stop))


def split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def path(index: int, start: int, stop: int) -> list[bytes]:
    """PATH(index, D[start:stop]) of section 2.1.3.1."""
    if stop - start == 1:
        return []
    k = split(stop - start)
    if index < k:
        return [*path(index, start, start + k), tree_hash(start + k, stop)]
    return [*path(index - k, start + k, stop), tree_hash(start, start + k)]


def subproof(first: int, start: int, stop: int, whole: bool) -> list[bytes]:
    """SUBPROOF(first, D[start:stop], whole) of section 2.1.4.1."""
    if first == stop - start:
        return [] if whole else [tree_hash(start, stop)]
    k = split(stop - start)
    if first <= k:
        return [*subproof(first, start, start + k, whole), tree_hash(start + k, stop)]
    return [*subproof(first - k, start + k, stop, False), tree_hash(start, start + k)]


def includes(leaf: bytes, index: int, size: int, found: list[bytes], expected_root: bytes) -> bool:
    """Section 2.1.3.2, step by step."""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in found:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == expected_root


def is_consistent(first: int, second: int, found: list[bytes], roots: tuple[bytes, bytes]) -> bool:
    """Section 2.1.4.2, step by step, for 0 < first < second."""
    if not found:
        return False
    hashes = [roots[0], *found] if first & (first - 1) == 0 else found
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for c in hashes[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return (fr, sr) == roots and sn == 0


def stored_tree(size: int) -> NodeTree:
    """A tree over stored nodes, of which it may read only those that a tree of this size has finished."""
    nodes = tree_nodes(ENTRIES[:size])
    return NodeTree(size, lambda level, index: nodes[level, index])


def test_hashes_have_the_prefixes_of_the_rfc() -> None:
    assert hash_leaf(b"x") == sha256(b"\x00x").digest()
    assert hash_node(b"l" * 32, b"r" * 32) == sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()
    assert sha256(b"").digest() == EMPTY_ROOT


@pytest.mark.parametrize("size", range(9))
def test_roots_of_the_certificate_transparency_suite(size: int) -> None:
    assert root(CT_ENTRIES[:size]).hex() == CT_ROOTS[size]


def test_all_ways_to_a_root_agree() -> None:
    other = InmemoryTree(algorithm="sha256")
    frontier = Frontier(0, lambda _level, _index: b"")
    for size in range(LEAVES_MAX + 1):
        expected = tree_hash(0, size)
        assert root(ENTRIES[:size]) == root(iter(ENTRIES[:size])) == expected
        assert frontier.root() == expected
        assert frontier.size == size
        assert stored_tree(size).root(size) == expected
        assert other.get_root(size) == expected
        if size < LEAVES_MAX:
            frontier.append(hash_leaf(ENTRIES[size]))
            other.append_entry(ENTRIES[size])


def test_stored_tree_knows_its_former_roots() -> None:
    tree = stored_tree(LEAVES_MAX)
    assert [tree.root(size) for size in range(LEAVES_MAX + 1)] == [tree_hash(0, size) for size in range(LEAVES_MAX + 1)]


def test_inclusion_paths_are_those_of_the_rfc() -> None:
    tree = stored_tree(PROVED_MAX)
    for size in range(1, PROVED_MAX + 1):
        for index in range(size):
            found = tree.inclusion_path(index, size)
            assert found == path(index, 0, size), (index, size)
            assert includes(hash_leaf(ENTRIES[index]), index, size, found, tree_hash(0, size)), (index, size)


def test_inclusion_path_proves_one_place_only() -> None:
    tree = stored_tree(PROVED_MAX)
    for size in (1, 2, 3, 7, 8, 9, 33, PROVED_MAX):
        for index in range(size):
            found = tree.inclusion_path(index, size)
            leaf = hash_leaf(ENTRIES[index])
            places = [at for at in range(size + 1) if includes(leaf, at, size, found, tree_hash(0, size))]
            assert places == [index]


def test_consistency_paths_are_those_of_the_rfc() -> None:
    tree = stored_tree(PROVED_MAX)
    for second in range(1, PROVED_MAX + 1):
        for first in range(1, second):
            found = tree.consistency_path(first, second)
            assert found == subproof(first, 0, second, True), (first, second)
            roots = tree_hash(0, first), tree_hash(0, second)
            assert is_consistent(first, second, found, roots), (first, second)
            assert not is_consistent(first, second, found, (roots[1], roots[0]))


def test_consistency_path_is_empty_for_nothing_and_for_equal_sizes() -> None:
    tree = stored_tree(PROVED_MAX)
    for size in range(PROVED_MAX + 1):
        assert tree.consistency_path(0, size) == []
        assert tree.consistency_path(size, size) == []


def test_proofs_read_a_logarithmic_number_of_nodes() -> None:
    nodes = tree_nodes(ENTRIES)
    reads: list[tuple[int, int]] = []

    def read(level: int, index: int) -> bytes:
        reads.append((level, index))
        return nodes[level, index]

    for index in (0, 63, 64, 128, 129):
        reads.clear()
        NodeTree(LEAVES_MAX, read).inclusion_path(index, LEAVES_MAX)
        assert len(reads) <= 20, index


def test_peaks_are_the_binary_digits_of_the_size() -> None:
    assert peaks(0) == []
    assert peaks(1) == [(0, 0)]
    assert peaks(6) == [(2, 0), (1, 2)]
    assert peaks(7) == [(2, 0), (1, 2), (0, 6)]
    assert peaks(130) == [(7, 0), (1, 64)]


def test_frontier_says_which_nodes_a_leaf_finishes() -> None:
    frontier = Frontier(0, lambda _level, _index: b"")
    for count, entry in enumerate(ENTRIES):
        finished = frontier.append(hash_leaf(entry))
        ones = ((count + 1) & -(count + 1)).bit_length()
        assert [(level, index) for level, index, _ in finished] == [(level, count >> level) for level in range(ones)]
        for level, index, found in finished:
            assert found == tree_hash(index << level, index + 1 << level)


def test_frontier_resumes_at_every_size() -> None:
    nodes = tree_nodes(ENTRIES)
    for size in range(LEAVES_MAX):
        frontier = Frontier(size, lambda level, index: nodes[level, index])
        assert frontier.root() == tree_hash(0, size)
        frontier.append(hash_leaf(ENTRIES[size]))
        assert frontier.root() == tree_hash(0, size + 1)


def test_fork_is_independent() -> None:
    frontier = Frontier(0, lambda _level, _index: b"")
    for count in range(LEAVES_MAX - 1):
        fork = frontier.fork()
        assert (fork.size, fork.root()) == (count, tree_hash(0, count))
        fork.append(hash_leaf(b"another"))
        assert frontier.root() == tree_hash(0, count)
        frontier.append(hash_leaf(ENTRIES[count]))
        assert fork.root() != frontier.root()


def test_stored_tree_gives_its_leaves_and_takes_none() -> None:
    tree = stored_tree(5)
    leaves = [hash_leaf(entry) for entry in ENTRIES[:5]]
    assert [tree.get_leaf(count) for count in range(1, 6)] == leaves
    assert tree._get_leaves(1, 3) == leaves[1:4]
    assert tree.get_size() == 5
    with pytest.raises(NotImplementedError, match="Frontier"):
        tree.append_entry(b"more")
    with pytest.raises(NotImplementedError, match="Frontier"):
        tree._store_leaf(b"more", leaves[0])


def test_tree_nodes_of_nothing() -> None:
    assert tree_nodes([]) == {}
    assert stored_tree(0).root(0) == EMPTY_ROOT

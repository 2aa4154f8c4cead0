"""The state tree over stored pages: update in batches, adopt what is durable, prove from pages.

Keys are tree keys (`crypto.state_proof`), records their encoded bytes. The committed tree never
changes by `update`, which only says what would have to be written; `adopt` moves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import groupby

from crypto.state_proof import ABSENT, EMPTY, EMPTY_ROOT, HASH_BYTES, KEY_BITS, PRESENT, StateProof, key_bit

from .leaf_pages import Change, entries_in, split_entries, update_leaf_page
from .tree_pages import (
    LEAF_DEPTH,
    NO_CELL,
    DamagedTree,
    ReadPage,
    decode_cells,
    encode_cells,
    fold,
    is_inner_page,
    page_key,
    prefix_of,
    root_of_leaves,
    width,
)
from .tree_top import TreeTop, depth_for

DEFAULT_CACHE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """What a set of changes makes of the tree.

    `pages` has the new bytes by page key (None: delete), `replaced` the bytes they had before
    under the same keys (None: there was no page).
    """

    root: bytes
    pages: dict[bytes, bytes | None]
    replaced: dict[bytes, bytes | None]
    parent_root: bytes
    top_cells: dict[int, bytes] = field(repr=False)


class StateTree:
    """The committed state tree: its root, its top levels in memory, its pages read on demand."""

    def __init__(self, read: ReadPage, root: bytes, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        """Tree with this root over the pages that `read` gives; reads nothing yet."""
        self.root = root
        self._read = read
        root_cell = NO_CELL if root == EMPTY_ROOT else root
        self._top = TreeTop(read, root_cell, depth_for(cache_bytes))

    def update(self, changes: Mapping[bytes, bytes | None]) -> TreeUpdate:
        """Root and pages after `changes` (tree key to record, None to remove it).

        Leaves the committed tree as it is. Raises DamagedTree when a page that is needed is missing
        or broken.
        """
        writer = _PageWriter(self._read)
        depth = self._top.depth
        buckets = _by_prefix(_hashed(changes), depth)
        nodes = [1 << depth | prefix for prefix in buckets]
        self._top.load(nodes)
        fresh = {}
        for node, (prefix, part) in zip(nodes, buckets.items(), strict=True):
            old = self._top.cell(node)
            fresh[node] = writer.update(depth, prefix, part, exists=old != NO_CELL)
        self._top.rehash(fresh)
        for key, old_page, new_page in self._top.changed_pages(fresh):
            writer.put(key, old_page, new_page)
        root_cell = fresh.get(1, self._top.cell(1))
        root = EMPTY_ROOT if root_cell == NO_CELL else root_cell
        return TreeUpdate(root, writer.pages, writer.replaced, self.root, fresh)

    def adopt(self, update: TreeUpdate) -> None:
        """Make an update of this very tree the committed one, after its pages are durable."""
        if update.parent_root != self.root:
            raise ValueError("update belongs to another state of the tree")
        self._top.adopt(update.top_cells)
        self.root = update.root


def _hashed(changes: Mapping[bytes, bytes | None]) -> list[Change]:
    """Changes in ascending order of keys, records replaced by their hashes."""
    hashed: list[Change] = []
    for key in sorted(changes):
        record = changes[key]
        hashed.append((key, None if record is None else sha256(record).digest()))
    return hashed


def _by_prefix(changes: Iterable[Change], depth: int) -> dict[int, list[Change]]:
    """Changes in their order, by the first `depth` bits of their keys."""
    buckets: dict[int, list[Change]] = {}
    for change in changes:
        prefix = int.from_bytes(change[0][:4], "big") >> (32 - depth)
        buckets.setdefault(prefix, []).append(change)
    return buckets


class _PageWriter:
    """Applies changes to stored pages and collects the pages that come of it."""

    def __init__(self, read: ReadPage) -> None:
        self._read = read
        self.pages: dict[bytes, bytes | None] = {}
        self.replaced: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, old: bytes | None, new: bytes | None) -> None:
        """Note that the page `key` turns from `old` into `new`, unless they are equal."""
        if old != new:
            self.pages[key] = new
            self.replaced[key] = old

    def update(self, depth: int, prefix: int, changes: Sequence[Change], *, exists: bool) -> bytes:
        """New cell of the page at `prefix`; `exists` says whether its old cell has leaves."""
        key = page_key(depth, prefix)
        old = self._read(key) if exists else None
        if exists and old is None:
            raise DamagedTree(f"page of depth {depth} is missing")
        if depth < LEAF_DEPTH or (old is not None and is_inner_page(old)):
            cells = decode_cells(old, depth) if old is not None else [NO_CELL] * (1 << width(depth))
            new, cell = self._update_cells(depth, cells, changes)
        else:
            new, cell = self._update_leaves(depth, old, changes)
        self.put(key, old, new)
        return cell

    def _update_cells(self, depth: int, cells: list[bytes], changes: Sequence[Change]) -> tuple[bytes | None, bytes]:
        """Inner page: new bytes and new cell, after the pages below it."""
        bits = width(depth)
        below = depth + bits
        for prefix, part in groupby(changes, key=lambda change: prefix_of(change[0], below)):
            index = prefix & (1 << bits) - 1
            cells[index] = self.update(below, prefix, list(part), exists=cells[index] != NO_CELL)
        return encode_cells(b"".join(cells)), fold(depth, cells)

    def _update_leaves(self, depth: int, old: bytes | None, changes: Sequence[Change]) -> tuple[bytes | None, bytes]:
        """Leaf page: new bytes and new cell; cut in pieces when it has too many leaves."""
        result = update_leaf_page(old, depth, changes)
        if isinstance(result, bytes):
            leaves = [(entry[:HASH_BYTES], entry[HASH_BYTES:]) for entry in split_entries(result)]
            return self._update_cells(depth, [NO_CELL] * (1 << width(depth)), leaves)
        return result


def prove(read: ReadPage, key: bytes) -> StateProof:
    """Proof that `key` is or is not in the tree whose pages `read` gives, of any state.

    Raises DamagedTree when a page is missing or unreadable.
    """
    path: list[tuple[int, bytes]] = []
    depth, prefix = 0, 0
    page = read(page_key(0, 0))
    if page is None:
        return StateProof(EMPTY, b"", b"", ())
    while is_inner_page(page):
        index = _descend(key, depth, decode_cells(page, depth), path)
        prefix = prefix << width(depth) | index
        depth += width(depth)
        below = read(page_key(depth, prefix))
        if below is None:
            raise DamagedTree(f"page of depth {depth} is missing")
        page = below
    leaf = _descend_leaves(key, split_entries(entries_in(page)), path)
    path.reverse()
    if leaf.startswith(key):
        return StateProof(PRESENT, b"", b"", tuple(path))
    return StateProof(ABSENT, leaf[:HASH_BYTES], leaf[HASH_BYTES:], tuple(path))


def _descend(key: bytes, depth: int, cells: list[bytes], path: list[tuple[int, bytes]]) -> int:
    """Index of the cell that following the key's bits leads to; branches are added to `path`."""
    first, index = depth, 0
    for bit in range(first, first + width(depth)):
        half = len(cells) // 2
        halves = cells[:half], cells[half:]
        sides = fold(bit + 1, halves[0]), fold(bit + 1, halves[1])
        side = key_bit(key, bit)
        if sides[side] == NO_CELL:
            side ^= 1
        elif sides[side ^ 1] != NO_CELL:
            path.append((bit, sides[side ^ 1]))
        cells, index = halves[side], index << 1 | side
    return index


def _descend_leaves(key: bytes, leaves: list[bytes], path: list[tuple[int, bytes]]) -> bytes:
    """The entry that following the key's bits leads to; branches are added to `path`."""
    while len(leaves) > 1:
        first, last = (int.from_bytes(leaves[at][:HASH_BYTES], "big") for at in (0, -1))
        bit = KEY_BITS - (first ^ last).bit_length()
        sides: tuple[list[bytes], list[bytes]] = ([], [])
        for leaf in leaves:
            sides[key_bit(leaf, bit)].append(leaf)
        side = key_bit(key, bit)
        path.append((bit, root_of_leaves(sides[side ^ 1])))
        leaves = sides[side]
    return leaves[0]

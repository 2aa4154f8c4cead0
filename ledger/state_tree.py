"""The state tree over stored pages: update in batches, adopt what is written, prove from pages.

Keys are tree keys (`crypto.state_proof`), records their encoded bytes. The committed tree never
changes by `update`, which only says what would have to be written; `adopt` moves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from crypto.bulk_hashes import hash_each, roots_of_runs
from crypto.state_proof import ABSENT, EMPTY, EMPTY_ROOT, HASH_BYTES, KEY_BITS, PRESENT, StateProof, key_bit

from .courtesy import give_way
from .leaf_pages import (
    Change,
    are_too_many,
    entries_in,
    leaf_cell,
    leaf_cells,
    leaf_page,
    put_entries,
    split_entries,
)
from .page_changes import cells_change, leaves_back, leaves_change, whole_page
from .tree_pages import (
    CELL,
    LEAF_DEPTH,
    NO_CELL,
    Pages,
    ReadPage,
    decode_cells,
    encode_cells,
    fold,
    is_inner_page,
    page_key,
    prefix_of,
    stored_page,
    width,
)
from .tree_top import TreeTop, depth_for

DEFAULT_CACHE_BYTES: Final = 32 << 20
_HASHED_AT_ONCE: Final = 64
"""Leaf pages: enough for other threads to run meanwhile, few enough to be in the processor's cache still."""


@dataclass(frozen=True, slots=True)
class TreeUpdate:
    """What a set of changes makes of the tree.

    `pages` has the new bytes by page key (None: delete), `undo` what makes of each what it was before, `changes` what
    makes it of what it was before, where it was there in the same form (`ledger.page_changes`).
    """

    root: bytes
    pages: Pages
    undo: dict[bytes, bytes]
    changes: dict[bytes, bytes]
    parent_root: bytes
    top_cells: dict[int, bytes] = field(repr=False)
    """New cells of the nodes of the top whose pages below it changed."""


class StateTree:
    """The committed state tree: its root, its top levels in memory, its pages read on demand.

    The top in memory is that of the newest update, as if this were adopted already; it is taken back when another
    update comes instead.
    """

    def __init__(self, read: ReadPage, root: bytes, cache_bytes: int = DEFAULT_CACHE_BYTES) -> None:
        """Tree with this root over the pages that `read` gives; reads nothing yet."""
        self.root = root
        self._read = read
        root_cell = NO_CELL if root == EMPTY_ROOT else root
        self._top = TreeTop(read, root_cell, depth_for(cache_bytes))
        self._newest: TreeUpdate | None = None
        self._before_newest: dict[int, bytes] = {}

    def update(self, changes: Mapping[bytes, bytes | None]) -> TreeUpdate:
        """Root and pages after `changes` (tree key to record, None to remove it).

        Leaves the committed tree as it is. Raises DamagedTree when a page that is needed is missing
        or broken.
        """
        self._take_back()
        top, writer = self._top, _PageWriter(self._read)
        parts = _by_page(changes, top.page_depth)
        top.load(parts)
        changed = _change_below(top, writer, parts)
        before = top.cells_of(changed)
        above = top.cells_of(top.nodes_above(parts))
        self._before_newest = before
        top.apply(changed)
        for key, page, undo, change in top.changed_pages(before | above):
            writer.put(key, page, undo, change)
        root = _root_of(top.cell(1))
        self._newest = TreeUpdate(root, writer.pages, writer.undo, writer.changes, self.root, changed)
        return self._newest

    def adopt(self, update: TreeUpdate) -> None:
        """Make an update of this very tree the committed one, after its pages are written."""
        if update.parent_root != self.root:
            raise ValueError("update belongs to another state of the tree")
        if update is not self._newest:
            self._take_back()
            self._top.apply(update.top_cells)
        self._newest = None
        self._before_newest = {}
        self.root = update.root

    def _take_back(self) -> None:
        """Return the top to the committed state, if the newest update was not adopted, or was interrupted."""
        self._top.apply(self._before_newest)
        self._newest = None
        self._before_newest = {}


def _root_of(cell: bytes) -> bytes:
    """Root of the tree from the cell of all keys."""
    return EMPTY_ROOT if cell == NO_CELL else cell


def _by_page(changes: Mapping[bytes, bytes | None], depth: int) -> dict[int, list[Change]]:
    """Changes with hashed records in ascending order of keys, by the node at `depth` bits above them."""
    parts: dict[int, list[Change]] = {}
    mark, rest = 1 << depth, 32 - depth
    keys = sorted(changes)
    hashes = iter(hash_each([record for key in keys if (record := changes[key]) is not None]))
    for key in keys:
        give_way()
        node = mark | int.from_bytes(key[:4], "big") >> rest
        change = key, None if changes[key] is None else next(hashes)
        if node in parts:
            parts[node].append(change)
        else:
            parts[node] = [change]
    return parts


def _change_below(top: TreeTop, writer: _PageWriter, parts: Mapping[int, Sequence[Change]]) -> dict[int, bytes]:
    """Apply changes, by lowest page of the top, to all pages below it; the new cells of the nodes above those."""
    changed: dict[int, bytes] = {}
    runs: dict[int, bytes] = {}
    for node, depth, old, part in _pages_below(top, writer.read, parts):
        prefix = node ^ 1 << depth
        entries = writer.leaves_after(depth, prefix, old, part)
        if entries is None:
            changed[node] = writer.inner_cell(depth, prefix, old, part)
            continue
        runs[node] = entries
        if len(runs) == _HASHED_AT_ONCE:
            changed.update(_cells_of(runs))
            runs.clear()
    changed.update(_cells_of(runs))
    return changed


def _cells_of(runs: Mapping[int, bytes]) -> dict[int, bytes]:
    """Cell of each node whose page has these entries."""
    return dict(zip(runs, leaf_cells(list(runs.values())), strict=True))


def _pages_below(
    top: TreeTop, read: ReadPage, parts: Mapping[int, Sequence[Change]]
) -> Iterator[tuple[int, int, bytes | None, Sequence[Change]]]:
    """Yield each page below the top that changes: its node, its depth, its bytes (None: there is none), its changes."""
    depth, mark = top.page_depth, 1 << top.page_depth
    for page, part in parts.items():
        if not top.is_loaded(page):
            old = stored_page(read, page_key(depth, page ^ mark)) if top.cell(page) != NO_CELL else None
            if old is None or not is_inner_page(old):
                yield page, depth, old, part
                continue
            top.fill(page, depth, old)
        for prefix, below in groupby(part, key=lambda change: prefix_of(change[0], top.depth)):
            node = prefix | 1 << top.depth
            exists = top.cell(node) != NO_CELL
            yield node, top.depth, stored_page(read, page_key(top.depth, prefix)) if exists else None, list(below)


class _PageWriter:
    """Applies changes to stored pages and collects the pages that come of it."""

    def __init__(self, read: ReadPage) -> None:
        self.read = read
        self.pages: Pages = {}
        self.undo: dict[bytes, bytes] = {}
        self.changes: dict[bytes, bytes] = {}

    def leaves_after(self, depth: int, prefix: int, old: bytes | None, changes: Sequence[Change]) -> bytes | None:
        """Entries of a leaf page after the changes, which are kept; None where it is, or must be, an inner page."""
        if is_inner_page(old) if old else depth < LEAF_DEPTH:
            return None
        before = entries_in(old)
        entries = put_entries(before, depth, changes)
        if are_too_many(entries):
            return None
        if entries != before:
            change = leaves_change(changes) if old else b""
            self.put(page_key(depth, prefix), leaf_page(entries), leaves_back(before, changes), change)
        return entries

    def inner_cell(self, depth: int, prefix: int, old: bytes | None, changes: Sequence[Change]) -> bytes:
        """New cell of an inner page, after the pages below it; the old page may be one of leaves that has too many."""
        had_leaves = old is not None and not is_inner_page(old)
        if had_leaves:
            entries = put_entries(entries_in(old), depth, changes)
            changes = [(entry[:HASH_BYTES], entry[HASH_BYTES:]) for entry in split_entries(entries)]
        bits = width(depth)
        below = depth + bits
        cells = bytearray(decode_cells(old, depth) if old and not had_leaves else bytes(CELL << bits))
        before: list[tuple[int, bytes]] = []
        after: list[tuple[int, bytes]] = []
        for place, part in groupby(changes, key=lambda change: prefix_of(change[0], below)):
            index = place & (1 << bits) - 1
            at = index * CELL
            old_cell = bytes(cells[at : at + CELL])
            cell = self._cell_after(below, place, list(part), exists=old_cell != NO_CELL)
            if cell != old_cell:
                before.append((index, old_cell))
                after.append((index, cell))
                cells[at : at + CELL] = cell
        row = bytes(cells)
        cell = fold(depth, row)
        if before:
            page = None if cell == NO_CELL else encode_cells(row)
            undo = whole_page(old) if old and had_leaves else cells_change(before)
            change = cells_change(after) if old and not had_leaves else b""
            self.put(page_key(depth, prefix), page, undo, change)
        return cell

    def put(self, key: bytes, page: bytes | None, undo: bytes, change: bytes) -> None:
        """Keep a new page; the change is empty where there was none of this form."""
        self.pages[key] = page
        self.undo[key] = undo
        if change:
            self.changes[key] = change

    def _cell_after(self, depth: int, prefix: int, changes: Sequence[Change], *, exists: bool) -> bytes:
        """New cell of the page at `prefix`; `exists` says whether its old cell has leaves."""
        old = stored_page(self.read, page_key(depth, prefix)) if exists else None
        entries = self.leaves_after(depth, prefix, old, changes)
        return self.inner_cell(depth, prefix, old, changes) if entries is None else leaf_cell(entries)


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
        page = stored_page(read, page_key(depth, prefix))
    entries = entries_in(page)
    leaf_cell(entries)  # refuses what is not sorted, and what follows relies on that
    leaf = _descend_leaves(key, split_entries(entries), path)
    path.reverse()
    if leaf.startswith(key):
        return StateProof(PRESENT, b"", b"", tuple(path))
    return StateProof(ABSENT, leaf[:HASH_BYTES], leaf[HASH_BYTES:], tuple(path))


def _descend(key: bytes, depth: int, cells: bytes, path: list[tuple[int, bytes]]) -> int:
    """Index of the cell that following the key's bits leads to; branches are added to `path`."""
    index = 0
    for bit in range(depth, depth + width(depth)):
        half = len(cells) // 2
        halves = cells[:half], cells[half:]
        side = key_bit(key, bit)
        if halves[side] == bytes(half):
            side ^= 1
        elif (sibling := fold(bit + 1, halves[side ^ 1])) != NO_CELL:
            path.append((bit, sibling))
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
        path.append((bit, roots_of_runs([b"".join(sides[side ^ 1])])[0]))
        leaves = sides[side]
    return leaves[0]

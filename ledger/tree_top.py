"""The top levels of the state tree in memory: one flat array, filled page by page when touched."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import sha256
from mmap import mmap

from .tree_pages import (
    BRANCH_TAGS,
    LEAF_DEPTH,
    NO_CELL,
    DamagedTree,
    Pages,
    ReadPage,
    decode_cells,
    encode_cells,
    join_all,
    page_key,
    width,
)

_CELL = len(NO_CELL)


def page_depths(bottom: int) -> list[int]:
    """Depths of the pages above `bottom` (itself such a depth), from 0 downward."""
    depths, depth = [], 0
    while depth < bottom:
        depths.append(depth)
        depth += width(depth)
    return depths


def depth_for(cache_bytes: int) -> int:
    """Deepest cut whose levels, 2^(depth + 1) cells, fit into `cache_bytes`; at least 3."""
    fitting = [cut for cut in page_depths(LEAF_DEPTH + 1)[1:] if _CELL << (cut + 1) <= cache_bytes]
    return max(fitting, default=width(0))


class TreeTop:
    """Cells of all prefixes of up to `depth` bits.

    A *node* is a prefix with a one in front of it: 1 is the root, 2n and 2n + 1 are the halves of n. The array of
    2^(depth + 1) cells is anonymous memory of the system, which takes room only where pages have been loaded, and whose
    slices are bytes. Every page is checked against the cell above it when it is loaded.
    """

    def __init__(self, read: ReadPage, root_cell: bytes, depth: int) -> None:
        """Top over the pages of `read`, with nothing loaded but the root cell."""
        self.depth = depth
        self._read = read
        self._cuts = page_depths(depth)
        self._cells = mmap(-1, _CELL << (depth + 1))
        self._loaded = bytearray(1 << depth)
        self._set(1, root_cell)

    def cell(self, node: int) -> bytes:
        """Cell of a node in a loaded page."""
        return self._cells[node * _CELL : (node + 1) * _CELL]

    def load(self, nodes: Collection[int]) -> None:
        """Load every page on the way to these nodes of the lowest level."""
        lowest = width(self._cuts[-1])
        missing = {node for node in {node >> lowest for node in nodes} if not self._loaded[node]}
        for cut in self._cuts:
            for page in {node >> (self._cuts[-1] - cut) for node in missing}:
                if not self._loaded[page]:
                    self._load_page(page, cut)

    def rehash(self, changed: dict[int, bytes]) -> list[dict[int, bytes]]:
        """New cells of all nodes above changed ones, by depth and node.

        `changed` has the new cells of nodes of the lowest level in ascending order; it is the last item of the answer.
        """
        levels = [changed]
        for bit in reversed(range(self.depth)):
            levels.append(self._parents(bit, levels[-1]))
        levels.reverse()
        return levels

    def _parents(self, bit: int, changed: dict[int, bytes]) -> dict[int, bytes]:
        """New cells at depth `bit` from the changed ones one bit deeper, both in ascending order of nodes."""
        cells, tag = self._cells, BRANCH_TAGS[bit]
        parents: dict[int, bytes] = {}
        for node, cell in changed.items():
            parent = node >> 1
            if not node & 1:
                left, right = cell, changed.get(node + 1) or cells[(node + 1) * _CELL : (node + 2) * _CELL]
            elif parent not in parents:
                left, right = cells[(node - 1) * _CELL : node * _CELL], cell
            else:
                continue
            if left == NO_CELL:
                parents[parent] = right
            elif right == NO_CELL:
                parents[parent] = left
            else:
                parents[parent] = sha256(tag + left + right).digest()
        return parents

    def changed_pages(self, levels: list[dict[int, bytes]], pages: Pages, replaced: Pages) -> None:
        """Add new and old bytes of every page that holds a cell in `levels`, the answer of `rehash`."""
        for cut in self._cuts:
            bits = width(cut)
            last_cell = (1 << bits) - 1
            drafts: list[tuple[int, bytes, bytearray]] = []
            page = 0
            for node, cell in levels[cut + bits].items():
                if node >> bits != page:
                    page = node >> bits
                    old = encode_cells(self._cells[(page << bits) * _CELL : ((page + 1) << bits) * _CELL])
                    draft = bytearray(old)
                    drafts.append((page, old, draft))
                at = 1 + (node & last_cell) * _CELL
                draft[at : at + _CELL] = cell
            for page, old, draft in drafts:
                if draft != old:
                    key = page_key(cut, page ^ 1 << cut)
                    pages[key] = bytes(draft) if levels[cut][page] != NO_CELL else None
                    replaced[key] = old if self.cell(page) != NO_CELL else None

    def adopt(self, levels: list[dict[int, bytes]]) -> None:
        """Make the cells in `levels`, the answer of `rehash`, the committed ones."""
        cells = self._cells
        for level in levels:
            for node, cell in level.items():
                cells[node * _CELL : (node + 1) * _CELL] = cell

    def _set(self, node: int, cell: bytes) -> None:
        self._cells[node * _CELL : (node + 1) * _CELL] = cell

    def _load_page(self, page: int, cut: int) -> None:
        """Fill in the levels below the node `page` down to the next cut."""
        expected = self.cell(page)
        if expected != NO_CELL:
            stored = self._read(page_key(cut, page ^ 1 << cut))
            if stored is None:
                raise DamagedTree(f"page of depth {cut} is missing")
            self._fill(page, cut, decode_cells(stored, cut), expected)
        self._loaded[page] = 1

    def _fill(self, page: int, cut: int, cells: list[bytes], expected: bytes) -> None:
        """Write the cells of a page and all between it and its node, once they hash to it."""
        levels = [cells]
        bit = cut + width(cut)
        while len(cells) > 1:
            bit -= 1
            cells = join_all(bit, cells)
            levels.append(cells)
        if cells[0] != expected:
            raise DamagedTree(f"page of depth {cut} does not hash to the cell above it")
        for height, level in enumerate(levels):
            first = page << (width(cut) - height)
            self._cells[first * _CELL : (first + len(level)) * _CELL] = b"".join(level)

"""The top levels of the state tree in memory: one flat array, filled page by page when touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from mmap import mmap

from .tree_pages import (
    BRANCH_TAGS,
    LEAF_DEPTH,
    NO_CELL,
    DamagedTree,
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

    A *node* is a prefix with a one in front of it: 1 is the root, 2n and 2n + 1 are the halves of
    n. The array of 2^(depth + 1) cells is anonymous memory of the system (and no bytearray, whose slices would be copied
    once more to be hashed): it takes room only where pages have been loaded. Every page is
    checked against the cell above it when it is loaded.
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

    def load(self, nodes: Iterable[int]) -> None:
        """Load every page on the way to these nodes of the lowest level."""
        for cut in self._cuts:
            for page in {node >> (self.depth - cut) for node in nodes}:
                if not self._loaded[page]:
                    self._load_page(page, cut)

    def rehash(self, fresh: dict[int, bytes]) -> None:
        """Add to `fresh` (new cells of changed nodes of the lowest level) the cells of all nodes above them."""
        cells, known = self._cells, fresh.get
        level: Iterable[int] = list(fresh)
        for bit in reversed(range(self.depth)):
            level = dict.fromkeys([node >> 1 for node in level])
            tag = BRANCH_TAGS[bit]
            for node in level:
                at = node * 2 * _CELL
                left = known(node * 2) or cells[at : at + _CELL]
                right = known(node * 2 + 1) or cells[at + _CELL : at + 2 * _CELL]
                if left != NO_CELL and right != NO_CELL:
                    fresh[node] = sha256(tag + left + right).digest()
                else:
                    fresh[node] = left if right == NO_CELL else right

    def changed_pages(self, fresh: dict[int, bytes]) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
        """(page key, old bytes, new bytes) of every page with a node of the lowest level in `fresh` below it."""
        level: Iterable[int] = [node for node in fresh if node >> self.depth]
        for cut in reversed(self._cuts):
            bits = width(cut)
            pages: dict[int, bytearray] = {}
            for node in level:
                page = node >> bits
                new = pages.get(page)
                if new is None:
                    new = pages[page] = bytearray(self._page_cells(page, bits))
                at = (node - (page << bits)) * _CELL
                new[at : at + _CELL] = fresh[node]
            for page, new in pages.items():
                old = encode_cells(self._page_cells(page, bits))
                yield page_key(cut, page ^ 1 << cut), old, encode_cells(bytes(new))
            level = pages

    def _page_cells(self, page: int, bits: int) -> bytes:
        """Committed cells of the page at a node, `bits` levels below it."""
        return self._cells[(page << bits) * _CELL : ((page + 1) << bits) * _CELL]

    def adopt(self, fresh: dict[int, bytes]) -> None:
        """Make the cells in `fresh` the committed ones."""
        cells = self._cells
        for node, cell in fresh.items():
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

"""The top levels of the state tree in memory: one flat array, filled page by page when touched."""

from __future__ import annotations

from collections.abc import Iterable
from mmap import mmap

from .tree_pages import (
    CELL,
    LEAF_DEPTH,
    NO_CELL,
    DamagedTree,
    ReadPage,
    decode_cells,
    encode_cells,
    join_all,
    page_key,
    rehash,
    stored_page,
    width,
)

_EMPTY_PAGES = (NO_CELL * 8, NO_CELL * 32)
Place = tuple[bytes, int, int]
"""Key of an inner page, and where its cells begin and end in the array."""


def page_depths(bottom: int) -> list[int]:
    """Depths of the pages above `bottom` (itself such a depth), from 0 downward."""
    depths, depth = [], 0
    while depth < bottom:
        depths.append(depth)
        depth += width(depth)
    return depths


def depth_for(cache_bytes: int) -> int:
    """Deepest cut whose levels, 2^(depth + 1) cells, fit into `cache_bytes`; from 3 to the one below LEAF_DEPTH."""
    lowest = LEAF_DEPTH + width(LEAF_DEPTH)
    fitting = [cut for cut in page_depths(lowest + 1)[1:] if CELL << (cut + 1) <= cache_bytes]
    return max(fitting, default=width(0))


class TreeTop:
    """Cells of all prefixes of up to `depth` bits, but below LEAF_DEPTH only where an inner page is.

    The array has the cells of all nodes (see `rehash`) down to this depth. It is anonymous memory of the system, which
    takes room only where pages have been loaded, and whose slices are bytes. Every page is checked against the cell
    above it when it is loaded. The lowest pages are those at `page_depth`; at LEAF_DEPTH leaf pages are among them.
    """

    def __init__(self, read: ReadPage, root_cell: bytes, depth: int) -> None:
        """Top over the pages of `read`, with nothing loaded but the root cell."""
        self.depth = depth
        self._read = read
        self._cuts = page_depths(depth)
        self.page_depth = self._cuts[-1]
        self._cells = mmap(-1, CELL << (depth + 1))
        self._loaded = bytearray(2 << self.page_depth)
        self._cells[CELL : 2 * CELL] = root_cell

    def cell(self, node: int) -> bytes:
        """Cell of a node in a loaded page."""
        return self._cells[node * CELL : (node + 1) * CELL]

    def is_loaded(self, page: int) -> bool:
        """Whether the inner page at a node has been loaded."""
        return self._loaded[page] == 1

    def load(self, pages: Iterable[int]) -> None:
        """Load every page above these lowest pages, and themselves if their depth has no leaf pages."""
        cuts = self._cuts[:-1] if self.page_depth == LEAF_DEPTH else self._cuts
        above = self.page_depth - cuts[-1]
        missing = [node for node in dict.fromkeys([page >> above for page in pages]) if not self._loaded[node]]
        for cut in cuts:
            for node in dict.fromkeys([node >> (cuts[-1] - cut) for node in missing]):
                if not self._loaded[node]:
                    exists = self.cell(node) != NO_CELL
                    self.fill(node, cut, stored_page(self._read, page_key(cut, node ^ 1 << cut)) if exists else None)

    def places_above(self, pages: Iterable[int]) -> list[Place]:
        """Places of all pages above the lowest pages `pages`."""
        places: list[Place] = []
        nodes = list(pages)
        for cut in reversed(self._cuts[:-1]):
            bits = width(cut)
            nodes = list(dict.fromkeys([node >> bits for node in nodes]))
            places += self.places_at(cut, nodes)
        return places

    def places_at(self, cut: int, nodes: Iterable[int]) -> list[Place]:
        """Places of the pages of these nodes at a cut."""
        mark, size = 1 << cut, CELL << width(cut)
        return [(page_key(cut, node ^ mark), node * size, node * size + size) for node in nodes]

    def pages(self, places: Iterable[Place]) -> list[bytes | None]:
        """Inner pages at these places, None for those without a leaf below them."""
        array = self._cells
        all_cells = [array[start:end] for _, start, end in places]
        return [None if cells in _EMPTY_PAGES else encode_cells(cells) for cells in all_cells]

    def apply(self, changed: dict[int, bytes]) -> dict[int, bytes]:
        """Set the cells of lowest nodes and of leaf pages, and hash all above; the cells they had."""
        cells = self._cells
        before: dict[int, bytes] = {}
        for node, cell in changed.items():
            at = node * CELL
            before[node] = cells[at : at + CELL]
            cells[at : at + CELL] = cell
        lowest = [node for node in changed if node >> self.depth]
        pages = [node for node in changed if not node >> self.depth]
        rehash(cells, rehash(cells, lowest, self.page_depth) + pages)
        return before

    def fill(self, page: int, cut: int, stored: bytes | None) -> None:
        """Write the cells of an inner page and all between it and its node, once they hash to the node's."""
        if stored:
            cells = decode_cells(stored, cut)
            levels = [cells]
            bit = cut + width(cut)
            while len(cells) > 1:
                bit -= 1
                cells = join_all(bit, cells)
                levels.append(cells)
            if cells[0] != self.cell(page):
                raise DamagedTree(f"page of depth {cut} does not hash to the cell above it")
            for height, level in enumerate(levels):
                first = page << (width(cut) - height)
                self._cells[first * CELL : (first + len(level)) * CELL] = b"".join(level)
        self._loaded[page] = 1

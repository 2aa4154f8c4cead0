"""The top levels of the state tree in memory: one flat array, filled page by page when touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from mmap import mmap
from typing import Final

from crypto.bulk_hashes import rehash

from .courtesy import give_way
from .page_changes import cells_change
from .tree_pages import (
    CELL,
    LEAF_DEPTH,
    NO_CELL,
    DamagedTree,
    ReadPage,
    decode_cells,
    encode_cells,
    page_key,
    rows_above,
    stored_page,
    width,
)

_EMPTY_PAGES: Final = (NO_CELL * 8, NO_CELL * 256)


def page_depths(bottom: int) -> list[int]:
    """Depths of the pages above `bottom` (itself such a depth), from 0 downward."""
    depths, depth = [], 0
    while depth < bottom:
        depths.append(depth)
        depth += width(depth)
    return depths


def depth_for(cache_bytes: int) -> int:
    """Deepest cut whose levels, 2^(depth + 1) cells, fit into `cache_bytes`; from 8 to the one below LEAF_DEPTH."""
    lowest = LEAF_DEPTH + width(LEAF_DEPTH)
    fitting = [cut for cut in page_depths(lowest + 1)[1:] if CELL << (cut + 1) <= cache_bytes]
    return max(fitting, default=width(0))


class TreeTop:
    """Cells of all prefixes of up to `depth` bits, but below LEAF_DEPTH only where an inner page is.

    The array has the cells of all nodes (see `crypto.plain_hashes.rehash`) down to this depth. It is anonymous memory
    of the system, which takes room only where pages have been loaded, and whose slices are bytes. Every page is checked
    against the cell above it when it is loaded. The lowest pages are those at `page_depth`; at LEAF_DEPTH leaf pages
    are among them.
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
        self._bits = {cut + width(cut): width(cut) for cut in self._cuts}

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

    def nodes_above(self, pages: Iterable[int]) -> list[int]:
        """Nodes at every cut, from these lowest pages upward to the root."""
        nodes = list(pages)
        found: list[int] = []
        for cut in reversed(self._cuts[:-1]):
            found += nodes
            bits = width(cut)
            nodes = list(dict.fromkeys([node >> bits for node in nodes]))
        return found + nodes

    def cells_of(self, nodes: Iterable[int]) -> dict[int, bytes]:
        """Cells of nodes."""
        cells = self._cells
        return {node: cells[node * CELL : node * CELL + CELL] for node in nodes}

    def changed_pages(self, before: Mapping[int, bytes]) -> Iterator[tuple[bytes, bytes | None, bytes, bytes]]:
        """Yield key, bytes, undo and change of every inner page in which one of these nodes' cells is another now.

        The pages' own nodes are among them; the change is empty where the page is new.
        """
        cells = self._cells
        changed: dict[int, list[tuple[int, bytes]]] = {}
        for node, cell in before.items():
            if node > 1 and cells[node * CELL : node * CELL + CELL] != cell:
                bits = self._bits[node.bit_length() - 1]
                changed.setdefault(node >> bits, []).append((node & (1 << bits) - 1, cell))
        for page, places in changed.items():
            give_way()
            cut = page.bit_length() - 1
            size = CELL << width(cut)
            content = cells[page * size : page * size + size]
            yield (
                page_key(cut, page ^ 1 << cut),
                None if content in _EMPTY_PAGES else encode_cells(content),
                cells_change(places),
                b"" if before[page] == NO_CELL else cells_change(_cells_at(content, places)),
            )

    def apply(self, changed: Mapping[int, bytes]) -> None:
        """Set the cells of lowest nodes and of leaf pages, and hash all above."""
        cells = self._cells
        for node, cell in changed.items():
            cells[node * CELL : node * CELL + CELL] = cell
        lowest = [node for node in changed if node >> self.depth]
        pages = [node for node in changed if not node >> self.depth]
        rehash(cells, rehash(cells, lowest, self.page_depth) + pages, 0)

    def fill(self, page: int, cut: int, stored: bytes | None) -> None:
        """Write the cells of an inner page and all between it and its node, once they hash to the node's."""
        if stored:
            rows = rows_above(cut, decode_cells(stored, cut))
            if rows[-1] != self.cell(page):
                raise DamagedTree(f"page of depth {cut} does not hash to the cell above it")
            for height, row in enumerate(rows):
                first = page << (width(cut) - height)
                self._cells[first * CELL : first * CELL + len(row)] = row
        self._loaded[page] = 1


def _cells_at(content: bytes, places: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Places with the cells that are there now."""
    return [(place, content[place * CELL : place * CELL + CELL]) for place, _ in places]

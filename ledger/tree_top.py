"""The top levels of the state tree in memory: one flat array, filled page by page when touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from .tree_pages import (
    BRANCH_TAGS,
    LEAF_DEPTH,
    NO_CELL,
    DamagedTree,
    ReadPage,
    decode_cells,
    encode_cells,
    join,
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
    n. The array of 2^(depth + 1) cells takes memory only where pages have been loaded. Every page is
    checked against the cell above it when it is loaded.
    """

    def __init__(self, read: ReadPage, root_cell: bytes, depth: int) -> None:
        """Top over the pages of `read`, with nothing loaded but the root cell."""
        self.depth = depth
        self._read = read
        self._cuts = page_depths(depth)
        self._cells = bytearray(_CELL << (depth + 1))
        self._loaded = bytearray(1 << depth)
        self._set(1, root_cell)

    def cell(self, node: int) -> bytes:
        """Cell of a node in a loaded page."""
        return bytes(self._cells[node * _CELL : (node + 1) * _CELL])

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
                if NO_CELL in (left, right):
                    fresh[node] = bytes(right if left == NO_CELL else left)
                else:
                    fresh[node] = sha256(tag + left + right).digest()

    def changed_pages(self, fresh: dict[int, bytes]) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
        """(page key, old bytes, new bytes) of every page with a node of the lowest level in `fresh` below it."""
        level: Iterable[int] = [node for node in fresh if node >> self.depth]
        for cut in reversed(self._cuts):
            bits = width(cut)
            level = dict.fromkeys([node >> bits for node in level])
            for page in level:
                nodes = range(page << bits, (page + 1) << bits)
                old = self._cells[nodes.start * _CELL : nodes.stop * _CELL]
                new = b"".join([fresh.get(node) or self.cell(node) for node in nodes])
                yield page_key(cut, page ^ 1 << cut), encode_cells(bytes(old)), encode_cells(new)

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
            cells = [join(bit, *pair) for pair in zip(cells[::2], cells[1::2], strict=True)]
            levels.append(cells)
        if cells[0] != expected:
            raise DamagedTree(f"page of depth {cut} does not hash to the cell above it")
        for height, level in enumerate(levels):
            first = page << (width(cut) - height)
            self._cells[first * _CELL : (first + len(level)) * _CELL] = b"".join(level)

"""What makes of a page of the state tree what it was before, or what it is afterwards: the little that differs.

    0x00 || page                                  the other page, where it has another form
    0x01 || (place || cell)*                      inner page: cells of the other page; a place is a byte
    0x02 || (0x01 || key || hash | 0x00 || key)*  leaf page: entries of the other page, and keys that it does not have

No page is the same as an inner page of empty cells, and as a leaf page without entries. Changes of one form can be
joined (`joined`): of what is said twice, the later counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import groupby
from typing import Final

from crypto.plain_hashes import ENTRY_BYTES
from crypto.state_proof import HASH_BYTES

from .leaf_pages import Change, are_too_many, entries_in, leaf_page, put_entries
from .tree_pages import CELL, DamagedTree, encode_cells, is_inner_page, width

_WHOLE: Final = b"\x00"
_CELLS: Final = b"\x01"
_LEAVES: Final = b"\x02"
_ABSENT: Final = b"\x00"
_PRESENT: Final = b"\x01"
_PLACES: Final = tuple(bytes([place]) for place in range(256))
_PLACE_AND_CELL: Final = 1 + CELL


def whole_page(page: bytes) -> bytes:
    """Change to a page of another form."""
    return _WHOLE + page


def cells_change(cells: Iterable[tuple[int, bytes]]) -> bytes:
    """Change to an inner page in which the cells at these places are these."""
    return _CELLS + b"".join([_PLACES[place] + cell for place, cell in cells])


def leaves_change(changes: Iterable[Change]) -> bytes:
    """Change to a leaf page by these changes."""
    return _LEAVES + b"".join([_ABSENT + key if leaf is None else _PRESENT + key + leaf for key, leaf in changes])


def leaves_back(entries: bytes, changes: Sequence[Change]) -> bytes:
    """Change that undoes changes to a leaf page that has these entries."""
    return _LEAVES + b"".join([_entry_before(entries, key) for key, _ in changes])


def joined(first: bytes, second: bytes) -> bytes:
    """Both changes, of which the first may be none."""
    return first + second[1:] if first else second


def changed(depth: int, page: bytes | None, change: bytes) -> bytes | None:
    """The other page at `depth`; raises DamagedTree where the change does not fit `page`."""
    form, content = change[:1], change[1:]
    if form == _WHOLE:
        return content
    if form == _CELLS:
        return _put_cells(page or encode_cells(bytes(CELL << width(depth))), content)
    if page and is_inner_page(page):
        raise DamagedTree(f"a change does not fit the page of depth {depth}")
    entries = put_entries(entries_in(page), depth, _by_key(content))
    if are_too_many(entries):
        raise DamagedTree(f"a page of depth {depth} has too many leaves")
    return leaf_page(entries)


def page_before(depth: int, page: bytes | None, undo: Iterable[bytes]) -> bytes | None:
    """The page at `depth` before a row of updates, after which it is `page`; `undo` has what undoes each, oldest first.

    Of what was changed more than once, the oldest undo counts. So `undo` is read no further than it matters: the page
    above all others changes in every block, and a dozen of them tell all of its cells. Raises DamagedTree.
    """
    groups: list[bytes] = []
    for form, group in groupby(undo, key=_form):
        if form == _WHOLE:
            groups.append(next(group))
            break
        if form == _CELLS:
            cells = _oldest_cells(group, 1 << width(depth))
            groups.append(cells_change(cells.items()))
            if len(cells) == 1 << width(depth):
                page = None
                break
        else:
            groups.append(reduce(joined, reversed(list(group))))
    for change in reversed(groups):
        page = changed(depth, page, change)
    return page


def find_item(row: bytes, start: bytes, item_bytes: int) -> int:
    """Index of the first byte of the item that starts so, in a row of items of one length; -1 where none does."""
    at = row.find(start)
    while at % item_bytes and at >= 0:  # it may lie across two items, or further back in one
        at = row.find(start, at + 1)
    return at


def _entry_before(entries: bytes, key: bytes) -> bytes:
    at = find_item(entries, key, ENTRY_BYTES)
    return _ABSENT + key if at < 0 else _PRESENT + entries[at : at + ENTRY_BYTES]


def _form(change: bytes) -> bytes:
    return change[:1]


def _oldest_cells(undo: Iterable[bytes], count: int) -> dict[int, bytes]:
    """The first cell for each place, read until all `count` places have one."""
    cells: dict[int, bytes] = {}
    for change in undo:
        if len(change) % _PLACE_AND_CELL != 1:
            raise DamagedTree("a change does not fit the inner page")
        for at in range(1, len(change), _PLACE_AND_CELL):
            place = change[at]
            if place not in cells:
                cells[place] = change[at + 1 : at + _PLACE_AND_CELL]
        if len(cells) == count:
            break
    return cells


def _put_cells(page: bytes, content: bytes) -> bytes | None:
    cells = bytearray(page)
    if not is_inner_page(page) or len(content) % _PLACE_AND_CELL:
        raise DamagedTree("a change does not fit the inner page")
    for at in range(0, len(content), _PLACE_AND_CELL):
        start = 1 + content[at] * CELL
        cells[start : start + CELL] = content[at + 1 : at + _PLACE_AND_CELL]
    return bytes(cells) if any(cells) else None


def _by_key(content: bytes) -> list[Change]:
    """Changes, the last of each key."""
    changes: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(content):
        there = content[at : at + 1] == _PRESENT
        key, at = content[at + 1 : at + 1 + HASH_BYTES], at + 1 + HASH_BYTES
        changes[key] = content[at : at + HASH_BYTES] if there else None
        at += HASH_BYTES if there else 0
    return list(changes.items())

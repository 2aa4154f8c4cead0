"""What the last blocks replaced, so that the states before them can still be read and proved.

What a block replaced is packed into at most 512 entries: records and pages in 256 buckets each. An entry for every
record and page would be as much work for the database as the rest of a settlement. To read an older state, the
entries of one bucket are looked through, block by block.

    entry   b"U" || height (8) || kind (S or Q) || bucket (1)
    value   for each: length of the key (1) || length of what was there (4) || key || what was there (empty: nothing)
            a record is there whole, of a page what `ledger.page_changes` says of it
    list    b"V" || height (8)  ->  kind || bucket of each entry of the block

All of a block lies together, so that LevelDB never has to merge it with what other blocks have left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from struct import Struct
from typing import Final

from ledger.courtesy import give_way
from ledger.page_changes import find_item

from .schema import PAGE, RECORD, number

Entry = tuple[bytes, bytes | None]
_LENGTHS: Final = Struct(">BI")


def bucket_of(kind: bytes, key: bytes) -> bytes:
    """Return the bucket of a record or page: a byte of the key that is spread evenly."""
    # A page's key begins with its depth, and the lowest bits behind it may always be zero.
    return key[-1:] if kind == RECORD else key[1:2] or b"\x00"


def undo_key(height: int, kind: bytes, bucket: bytes) -> bytes:
    """Return the key of what the block at `height` replaced in one bucket."""
    return b"U" + number(height) + kind + bucket


def undo_list_key(height: int) -> bytes:
    """Return the key of the list of a block's undo entries."""
    return b"V" + number(height)


def undo_entries(height: int, records: Mapping[bytes, bytes | None], pages: Mapping[bytes, bytes]) -> Iterator[Entry]:
    """Yield what keeps the records that the block at `height` replaced (None: there was nothing), and pages' undo."""
    packed: dict[bytes, list[bytes]] = {}
    for kind, replaced in ((RECORD, records), (PAGE, pages)):
        for key, old in replaced.items():
            give_way()
            value = old or b""
            place = kind + bucket_of(kind, key)
            item = _LENGTHS.pack(len(key), len(value)) + key + value
            if place in packed:
                packed[place].append(item)
            else:
                packed[place] = [item]
    start = b"U" + number(height)
    for place, items in packed.items():
        yield start + place, b"".join(items)
    if packed:
        yield undo_list_key(height), b"".join(packed)


def entries_to_forget(height: int, undo_list: bytes) -> Iterator[Entry]:
    """Yield the deletions of all undo of a block, given its list."""
    for place in places_in(undo_list):
        yield b"U" + number(height) + place, None
    yield undo_list_key(height), None


def places_in(undo_list: bytes) -> Iterable[bytes]:
    """Return kind || bucket of each entry that the list of a block names."""
    return [undo_list[at : at + 2] for at in range(0, len(undo_list), 2)]


def is_listed(undo_list: bytes, place: bytes) -> bool:
    """Tell whether the list of a block names kind || bucket."""
    return find_item(undo_list, place, len(place)) >= 0


def find(packed: bytes, key: bytes) -> bytes | None:
    """Return what was there under a key (empty: nothing), None where the entry's value does not name it."""
    for found, value in items_in(packed):
        if found == key:
            return value
    return None


def items_in(packed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (key, what was there) of one entry's value."""
    at = 0
    while at < len(packed):
        key_bytes, value_bytes = _LENGTHS.unpack_from(packed, at)
        start = at + _LENGTHS.size
        end = start + key_bytes
        at = end + value_bytes
        yield packed[start:end], packed[end:at]

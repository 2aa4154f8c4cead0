"""Changes of pages: small where little changes, exact in every form, and refused where it does not fit."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest

from crypto.state_proof import EMPTY_ROOT
from ledger.leaf_pages import leaf_page, put_entries
from ledger.page_changes import cells_change, changed, joined, leaves_back, leaves_change, whole_page
from ledger.state_tree import StateTree
from ledger.tree_pages import CELL, LEAF_DEPTH, DamagedTree, encode_cells, page_key, width

CHANCE = random.Random(20487)
KEYS = sorted(b"\x12\x34" + CHANCE.randbytes(30) for _ in range(33))
HASH = sha256(b"a record").digest()
CELLS = CHANCE.randbytes(CELL << width(19))


def entries(count: int) -> bytes:
    return b"".join(key + sha256(key).digest() for key in KEYS[:count])


@pytest.mark.parametrize("count", [0, 1, 15, 31])
def test_leaf_pages_are_changed_there_and_back(count: int) -> None:
    old = leaf_page(entries(count))
    for changes in ([(KEYS[0], HASH)], [(KEYS[0], None)], [(KEYS[0], HASH), (KEYS[32], HASH)]):
        undo = leaves_back(entries(count), changes)
        new = leaf_page(put_entries(entries(count), LEAF_DEPTH, changes))
        assert changed(LEAF_DEPTH, new, undo) == old
        assert len(undo) <= 1 + 65 * len(changes)
        assert changed(LEAF_DEPTH, old, leaves_change(changes)) == new


def test_a_key_that_also_stands_for_a_records_hash_is_found_where_keys_stand() -> None:
    """The second key is the hash of the first one's record."""
    page = KEYS[0] + KEYS[1] + KEYS[1] + HASH
    old = leaf_page(page)
    new = leaf_page(KEYS[0] + KEYS[1])
    assert changed(LEAF_DEPTH, new, leaves_back(page, [(KEYS[1], None)])) == old


def test_inner_pages_are_undone_by_cell_also_to_and_from_nothing() -> None:
    old = encode_cells(CELLS)
    new = bytearray(old)
    new[1 + 2 * CELL : 1 + 3 * CELL] = HASH
    undo = cells_change([(2, CELLS[2 * CELL : 3 * CELL])])
    assert changed(19, bytes(new), undo) == old
    assert len(undo) == 2 + CELL
    all_cells = [(place, CELLS[place * CELL : (place + 1) * CELL]) for place in range(1 << width(19))]
    assert changed(19, None, cells_change(all_cells)) == old
    assert changed(19, old, cells_change([(place, bytes(CELL)) for place, _ in all_cells])) is None


def test_joined_changes_are_the_same_as_one_after_the_other() -> None:
    old = leaf_page(entries(10))
    first = leaves_change([(KEYS[0], HASH), (KEYS[1], None), (KEYS[20], HASH)])
    second = leaves_change([(KEYS[1], HASH), (KEYS[20], None), (KEYS[2], HASH)])
    both = joined(joined(b"", first), second)
    assert changed(LEAF_DEPTH, old, both) == changed(LEAF_DEPTH, changed(LEAF_DEPTH, old, first), second)
    cells = [cells_change([(1, HASH), (2, HASH)]), cells_change([(2, KEYS[0]), (3, HASH)])]
    page = encode_cells(CELLS)
    assert changed(19, page, joined(*cells)) == changed(19, changed(19, page, cells[0]), cells[1])


def test_a_page_that_had_another_form_is_kept_whole() -> None:
    old = leaf_page(entries(32))
    assert old is not None
    assert changed(LEAF_DEPTH, encode_cells(CELLS), whole_page(old)) == old


def test_what_does_not_fit_the_page_is_refused() -> None:
    inner, leaves = encode_cells(CELLS), leaf_page(entries(32))
    for page, undo in (
        (inner, leaves_back(b"", [(KEYS[0], HASH)])),
        (leaves, cells_change([(0, HASH)])),
        (inner, cells_change([(0, HASH)])[:-1]),
        (leaves, leaves_back(KEYS[32] + HASH, [(KEYS[32], None)])),
    ):
        with pytest.raises(DamagedTree):
            changed(LEAF_DEPTH, page, undo)


def test_an_update_of_a_large_tree_keeps_a_tenth_of_its_pages() -> None:
    """What is kept of former states is about what changed, not the pages in which it changed."""
    pages: dict[bytes, bytes | None] = {}
    tree = StateTree(pages.get, EMPTY_ROOT)
    crowd = {KEYS[0][:2] + CHANCE.randbytes(30): b"record" for _ in range(20)}
    for changes in (crowd, dict.fromkeys([min(crowd)], b"newer")):
        update = tree.update(changes)
        pages |= update.pages
        tree.adopt(update)
    assert page_key(LEAF_DEPTH, 0x1234) in update.undo
    assert 10 * sum(map(len, update.undo.values())) < sum(len(page or b"") for page in update.pages.values())

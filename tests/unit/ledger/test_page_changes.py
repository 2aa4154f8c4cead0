"""Changes of pages: small where little changes, exact in every form, and refused where it does not fit."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from hashlib import sha256

import pytest

from crypto.state_proof import EMPTY_ROOT
from ledger.leaf_pages import leaf_page, put_entries
from ledger.page_changes import (
    cells_change,
    changed,
    joined,
    leaves_back,
    leaves_change,
    page_before,
    whole_page,
)
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


def test_a_page_before_many_changes_is_as_if_each_were_undone_from_the_newest_on() -> None:
    for depth in (8, 19):
        row = CHANCE.randbytes(CELL << width(depth))
        for count in (0, 1, 5, 40):
            undo = [
                cells_change(
                    (place, CHANCE.randbytes(CELL)) for place in CHANCE.sample(range(1 << width(depth)), changing)
                )
                for changing in (CHANCE.randrange(1, 7) for _ in range(count))
            ]
            assert page_before(depth, encode_cells(row), undo) == _one_by_one(depth, encode_cells(row), undo)


def test_leaves_before_many_changes_are_as_if_each_were_undone_from_the_newest_on() -> None:
    pages, undo = [entries(10)], []
    for _ in range(60):
        changes = [(key, CHANCE.choice((None, CHANCE.randbytes(32)))) for key in sorted(CHANCE.sample(KEYS[:31], 3))]
        undo.append(leaves_back(pages[-1], changes))
        pages.append(put_entries(pages[-1], LEAF_DEPTH, changes))
    for at, page in enumerate(pages):
        assert page_before(LEAF_DEPTH, leaf_page(pages[-1]), undo[at:]) == leaf_page(page)


def test_forms_may_change_on_the_way() -> None:
    """Leaves, none, an inner page made at once, and one that was whole before it grew."""
    leaves, inner = leaf_page(entries(32)), encode_cells(CELLS)
    some = [leaves_back(entries(10), [(KEYS[0], HASH)]), leaves_back(b"", [(KEYS[1], None)])]
    created = cells_change((place, bytes(CELL)) for place in range(1 << width(19)))
    for undo in (
        [*some, created],
        [*some, created, cells_change([(1, HASH)])],
        [*some, whole_page(leaves or b""), cells_change([(1, HASH)])],
        [cells_change([(2, HASH)]), whole_page(inner), *some],
    ):
        now = inner if undo[-1][:1] == created[:1] else leaf_page(entries(1))
        assert page_before(19, now, undo) == _one_by_one(19, now, undo)


def test_undo_that_no_longer_matters_is_not_read() -> None:
    def undo(*changes: bytes) -> Iterator[bytes]:
        yield from changes
        raise AssertionError("read too far")

    halves = [cells_change((place, HASH) for place in range(start, start + 16)) for start in (0, 16)]
    assert page_before(19, encode_cells(CELLS), undo(*halves)) == encode_cells(HASH * 32)
    assert page_before(19, None, undo(cells_change([(0, HASH)]), whole_page(encode_cells(CELLS)))) == encode_cells(
        HASH + CELLS[CELL:]
    )


@pytest.mark.parametrize("depth", [8, 19])
def test_undo_that_fits_no_page_is_damage(depth: int) -> None:
    for change in (cells_change([(0, HASH)])[:-1], leaves_back(b"", [(KEYS[0], HASH)])):
        with pytest.raises(DamagedTree):
            page_before(depth, encode_cells(bytes(CELL << width(depth))), [change])


def _one_by_one(depth: int, page: bytes | None, undo: Sequence[bytes]) -> bytes | None:
    for change in reversed(undo):
        page = changed(depth, page, change)
    return page


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

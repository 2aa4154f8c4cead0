"""Entries of leaf pages: a few changes are put in one by one, many by merging, and both give the same."""

from __future__ import annotations

import random

import pytest

from ledger.leaf_pages import put_entries, split_entries

DEPTHS = (0, 3, 16, 19)


def _key(chance: random.Random) -> bytes:
    """Return a key in front of which all cuts are the same, so that it belongs in a page of any of the depths."""
    return b"\x12\x34\x40" + chance.randbytes(29)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("seed", range(20))
def test_many_changes_at_once_are_the_same_as_one_by_one(depth: int, seed: int) -> None:
    chance = random.Random(seed)
    keys = [_key(chance) for _ in range(60)]
    entries = b"".join(sorted(key + chance.randbytes(32) for key in keys[:30]))
    drawn = chance.sample(keys, chance.randrange(9, 60))
    changes = [(key, None if chance.random() < 0.3 else chance.randbytes(32)) for key in drawn]
    one_by_one = entries
    for change in changes:
        one_by_one = put_entries(one_by_one, depth, [change])
    assert put_entries(entries, depth, changes) == one_by_one
    assert split_entries(one_by_one) == sorted(split_entries(one_by_one))


def test_removing_everything_leaves_nothing() -> None:
    keys = [bytes([0x12, 0x34, number]) + bytes(29) for number in range(20)]
    full = put_entries(b"", 16, [(key, key) for key in keys])
    assert full == b"".join(key + key for key in keys)
    assert put_entries(full, 16, [(key, None) for key in reversed(keys)]) == b""

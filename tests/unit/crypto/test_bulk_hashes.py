"""Many hashes in one call, as they are written in Python and as they are chosen here, against hashlib and the tree's
rules of `crypto.state_proof`.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from types import ModuleType

import pytest

from crypto import bulk_hashes, plain_hashes
from crypto.state_proof import branch_hash, key_bit, leaf_hash

CHANCE = random.Random(20487)
NOTHING = bytes(32)


@pytest.fixture(params=[plain_hashes, bulk_hashes], ids=["plain", "chosen"])
def hashes(request: pytest.FixtureRequest) -> ModuleType:
    module: ModuleType = request.param
    return module


def test_each_message_of_any_length_is_hashed(hashes: ModuleType) -> None:
    messages = [CHANCE.randbytes(length) for length in [*range(260), 65_536, 1_000_003]]
    assert hashes.hash_each(messages) == [sha256(message).digest() for message in messages]
    assert hashes.hash_each([]) == []


@pytest.mark.parametrize("tag", [b"", b"\x01", b"\x01\xff"])
def test_a_row_is_joined_pair_by_pair(hashes: ModuleType, tag: bytes) -> None:
    for count in (0, 1, 2, 7, 300):
        pairs = [CHANCE.randbytes(64) for _ in range(count)]
        joined = b"".join(sha256(tag + pair).digest() for pair in pairs)
        assert hashes.join_pairs(tag, b"".join(pairs)) == joined


def test_an_empty_half_leaves_the_other(hashes: ModuleType) -> None:
    full, low, high = CHANCE.randbytes(32), b"\x00" * 31 + b"\x01", b"\x00" + CHANCE.randbytes(31)
    assert hashes.join_pairs(b"\x01\x07", full + NOTHING) == full
    assert hashes.join_pairs(b"\x01\x07", NOTHING + low) == low
    assert hashes.join_pairs(b"\x01\x07", NOTHING + NOTHING) == NOTHING
    # Hashes that begin with zeros are none the less hashes.
    assert hashes.join_pairs(b"\x01\x07", low + high) == sha256(b"\x01\x07" + low + high).digest()


def test_the_root_is_that_of_the_rules(hashes: ModuleType) -> None:
    for shared in (0, 2, 20, 31):
        for count in (1, 2, 3, 15, 32, 100):
            keys = sorted({b"\x5a" * shared + CHANCE.randbytes(32 - shared) for _ in range(count)})
            entries = [key + CHANCE.randbytes(32) for key in keys]
            assert hashes.root_of_entries(b"".join(entries)) == _root(entries), (shared, count)


def test_keys_that_differ_in_any_one_bit_are_told_apart(hashes: ModuleType) -> None:
    for bit in range(256):
        keys = [(number << 255 - bit).to_bytes(32, "big") for number in (0, 1)]
        entries = [key + key for key in keys]
        assert hashes.root_of_entries(b"".join(entries)) == branch_hash(bit, *[leaf_hash(key, key) for key in keys])


def test_as_many_branches_as_a_key_has_bits_are_no_trouble(hashes: ModuleType) -> None:
    keys = [bytes(32), *((1 << bit).to_bytes(32, "big") for bit in range(256))]
    entries = [key + key for key in keys]
    assert hashes.root_of_entries(b"".join(entries)) == _root(entries)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (
            lambda module: module.join_pairs(b"\x01", bytes(63)),
            "expected a tag of at most two bytes and pairs of hashes",
        ),
        (
            lambda module: module.join_pairs(b"\x01", bytes(96)),
            "expected a tag of at most two bytes and pairs of hashes",
        ),
        (lambda module: module.join_pairs(b"\x01\x02\x03", bytes(64)), "expected a tag of at most two bytes"),
        (lambda module: module.root_of_entries(b""), "expected one or more entries of 64 bytes"),
        (lambda module: module.root_of_entries(bytes(65)), "expected one or more entries of 64 bytes"),
        (lambda module: module.root_of_entries(bytes(128)), "keys are not in strictly ascending order"),
        (
            lambda module: module.root_of_entries(b"\x02" * 64 + b"\x01" * 64),
            "keys are not in strictly ascending order",
        ),
    ],
)
def test_what_is_no_row_and_no_run_of_leaves_is_refused(
    hashes: ModuleType, call: Callable[[ModuleType], object], expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        call(hashes)


def test_a_run_in_any_other_order_is_refused(hashes: ModuleType) -> None:
    for _ in range(200):
        ascending = sorted(CHANCE.randbytes(64) for _ in range(CHANCE.randrange(2, 40)))
        at = CHANCE.randrange(len(ascending) - 1)
        swapped = [*ascending[:at], ascending[at + 1], ascending[at], *ascending[at + 2 :]]
        doubled = [*ascending[:at], ascending[at][:32] + CHANCE.randbytes(32), *ascending[at:]]
        for entries in (swapped, doubled):
            with pytest.raises(ValueError, match="keys are not in strictly ascending order"):
                hashes.root_of_entries(b"".join(entries))


def test_a_list_that_is_emptied_while_it_is_read_is_no_trouble() -> None:
    """What the collector runs may do anything, and a call that makes a list may start it."""
    threshold = gc.get_threshold()
    messages = [b"message"] * 1_000
    unused = [[number] for number in range(200)]  # no list that was given back is left to be taken
    emptying = _Emptying(messages)
    gc.collect()
    gc.set_threshold(1)
    try:
        del emptying
        with suppress(RuntimeError):
            bulk_hashes.hash_each(messages)
    finally:
        gc.set_threshold(*threshold)
    assert len(unused) == 200


class _Emptying:
    """Empties a list when the collector finds it."""

    def __init__(self, messages: list[bytes]) -> None:
        self.itself = self
        self.messages = messages

    def __del__(self) -> None:
        self.messages.clear()


def _root(entries: Sequence[bytes]) -> bytes:
    if len(entries) == 1:
        return leaf_hash(entries[0][:32], entries[0][32:])
    bit = next(bit for bit in range(256) if key_bit(entries[0], bit) != key_bit(entries[-1], bit))
    sides = [[entry for entry in entries if key_bit(entry, bit) == side] for side in (0, 1)]
    return branch_hash(bit, *[_root(side) for side in sides])

"""Many hashes in one call, as they are written in Python and as they are chosen here, against hashlib and the tree's
rules of `crypto.state_proof`.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from mmap import mmap
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
            assert hashes.roots_of_runs([b"".join(entries)]) == [_root(entries)], (shared, count)


def test_keys_that_differ_in_any_one_bit_are_told_apart(hashes: ModuleType) -> None:
    for bit in range(256):
        keys = [(number << 255 - bit).to_bytes(32, "big") for number in (0, 1)]
        entries = [key + key for key in keys]
        assert hashes.roots_of_runs([b"".join(entries)]) == [branch_hash(bit, *[leaf_hash(key, key) for key in keys])]


def test_as_many_branches_as_a_key_has_bits_are_no_trouble(hashes: ModuleType) -> None:
    keys = [bytes(32), *((1 << bit).to_bytes(32, "big") for bit in range(256))]
    entries = [key + key for key in keys]
    assert hashes.roots_of_runs([b"".join(entries)]) == [_root(entries)]


def test_many_runs_have_a_root_each(hashes: ModuleType) -> None:
    runs = [sorted(CHANCE.randbytes(64) for _ in range(CHANCE.randrange(1, 33))) for _ in range(500)]
    assert hashes.roots_of_runs([b"".join(entries) for entries in runs]) == [_root(entries) for entries in runs]
    assert hashes.roots_of_runs([]) == []


def test_one_bad_run_among_many_is_found(hashes: ModuleType) -> None:
    runs = [CHANCE.randbytes(64) for _ in range(1_000)]
    for bad, expected in ((b"", "one or more entries"), (bytes(128), "strictly ascending")):
        with pytest.raises(ValueError, match=expected):
            hashes.roots_of_runs([*runs, bad])


@pytest.mark.parametrize("filled", [0, 1, 5, 300, 4_096])
@pytest.mark.parametrize("stop", [0, 3, 11, 12, 1 << 80])
def test_what_is_above_nodes_is_hashed_anew_and_nothing_else(hashes: ModuleType, filled: int, stop: int) -> None:
    depth = 12
    cells = mmap(-1, 32 << depth + 1)
    nodes = CHANCE.sample(range(1 << depth, 2 << depth), filled)
    for node in nodes:
        cells[node * 32 : node * 32 + 32] = CHANCE.randbytes(32)
    expected = bytearray(cells[:])
    above = sorted(nodes)
    for bit in reversed(range(stop, depth)):
        above = sorted({node >> 1 for node in above})
        for node in above:
            halves = bytes(expected[node * 64 : node * 64 + 32]), bytes(expected[node * 64 + 32 : node * 64 + 64])
            full = [half for half in halves if half != NOTHING]
            expected[node * 32 : node * 32 + 32] = branch_hash(bit, *full) if len(full) > 1 else full[0]
    assert hashes.rehash(cells, [*nodes, *nodes[:3]], stop) == above
    assert cells[:] == expected


def test_a_node_whose_halves_are_gone_is_empty(hashes: ModuleType) -> None:
    cells = mmap(-1, 32 * 8)
    cells[32:] = CHANCE.randbytes(32 * 7)
    cells[4 * 32 : 6 * 32] = bytes(64)
    assert hashes.rehash(cells, [5], 0) == [1]
    assert cells[2 * 32 : 3 * 32] == NOTHING
    assert cells[32:64] == cells[3 * 32 : 4 * 32]


@pytest.mark.parametrize(
    ("nodes", "stop", "expected"),
    [
        ([0], 0, "nodes of one depth, within the cells"),
        ([-1], 0, "nodes of one depth, within the cells"),
        ([1 << 80], 0, "nodes of one depth, within the cells"),
        ([8], 0, "nodes of one depth, within the cells"),
        ([2, 4], 0, "nodes of one depth, within the cells"),
        ([0, 1], 0, "nodes of one depth, within the cells"),
        ([4], -1, "a depth from 0 on"),
        ([4], -(1 << 80), "a depth from 0 on"),
    ],
)
def test_nodes_elsewhere_are_refused(hashes: ModuleType, nodes: list[int], stop: int, expected: str) -> None:
    cells = mmap(-1, 32 * 8)
    cells[:] = CHANCE.randbytes(32 * 8)
    before = cells[:]
    with pytest.raises(ValueError, match=expected):
        hashes.rehash(cells, nodes, stop)
    assert cells[:] == before


def test_others_run_while_much_is_hashed(hashes: ModuleType) -> None:
    """Four threads hash at once, each what is its own, and all is right."""
    rows = [[CHANCE.randbytes(64) for _ in range(5_000)] for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        for found, row in zip(threads.map(hashes.hash_each, rows), rows, strict=True):
            assert found == [sha256(message).digest() for message in row]
        for found, row in zip(threads.map(hashes.roots_of_runs, rows), rows, strict=True):
            assert found == [leaf_hash(entry[:32], entry[32:]) for entry in row]


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
        (lambda module: module.roots_of_runs([b""]), "expected one or more entries of 64 bytes"),
        (lambda module: module.roots_of_runs([bytes(65)]), "expected one or more entries of 64 bytes"),
        (lambda module: module.roots_of_runs([bytes(128)]), "keys are not in strictly ascending order"),
        (
            lambda module: module.roots_of_runs([b"\x02" * 64 + b"\x01" * 64]),
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
                hashes.roots_of_runs([b"".join(entries)])


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

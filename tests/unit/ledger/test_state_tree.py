"""The state tree against a slow oracle: batches, reopening, updates that were dropped, proofs of old states."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.state_proof import ABSENT, EMPTY, EMPTY_ROOT, PRESENT, StateProof, verify_state_proof
from ledger.leaf_pages import MAX_LEAVES, entries_in, split_entries
from ledger.page_changes import changed
from ledger.state_tree import StateTree, TreeUpdate, prove
from ledger.tree_build import build_pages, compute_root
from ledger.tree_pages import LEAF_DEPTH, DamagedTree, is_inner_page, page_key
from ledger.tree_top import depth_for

CACHES = (0, 1 << 15, 4 << 20, 32 << 20)
Records = dict[bytes, bytes]
Changes = Mapping[bytes, bytes | None]


def oracle(records: Records, bit: int = 0) -> bytes:
    """Root by the definition alone: no pages, no batches, nothing from the code under test."""
    if not records:
        return sha256(b"").digest()
    if len(records) == 1:
        [(key, record)] = records.items()
        return sha256(b"\x00" + key + sha256(record).digest()).digest()
    sides: tuple[Records, Records] = ({}, {})
    for key, record in records.items():
        sides[int.from_bytes(key, "big") >> (255 - bit) & 1][key] = record
    if not sides[0] or not sides[1]:
        return oracle(sides[0] or sides[1], bit + 1)
    return sha256(bytes((1, bit)) + oracle(sides[0], bit + 1) + oracle(sides[1], bit + 1)).digest()


class Store:
    """Pages in a dict, a tree over them, and the records that should be in it."""

    def __init__(self, cache_bytes: int = 1 << 20) -> None:
        self.pages: Records = {}
        self.records: Records = {}
        self.tree = StateTree(self.pages.get, EMPTY_ROOT, cache_bytes)

    def commit(self, changes: Changes) -> TreeUpdate:
        """Update, write the pages, adopt; the records follow."""
        update = self.tree.update(changes)
        assert {key: self.pages.get(key) for key in update.pages} == replaced_by(update)
        for key, change in update.changes.items():
            assert changed(key[0], self.pages[key], change) == update.pages[key]
        write(self.pages, update.pages)
        self.tree.adopt(update)
        write(self.records, changes)
        return update

    def reopen(self, cache_bytes: int = 1 << 20) -> None:
        """A new tree over the same pages."""
        self.tree = StateTree(self.pages.get, self.tree.root, cache_bytes)

    def check(self) -> None:
        """Root, and the proofs of some present keys and their absent neighbours."""
        assert self.tree.root == oracle(self.records) == compute_root(sorted(self.records.items()))
        for key in sorted(self.records)[:: len(self.records) // 10 + 1]:
            check_proof(self.pages.get, self.tree.root, key, self.records[key])
            neighbour = key[:20] + bytes([key[20] ^ 1]) + key[21:]
            check_proof(self.pages.get, self.tree.root, neighbour, self.records.get(neighbour))


def write(target: Records, changes: Changes) -> None:
    for key, value in changes.items():
        if value is None:
            target.pop(key, None)
        else:
            target[key] = value


def replaced_by(update: TreeUpdate) -> dict[bytes, bytes | None]:
    """The pages that an update replaces, from the new ones and its undo."""
    return {key: changed(key[0], update.pages[key], undo) for key, undo in update.undo.items()}


def check_proof(read: Callable[[bytes], bytes | None], root: bytes, key: bytes, record: bytes | None) -> StateProof:
    proof = prove(read, key)
    verify_state_proof(root, key, record, StateProof.decode(proof.encode()))
    return proof


def random_changes(chance: random.Random, records: Records, prefixes: list[bytes]) -> Changes:
    """New keys, mostly below common prefixes, new records of known keys, and deletions, also of unknown keys."""
    changes: dict[bytes, bytes | None] = {}
    known = sorted(records)
    for _ in range(chance.randrange(200)):
        kind = chance.random()
        if kind < 0.6 or not known:
            key = (chance.choice(prefixes) + chance.randbytes(32))[:32]
            changes[key] = chance.randbytes(10) if kind < 0.55 else None
        else:
            changes[chance.choice(known)] = None if kind < 0.8 else chance.randbytes(10)
    return changes


@pytest.mark.parametrize("seed", range(12))
def test_random_batches_agree_with_the_oracle(seed: int) -> None:
    chance = random.Random(seed)
    store = Store(chance.choice(CACHES))
    prefixes = [chance.randbytes(chance.randrange(31)) for _ in range(3)] + [b""]
    for _ in range(8):
        before = store.tree.root
        dropped = store.tree.update(random_changes(chance, store.records, prefixes))
        assert store.tree.root == before
        store.commit(random_changes(chance, store.records, prefixes))
        store.check()
        if store.tree.root != before:
            with pytest.raises(ValueError, match="another state"):
                store.tree.adopt(dropped)
        if chance.random() < 0.5:
            store.reopen(chance.choice(CACHES))
    store.commit(dict.fromkeys(store.records))
    assert store.tree.root == EMPTY_ROOT
    assert store.pages == {}


SMALL_KEYS = st.builds(
    lambda prefix, byte, tail: prefix + bytes([byte]) + tail * (31 - len(prefix)),
    st.sampled_from([b"", b"\xab\xcd", b"\xab\xcd\xef" * 9]),
    st.integers(0, 255),
    st.sampled_from([b"\x00", b"\x01", b"\xff"]),
)
BATCHES = st.lists(st.dictionaries(SMALL_KEYS, st.none() | st.binary(max_size=3), max_size=60), max_size=5)


@settings(deadline=None)
@given(BATCHES, st.sampled_from(CACHES[:3]))
def test_any_batches_agree_with_the_oracle(batches: list[Changes], cache_bytes: int) -> None:
    store = Store(cache_bytes)
    for batch in batches:
        store.tree.update(dict.fromkeys(batch, b"dropped"))
        store.commit(batch)
        assert store.tree.root == oracle(store.records)
        for key in batch:
            check_proof(store.pages.get, store.tree.root, key, store.records.get(key))
    store.reopen()
    store.commit({bytes(32): b"one more"})
    assert store.tree.root == oracle(store.records)


def crowd(count: int, prefix: bytes = b"\x12\x34\x56", seed: int = 1) -> Records:
    """`count` records whose keys share a prefix."""
    chance = random.Random(seed)
    return {prefix + chance.randbytes(32 - len(prefix)): chance.randbytes(8) for _ in range(count)}


@pytest.mark.parametrize("count", [1, 2, MAX_LEAVES - 1, MAX_LEAVES, MAX_LEAVES + 1, 600])
def test_pages_of_few_and_many_leaves_grow_and_shrink(count: int) -> None:
    store = Store()
    records = crowd(count)
    for key, record in records.items():
        store.commit({key: record})
        assert store.tree.root == oracle(store.records)
    store.check()
    leaf_pages = [page for page in store.pages.values() if not is_inner_page(page)]
    assert max(map(len, leaf_pages)) <= 1 + MAX_LEAVES * 64
    for key in list(records)[1:]:
        store.commit({key: None})
        assert store.tree.root == oracle(store.records)
    store.check()


def test_root_and_proofs_depend_on_the_records_alone() -> None:
    first, second = Store(), Store(0)
    records = crowd(200) | crowd(50, b"", 2)
    first.commit(records)
    second.commit(crowd(90, b"\x12\x34", 3))
    for key, record in reversed(records.items()):
        second.commit({key: record})
    second.commit(dict.fromkeys(second.records.keys() - records.keys()))
    assert first.tree.root == second.tree.root
    for key in [*records, *crowd(20, b"\x12", 4)]:
        assert prove(first.pages.get, key) == prove(second.pages.get, key)


def test_update_that_is_dropped_leaves_no_trace() -> None:
    store = Store()
    store.commit(crowd(100))
    pages = dict(store.pages)
    store.tree.update(dict.fromkeys(store.records) | crowd(300, b"\x12", 5))
    assert store.pages == pages
    store.commit(crowd(10, b"\x12\x34", 6))
    store.check()


@pytest.mark.parametrize("cache_bytes", CACHES)
def test_update_is_adopted_after_others_were_tried(cache_bytes: int) -> None:
    store = Store(cache_bytes)
    store.commit(crowd(100) | crowd(30, b"\x12\x35", 2))
    wanted = crowd(20, b"\x12\x34", 3) | crowd(20, b"\x12\x35", 4)
    update = store.tree.update(wanted)
    store.tree.update(dict.fromkeys(store.records))
    store.tree.update(crowd(50, b"\x12", 5))
    write(store.pages, update.pages)
    store.tree.adopt(update)
    write(store.records, wanted)
    store.check()
    store.commit(crowd(10, b"\x12\x35", 6))
    store.check()


@pytest.mark.interpreted
@pytest.mark.parametrize("cache_bytes", CACHES)
def test_update_that_is_interrupted_anywhere_leaves_no_trace(cache_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also behind the point where the top in memory is that of the update."""
    store, twin = Store(cache_bytes), Store(cache_bytes)
    for one in (store, twin):
        one.commit(crowd(60) | crowd(60, b"\x12\x34", 2))
    failed = 0
    for number in range(1, 100):
        left = number

        def give_way() -> None:
            nonlocal left
            left -= 1
            if not left:
                raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr("ledger.tree_top.give_way", give_way)
            try:
                store.tree.update(crowd(9, b"\x12", number))
            except MemoryError:
                failed += 1
            else:
                break
        changes = crowd(5, b"\x12\x34", number)
        assert store.commit(changes).root == twin.commit(changes).root == oracle(store.records)
    assert failed


def test_proofs_of_older_states_through_replaced_pages() -> None:
    store = Store()
    chance = random.Random(7)
    undo: dict[bytes, bytes | None] = {}
    states = []
    for _ in range(6):
        update = store.commit(random_changes(chance, store.records, [b"\x12\x34\x56", b""]))
        states.append((store.tree.root, dict(store.records), replaced_by(update)))
    for root, records, replaced in reversed(states):
        overlay = dict(undo)

        def read(key: bytes, overlay: dict[bytes, bytes | None] = overlay) -> bytes | None:
            return overlay[key] if key in overlay else store.pages.get(key)

        for key in sorted(records)[::7]:
            check_proof(read, root, key, records[key])
        check_proof(read, root, b"\x12" * 32, None)
        undo.update(replaced)


@pytest.mark.parametrize("count", [0, 1, 2, 40, 3000])
def test_bulk_builder_gives_the_pages_of_an_update(count: int) -> None:
    records = crowd(count, b"\x12\x34", 8) | crowd(count // 2, b"", 9)
    store = Store()
    store.commit(records)
    pages: Records = {}
    assert build_pages(sorted(records.items()), pages.__setitem__) == oracle(records)
    assert pages == store.pages


@pytest.mark.parametrize("order", [(1, 0), (0, 0), (0, 2, 1)])
def test_sorted_input_is_insisted_on(order: tuple[int, ...]) -> None:
    items = [(bytes([number]) * 32, b"record") for number in order]
    pages: Records = {}
    with pytest.raises(ValueError, match="ascending"):
        compute_root(items)
    with pytest.raises(ValueError, match="ascending"):
        build_pages(items, pages.__setitem__)


def test_known_roots() -> None:
    """Pinned, so that a change of the commitment cannot go unnoticed."""
    assert compute_root([]) == EMPTY_ROOT
    records = {sha256(bytes([number])).digest(): bytes([number]) for number in range(100)}
    assert compute_root(sorted(records.items())).hex() == (
        "7c2c73921c8c3d7d5c6e20c88a13674166c6d74275c143479dc41667c50e867a"
    )


def test_absent_and_present_kinds() -> None:
    store = Store()
    store.commit({b"\x01" * 32: b"one"})
    assert prove(store.pages.get, b"\x01" * 32).kind == PRESENT
    assert prove(store.pages.get, b"\xf0" * 32).kind == ABSENT
    assert prove(Store().pages.get, b"\xf0" * 32).kind == EMPTY


@pytest.mark.parametrize("depth", [0, 8, LEAF_DEPTH])
def test_missing_page_is_noticed(depth: int) -> None:
    store = Store(1 << 15)
    key = b"\xff" * 32
    store.commit({key: b"x", bytes(32): b"y"})
    del store.pages[page_key(depth, (1 << depth) - 1)]
    store.reopen()
    with pytest.raises(DamagedTree, match="missing"):
        store.tree.update({key: b"z"})
    if depth:
        with pytest.raises(DamagedTree, match="missing"):
            prove(store.pages.get, key)


@pytest.mark.parametrize("order", [(1, 0, 2), (0, 0, 1, 2), ()])
def test_a_leaf_page_whose_entries_do_not_ascend_is_noticed(order: tuple[int, ...]) -> None:
    store = Store()
    store.commit(crowd(3))
    key = page_key(LEAF_DEPTH, 0x1234)
    entries = split_entries(entries_in(store.pages[key]))
    store.pages[key] = b"\x01" + b"".join(entries[at] for at in order)
    for leaf in entries:
        with pytest.raises(DamagedTree, match="leaf page is unreadable"):
            prove(store.pages.get, leaf[:32])
    with pytest.raises(DamagedTree, match="leaf page is unreadable"):
        store.tree.update({entries[0][:32]: b"newer"})


def test_page_that_does_not_fit_the_root_is_noticed() -> None:
    store = Store()
    store.commit(crowd(5))
    other = Store()
    other.commit(crowd(5, seed=2))
    store.pages[page_key(0, 0)] = other.pages[page_key(0, 0)]
    store.reopen()
    with pytest.raises(DamagedTree, match="does not hash"):
        store.tree.update({bytes(32): b"x"})


@pytest.mark.parametrize(("count", "cut"), [(3, 1), (1, 64), (20, 1), (20, 63)])
def test_leaf_page_cut_short_is_noticed(count: int, cut: int) -> None:
    store = Store()
    store.commit(crowd(count))
    leaves = page_key(LEAF_DEPTH, 0x1234)
    store.pages[leaves] = store.pages[leaves][:-cut]
    with pytest.raises(DamagedTree, match="unreadable"):
        prove(store.pages.get, next(iter(store.records)))


def test_key_that_stands_elsewhere_in_a_page() -> None:
    """A key may read like a record's hash, or lie across two entries; it is looked for where keys stand."""
    record = b"record"
    key = sha256(record).digest()
    neighbours = {key[:5] + bytes(27): record, key[:5] + b"\x00" * 26 + b"\x01": record}
    store = Store()
    store.commit(neighbours)
    for changes in ({key: b"own"}, {key: b"newer"}, {key: None}, {key: b"again"}):
        store.commit(changes)
        store.check()


def test_memory_follows_the_limit() -> None:
    assert [depth_for(limit) for limit in (0, 1 << 20, (32 << 20) - 1, 32 << 20, 1 << 40)] == [8, 8, 16, 19, 19]


def test_page_keys_are_short_and_distinct() -> None:
    assert page_key(0, 0) == b"\x00"
    assert page_key(3, 0b101) == b"\x03\xa0"
    assert page_key(19, 0b101 << 16) == b"\x13\xa0\x00\x00"

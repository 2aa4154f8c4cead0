"""What a block leaves in the database, what a view of it shows, and what is thrown away when."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from consensus.chain import Chain
from crypto.merkle import EMPTY_ROOT
from ledger.page_changes import changed
from ledger.receipt import Outcome
from ledger.records import Pool, PoolStatus, tree_key
from ledger.tree_build import build_pages
from storage import schema
from storage.chain_store import TAIL_PART, ChainStore, create_chain
from storage.chain_view import Location, PoolFilter
from storage.kv import StorageDamaged, StorageFailure, StorageRefused
from storage.memory import Fault, Faults, MemoryDisk, MemoryKeyValue
from storage.past_state import STATES_KEPT
from storage.undo import places_in
from tests.model.signing import address_of
from tests.model.small_chain import ALICE, ALICE_KEY, BOB_KEY, CAROL, CAROL_KEY, DAVE, DAVE_KEY
from tests.unit.consensus.traffic import PEOPLE, busy_world, live
from tests.unit.consensus.world import START, TREE_CACHE_BYTES, World, hashes, small_genesis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ledger.transaction import AnyTransaction
    from storage.chain_view import ChainView

RESOURCES = [bytes([number]) * 32 for number in range(3)]


@pytest.fixture(scope="module")
def busy() -> World:
    """A chain of some 150 blocks that tests only read."""
    return busy_world(11, 150)


def _entries(view: ChainView) -> dict[bytes, bytes]:
    return dict(view.entries())


def _transactions(world: World) -> Iterator[tuple[Location, AnyTransaction]]:
    for block in world.blocks():
        for index, raw in enumerate(block.transactions):
            yield Location(block.header.height, index), world.decode(raw)


def _creations(world: World) -> dict[bytes, tuple[Location, AnyTransaction]]:
    return {found.hash: (place, found) for place, found in _transactions(world) if found.kind.name == "CreatePool"}


def test_a_view_stays_the_same_while_the_head_moves() -> None:
    world = busy_world(12, 5)
    chooser = random.Random(12)
    kept = []
    for _ in range(8):
        view = world.store.view()
        kept.append((view, _entries(view), view.tip().hash, view.due_pools(10**6, 10**6)))
        live(world, chooser, 3)
    assert len({tip for _, _, tip, _ in kept}) == 8
    for view, entries, tip_hash, due in kept:
        assert _entries(view) == entries
        assert view.tip().hash == tip_hash
        assert view.due_pools(10**6, 10**6) == due
        view.close()


def test_blocks_receipts_and_transactions_are_found(busy: World) -> None:
    view = busy.store.view()
    for block in busy.blocks():
        height = block.header.height
        assert view.block_bytes(height) == block.encode()
        assert view.sealed_header(height) == block.sealed_header
        assert view.height_of(block.header.hash()) == height
        receipts = view.receipts(height)
        assert [receipt.transaction_hash for receipt in receipts] == hashes(busy.decode_all(block.transactions))
    for place, transaction in _transactions(busy):
        assert view.location(transaction.hash) == place
    assert view.height_of(bytes(32)) is None
    assert view.location(bytes(32)) is None
    assert view.height_of(view.block(0).header.hash()) == 0


def test_the_stored_tree_is_that_of_all_records(busy: World) -> None:
    view = busy.store.view()
    pages: dict[bytes, bytes] = {}
    records = sorted((tree_key(key), record) for key, record in view.records())
    assert build_pages(records, pages.__setitem__) == view.tip().header.state_root
    stored = {key[1:]: page for key, page in view.entries() if key[:1] == schema.PAGE}
    assert stored == pages


def test_pages_that_change_have_tails_until_they_are_a_third_as_long() -> None:
    world = busy_world(11, 20)
    seen: set[tuple[bytes, int]] = set()
    for _ in range(60):
        live(world, random.Random(world.height), 1)
        contents = world.disk.contents()
        for key, tail in contents.items():
            if key[:1] == schema.TAIL:
                page = contents[schema.PAGE + key[1:]]
                assert TAIL_PART * len(tail) < len(changed(key[1], page, tail) or b"")
                seen.add((key, len(tail)))
    grown = {key for key, _ in seen}
    assert len(seen) > 2 * len(grown) > 0


def test_a_store_that_remembers_no_tails_writes_the_same(busy: World) -> None:
    kv = MemoryKeyValue(disk := MemoryDisk())
    create_chain(kv, busy.genesis)
    forgetful = ChainStore(kv, tails_bytes=0)
    chain = Chain(forgetful, busy.genesis, busy.domain, TREE_CACHE_BYTES)
    for block in busy.blocks():
        chain.commit(chain.prepare([chain.check_sealed(chain.tip, block, busy.decode_all)]), [block])
    assert disk.contents() == busy.disk.contents()


def test_the_index_of_expiries_holds_the_open_pools(busy: World) -> None:
    view = busy.store.view()
    pools = {key[1:]: Pool.decode(record) for key, record in view.records() if key[:1] == b"p"}
    due = sorted((pool.expires_at, found) for found, pool in pools.items() if pool.status is PoolStatus.OPEN)
    assert view.due_pools(10**9, 10**6) == [found for _, found in due]
    for height in (0, view.height, view.height + 1, view.height + 5):
        expected = [found for expires_at, found in due if expires_at <= height]
        assert view.due_pools(height, 10**6) == expected
        assert view.due_pools(height, 1) == expected[:1]
        assert view.due_pools(height, 0) == []


def test_expired_pools_are_told_by_block(busy: World) -> None:
    view = busy.store.view()
    found = [cptx_hash for height in range(view.height + 1) for cptx_hash in view.expired(height)]
    pools = {key[1:]: Pool.decode(record) for key, record in view.records() if key[:1] == b"p"}
    assert sorted(found) == sorted(name for name, pool in pools.items() if pool.status is PoolStatus.EXPIRED)
    assert len(found) > 5


def test_all_pools_are_listed_in_the_order_of_their_creation(busy: World) -> None:
    creations = _creations(busy)
    listed = list(busy.store.view().pools(PoolFilter(), None))
    assert [cptx_hash for _, cptx_hash in listed] == list(creations)
    assert [place for place, _ in listed] == [schema.order(*place) for place, _ in creations.values()]


def test_pools_are_listed_by_creator_resource_and_target(busy: World) -> None:
    view, creations = busy.store.view(), _creations(busy)
    settled = {
        (transaction.fields.target, transaction.fields.cptx_hash)
        for _, transaction in _transactions(busy)
        if transaction.kind.name == "ServicePayment"
    }
    wanted = [(PoolFilter(), list(creations))]
    for who in map(address_of, PEOPLE):
        own = [name for name, (_, creation) in creations.items() if creation.sender == who]
        wanted.append((PoolFilter(creator=who), own))
        wanted.append((PoolFilter(creator=who, target=ALICE, resource_id=RESOURCES[0]), own))
        paid = [name for name in creations if (who, name) in settled]
        wanted += [(PoolFilter(target=who), paid), (PoolFilter(target=who, resource_id=RESOURCES[0]), paid)]
    for resource in RESOURCES:
        same = [name for name, (_, creation) in creations.items() if creation.fields.resource_id == resource]
        wanted.append((PoolFilter(resource_id=resource), same))
    for pool_filter, names in wanted:
        listed = list(view.pools(pool_filter, None))
        assert [name for _, name in listed] == names
        for at, (place, _) in enumerate(listed):
            assert list(view.pools(pool_filter, place)) == listed[at + 1 :]
    assert sum(len(names) > 2 for _, names in wanted) > 10
    assert list(view.pools(PoolFilter(creator=b"\xff" * 20), None)) == []


def test_a_targets_pools_stand_in_the_order_of_their_creation_not_of_settlement() -> None:
    world = World()
    pools = [world.pool(nonce) for nonce in range(3)]
    for pool in (pools[2], pools[0], pools[1]):
        world.mine(world.pay(CAROL_KEY, pool, 100))
        world.mine(world.pay(CAROL_KEY, pool, 200, 2))
    listed = world.store.view().pools(PoolFilter(target=CAROL), None)
    assert [(place[:8], name) for place, name in listed] == [
        (schema.number(at), pool) for at, pool in enumerate(pools, 1)
    ]


def test_a_pool_that_lives_for_one_block_is_in_every_index_but_that_of_expiries() -> None:
    world = World()
    creation = world.create(1)
    world.mine(world.transfer(ALICE_KEY, 0), creation, world.pay(CAROL_KEY, creation.hash, 1_001))
    view = world.store.view()
    assert [receipt.outcome for receipt in view.receipts(1)][-1] is Outcome.SLASHED
    assert view.due_pools(10**6, 10) == []
    place = schema.order(1, 1)
    for pool_filter in (PoolFilter(), PoolFilter(creator=ALICE), PoolFilter(target=CAROL)):
        assert list(view.pools(pool_filter, None)) == [(place, creation.hash)]
    assert list(view.pools(PoolFilter(target=DAVE), None)) == []
    world.mine_empty(12)
    assert [world.store.view().expired(height) for height in range(1, 14)] == [[]] * 13


def test_what_a_block_replaced_is_kept_for_128_blocks() -> None:
    world = busy_world(13, STATES_KEPT + 40)
    world.mine_empty(100)
    live(world, random.Random(13), 20)
    contents, head = world.disk.contents(), world.height
    lists = {int.from_bytes(key[1:], "big"): data for key, data in contents.items() if key[:1] == b"V"}
    undo = {key for key in contents if key[:1] == b"U"}
    assert {int.from_bytes(key[1:9], "big") for key in undo} == set(lists)
    assert min(lists) > head - STATES_KEPT
    named = [b"U" + schema.number(height) + place for height, data in lists.items() for place in places_in(data)]
    assert sorted(named) == sorted(undo)
    world.mine_empty(STATES_KEPT)
    assert {key[:1] for key in world.disk.contents()} & {b"U", b"V"} == set()


def test_the_keys_that_a_block_changed_are_told_while_they_are_kept() -> None:
    world = World()
    world.mine(world.transfer(ALICE_KEY, 0, to=DAVE))
    assert world.store.view().changed_keys(1) == sorted([b"a" + ALICE, b"a" + DAVE, b"a" + world.genesis.authority])
    world.mine_empty(STATES_KEPT - 1)
    assert len(world.store.view().changed_keys(1)) == 3
    world.mine_empty(1)
    assert world.store.view().changed_keys(1) == []


def test_a_store_is_opened_where_it_stood(busy: World) -> None:
    disk = MemoryDisk()
    disk.apply(busy.disk.contents().items())
    store = ChainStore(MemoryKeyValue(disk))
    ours, theirs = store.tip(), busy.store.tip()
    assert (ours.header, ours.hash, ours.supply, ours.history.root()) == (
        theirs.header,
        theirs.hash,
        theirs.supply,
        theirs.history.root(),
    )


def test_block_0_is_the_genesis() -> None:
    genesis = small_genesis(alloc={"0x" + ALICE.hex(): "0x5", "0x" + DAVE.hex(): "0x0"})
    store = create_chain(MemoryKeyValue(), genesis)
    view = store.view()
    assert view.height == 0
    assert list(view.records()) == [(b"a" + ALICE, (5).to_bytes(16, "big") + bytes(8))]
    assert view.genesis_bytes() == genesis.canonical_bytes()
    assert view.block(0).header == genesis.header(view.tip().header.state_root)
    assert view.block(0).seal is None
    assert view.receipts(0) == []
    assert view.tip().supply.total == 5


def test_a_chain_without_any_token_is_a_chain() -> None:
    world = World(alloc={})
    assert world.chain.tip.header.state_root == EMPTY_ROOT
    world.mine_empty(3)
    assert world.chain.tip.header.state_root == EMPTY_ROOT
    world.refuse(world.transfer(ALICE_KEY, 0), "INSUFFICIENT_BALANCE")


def test_a_chain_is_not_made_over_another() -> None:
    world = World()
    before = world.disk.contents()
    with pytest.raises(StorageRefused):
        create_chain(world.store._kv, world.genesis)
    assert world.disk.contents() == before


@pytest.mark.parametrize("version", [None, b"4", b"6", b""])
def test_what_is_no_chain_of_this_schema_is_refused(version: bytes | None) -> None:
    world = World()
    world.store.close()
    world.disk.damage(schema.META_SCHEMA, version)
    with pytest.raises(StorageRefused, match="schema"):
        ChainStore(MemoryKeyValue(world.disk))


def test_a_missing_entry_is_damage() -> None:
    world = World()
    world.mine(world.create())
    world.mine_empty(2)
    world.store.close()
    reads: dict[bytes, Callable[[ChainView], object]] = {
        schema.META_HEAD: lambda view: view.height,
        schema.META_SUPPLY: lambda view: view.tip(),
        schema.META_GENESIS: lambda view: view.genesis_bytes(),
        schema.sealed_header_key(1): lambda view: view.block(1),
        schema.transactions_key(1): lambda view: view.block(1),
        schema.sealed_header_key(3): lambda view: view.tip(),
        schema.receipts_key(1): lambda view: view.receipts(1),
        schema.node_key(1, 0): lambda view: view.tip(),
    }
    for key, read in reads.items():
        disk = MemoryDisk()
        disk.apply(world.disk.contents().items())
        disk.damage(key, None)
        with pytest.raises(StorageDamaged):
            read(ChainStore(MemoryKeyValue(disk)).view())


def test_a_pool_without_its_creation_is_damage() -> None:
    world = World()
    pool = world.pool()
    world.disk.damage(schema.location_key(pool), None)
    world.store._view = type(world.store.view())(world.store._kv.snapshot())
    with pytest.raises(StorageDamaged, match="lacks the creation"):
        world.mine(world.pay(CAROL_KEY, pool, 100))


def test_after_a_failed_write_nothing_is_acknowledged_and_nothing_moved() -> None:
    world = World()
    kv = MemoryKeyValue(MemoryDisk(), Faults(writes={2: Fault(StorageFailure("no space"))}))
    store = create_chain(kv, world.genesis)
    chain = Chain(store, world.genesis, world.domain, TREE_CACHE_BYTES)
    store.require_alive()
    executed = chain.build(chain.tip, [world.transfer(BOB_KEY, 0)], START).executed
    for _ in range(2):
        with pytest.raises(StorageFailure):
            chain.commit(chain.prepare([executed]), [executed.block])
        with pytest.raises(StorageFailure):
            store.require_alive()
    assert (store.tip().header.height, store.view().height, chain.tip.header.height) == (0, 0, 0)


def test_the_clocks_offset_is_kept_and_is_no_part_of_the_chain() -> None:
    world = World()
    before = _entries(world.store.view())
    assert world.store.view().clock_offset() == 0
    world.store.put_clock_offset(3600)
    world.mine(world.transfer(DAVE_KEY, 0))
    assert world.store.view().clock_offset() == 3600
    twin = World()
    twin.mine(twin.transfer(DAVE_KEY, 0))
    assert _entries(world.store.view()) == _entries(twin.store.view()) != before

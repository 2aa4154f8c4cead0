"""The head of a chain: building and checking agree, and nothing that was not committed leaves a trace."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from consensus.chain import Chain, check_not_ahead
from consensus.seal import check_seal, make_seal
from crypto.merkle import EMPTY_ROOT
from crypto.merkle import root as merkle_root
from crypto.node_tree import NodeTree
from crypto.signature import SigningKey
from ledger.errors import InvalidBlock, InvariantViolation
from ledger.records import tree_key
from ledger.tree_build import compute_root
from storage.chain_store import ChainStore
from tests.model.small_chain import ALICE_KEY, AUTHORITY, AUTHORITY_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY
from tests.unit.consensus.traffic import Traffic, busy_world
from tests.unit.consensus.world import START, TREE_CACHE_BYTES, World

if TYPE_CHECKING:
    from ledger.executed import ExecutedBlock


@pytest.fixture
def world() -> World:
    return World()


def _assert_same(first: ExecutedBlock, second: ExecutedBlock) -> None:
    assert first.block == second.block
    assert first.result == second.result
    assert first.transaction_hashes == second.transaction_hashes
    assert first.history_nodes == second.history_nodes
    assert (first.tree.root, first.tree.pages, first.tree.undo) == (
        second.tree.root,
        second.tree.pages,
        second.tree.undo,
    )
    assert (first.tip.hash, first.tip.supply, first.tip.history.root()) == (
        second.tip.hash,
        second.tip.supply,
        second.tip.history.root(),
    )


@pytest.mark.parametrize("seed", range(3))
def test_who_builds_and_who_checks_agree(seed: int) -> None:
    chooser = random.Random(seed)
    world = World(alloc={"0x" + who: hex(10**6) for who in ("7e5f4552091a69125d5dfcb7b8c2659029395bdf",)})
    traffic = Traffic(world, chooser)
    for _ in range(40):
        candidates = [traffic.make() for _ in range(chooser.randrange(12))]
        built = world.chain.build(world.chain.tip, candidates, START).executed
        _assert_same(built, world.chain.check(world.chain.tip, built.block, world.decode_all))
        world.follow([world.authority.produce(candidates, START).executed])


def test_a_header_says_what_the_protocol_says(world: World) -> None:
    genesis_hash = world.chain.tip.hash
    sent = [world.transfer(ALICE_KEY, 0), world.create(1)]
    world.mine(*sent)
    world.mine_empty(1)
    first, second = world.blocks()
    assert (first.header.height, first.header.tx_count, first.header.timestamp) == (1, 2, START)
    assert first.header.tx_root == merkle_root(transaction.raw for transaction in sent)
    receipts = world.store.view().receipts(1)
    assert first.header.receipts_root == merkle_root(receipt.encode() for receipt in receipts)
    assert first.header.history_root == merkle_root([genesis_hash])
    assert second.header.history_root == merkle_root([genesis_hash, first.header.hash()])
    assert (second.header.tx_root, second.header.receipts_root) == (EMPTY_ROOT, EMPTY_ROOT)
    assert second.header.state_root == first.header.state_root
    assert second.header.parent_hash == first.header.hash()
    assert first.header.authority == AUTHORITY


def test_the_history_follows_from_the_hashes_of_all_blocks() -> None:
    world = busy_world(5, 70)
    view = world.store.view()
    found = [view.block(height).header.hash() for height in range(view.height + 1)]
    for height in range(1, view.height + 1):
        stated = view.block(height).header.history_root
        assert stated == merkle_root(found[:height])
        assert stated == NodeTree(view.height, view.history_node).root(height)


def test_every_state_root_is_that_of_all_records() -> None:
    world = busy_world(6, 20)
    records = sorted((tree_key(key), record) for key, record in world.store.view().records())
    assert compute_root(records) == world.chain.tip.header.state_root


def test_time_never_goes_back(world: World) -> None:
    for clock, expected in (
        (START + 10, START + 10),
        (START + 3, START + 10),
        (0, START + 10),
        (START + 11, START + 11),
    ):
        assert world.authority.produce((), clock).executed.tip.header.timestamp == expected


@pytest.mark.parametrize("ahead", [15, 16])
def test_a_live_block_may_be_fifteen_seconds_ahead(world: World, ahead: int) -> None:
    header = world.chain.build(world.chain.tip, (), START + ahead).executed.tip.header
    if ahead == 15:
        check_not_ahead(header, START)
    else:
        with pytest.raises(InvalidBlock) as caught:
            check_not_ahead(header, START)
        assert caught.value.reason == "TIMESTAMP_AHEAD"


def test_a_full_block_takes_no_more() -> None:
    world = World(maxBlockTransactions="0x2")
    built = world.authority.produce([world.transfer(ALICE_KEY, nonce) for nonce in range(4)], START)
    assert (len(built.executed.block.transactions), built.skipped) == (2, ())
    small = World(maxBlockBytes=hex(2 * 194 + 1))
    built = small.authority.produce([small.transfer(ALICE_KEY, nonce) for nonce in range(4)], START)
    assert len(built.executed.block.transactions) == 2


def test_what_is_invalid_is_left_out_with_its_reason(world: World) -> None:
    good, gap, poor = world.transfer(ALICE_KEY, 0), world.transfer(ALICE_KEY, 2), world.transfer(CAROL_KEY, 0)
    built = world.authority.produce([gap, good, poor, good], START)
    assert built.executed.transaction_hashes == (good.hash,)
    assert [(skipped, refusal.reason) for skipped, refusal in built.skipped] == [
        (gap, "NONCE_GAP"),
        (poor, "INSUFFICIENT_BALANCE"),
        (good, "BAD_NONCE"),
    ]


def test_expiries_come_before_transactions(world: World) -> None:
    creation = world.create(duration=2, deposit=400_000, collateral=500_000)
    world.mine(creation)
    world.mine_empty(1)
    built = world.authority.produce([world.transfer(ALICE_KEY, 1, amount=900_000)], START)
    assert built.executed.result.expired == (creation.hash,)
    assert built.skipped == ()


def test_what_was_built_and_not_committed_leaves_no_trace(world: World) -> None:
    twin = World()
    for other in (world, twin):
        other.mine(other.create(), other.transfer(BOB_KEY, 0))
    before = world.disk.contents()
    for fee in range(10, 30):
        world.chain.build(world.chain.tip, [world.transfer(ALICE_KEY, 1, fee), world.transfer(BOB_KEY, 1, fee)], START)
    assert world.disk.contents() == before
    sent = world.transfer(DAVE_KEY, 0)
    first, second = (other.authority.produce([sent], START).executed for other in (world, twin))
    _assert_same(first, second)
    assert world.disk.contents() == twin.disk.contents()


def test_a_block_that_failed_to_be_written_leaves_no_trace() -> None:
    world, twin = World(), World()
    executed = world.chain.build(world.chain.tip, [world.transfer(ALICE_KEY, 0)], START).executed
    prepared = world.chain.prepare([executed])
    world.store._kv.close()
    with pytest.raises(Exception, match="closed"):
        world.chain.commit(prepared, [executed.block.sealed(bytes(65))])
    assert world.chain.tip.header.height == 0
    assert world.chain._tree.root == twin.chain._tree.root


def test_a_group_of_empty_blocks_is_a_chain_like_any_other() -> None:
    one, many = World(), World()
    for world in (one, many):
        world.mine(world.create(duration=7))
    for _ in range(9):
        one.authority.produce_empty(1, START)
    sizes = []
    while many.height < 10:
        sizes.append(len(many.authority.produce_empty(10 - many.height, START)))
    assert sizes == [7, 2]
    assert one.disk.contents() == many.disk.contents()
    assert many.store.view().expired(8) != []


def test_a_group_is_bounded(world: World) -> None:
    assert len(world.authority.produce_empty(10**6, START)) == 500
    assert world.height == 500
    assert len({block.header.state_root for block in world.blocks()}) == 1


def test_only_the_last_of_a_group_may_change_state(world: World) -> None:
    """Each was executed on the state after the head, so what an earlier one changes would be lost."""
    first = world.chain.build(world.chain.tip, [world.transfer(ALICE_KEY, 0)], START).executed
    second = world.chain.build(first.tip, (), START).executed
    before = world.disk.contents()
    with pytest.raises(InvariantViolation):
        world.chain.prepare([first, second])
    assert world.disk.contents() == before
    assert world.height == 0


def test_a_group_must_follow_the_head_and_itself(world: World) -> None:
    first = world.chain.build(world.chain.tip, (), START).executed
    second = world.chain.build(first.tip, (), START).executed
    for group in ([second], [first, first], [second, first]):
        with pytest.raises(InvariantViolation):
            world.chain.prepare(group)
    assert world.height == 0


def test_a_chain_is_resumed_where_it_stood() -> None:
    world = busy_world(7, 30)
    resumed = Chain(world.store, world.genesis, world.domain, TREE_CACHE_BYTES)
    sent = [Traffic(world, random.Random(1)).make() for _ in range(10)]
    _assert_same(
        resumed.build(resumed.tip, sent, START).executed, world.chain.build(world.chain.tip, sent, START).executed
    )
    assert resumed.tip.supply == world.chain.tip.supply


def test_tokens_that_nobody_made_stop_the_chain(world: World) -> None:
    balances, locked, burned = world.chain.tip.supply
    for wrong in ((balances + 1, locked, burned), (balances, locked + 1, burned), (balances, locked, burned + 1)):
        world.disk.damage(b"Msupply", b"".join(amount.to_bytes(16, "big") for amount in wrong))
        store = ChainStore(world.store._kv)
        chain = Chain(store, world.genesis, world.domain, TREE_CACHE_BYTES)
        with pytest.raises(InvariantViolation, match="supply equation"):
            chain.build(chain.tip, [world.transfer(ALICE_KEY, 0)], START)


def test_a_seal_is_worth_nothing_for_another_block_or_chain(world: World) -> None:
    other = World(extra="0x" + "01" * 32)
    block_hash = world.chain.tip.hash
    key = SigningKey(AUTHORITY_KEY)
    seal = make_seal(key, block_hash, world.domain)
    check_seal(seal, block_hash, AUTHORITY, world.domain)
    wrong = [
        (None, block_hash, world.domain),
        (b"", block_hash, world.domain),
        (seal[:-1], block_hash, world.domain),
        (seal, other.chain.tip.hash, world.domain),
        (seal, block_hash, other.domain),
        (seal, block_hash, world.domain._replace(prefix=bytes(34))),
        (make_seal(SigningKey(ALICE_KEY), block_hash, world.domain), block_hash, world.domain),
    ]
    for given, of, domain in wrong:
        with pytest.raises(InvalidBlock) as caught:
            check_seal(given, of, AUTHORITY, domain)
        assert caught.value.reason == "WRONG_SEAL"


def test_an_authority_has_the_chains_key(world: World) -> None:
    with pytest.raises(ValueError, match="seals this chain"):
        type(world.authority)(world.chain, SigningKey(ALICE_KEY), world.record)

"""Every record, page and proof of the last 128 states of a busy chain, against what was stored at the time."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from consensus.chain import Chain
from crypto.state_proof import EMPTY, PRESENT, verify_state_proof
from ledger.records import BURNED_KEY, account_key, pool_key, target_key, tree_key
from ledger.state_tree import prove
from ledger.tree_build import compute_root
from storage import leveldb
from storage.chain_store import ChainStore, create_chain
from storage.memory import MemoryKeyValue
from storage.past_state import STATES_KEPT, PastState, StateNotKept
from tests.model.small_chain import ALICE, ALICE_KEY, CAROL, CAROL_KEY
from tests.unit.consensus.traffic import busy_world
from tests.unit.consensus.world import TREE_CACHE_BYTES, World

if TYPE_CHECKING:
    from pathlib import Path

    from storage.kv import KeyValue

LENGTH = STATES_KEPT + 60
ABSENT_KEYS = [account_key(b"\x01" * 20), pool_key(bytes(32)), target_key(bytes(32), ALICE), BURNED_KEY]


class Moment(NamedTuple):
    """Everything that was stored of one state."""

    records: dict[bytes, bytes]
    pages: dict[bytes, bytes]


class History(NamedTuple):
    """A chain and all the states that it went through."""

    world: World
    store: ChainStore
    moments: list[Moment]

    @property
    def keys(self) -> set[bytes]:
        return {key for moment in self.moments for key in moment.records}.union(ABSENT_KEYS)

    @property
    def pages(self) -> set[bytes]:
        return {key for moment in self.moments for key in moment.pages}


def _moment(store: ChainStore) -> Moment:
    entries = list(store.view().entries())
    records, pages = ({key[1:]: value for key, value in entries if key[:1] == kind} for kind in (b"S", b"Q"))
    return Moment(records, pages)


def _replayed(world: World, kv: KeyValue) -> History:
    """The same chain, block by block in a store of its own."""
    store = create_chain(kv, world.genesis)
    chain = Chain(store, world.genesis, world.domain, TREE_CACHE_BYTES)
    moments = [_moment(store)]
    for block in world.blocks():
        chain.commit(chain.prepare([chain.check_sealed(chain.tip, block, world.decode_all)]), [block])
        moments.append(_moment(store))
    return History(world, store, moments)


@pytest.fixture(scope="module")
def history() -> History:
    return _replayed(busy_world(21, LENGTH), MemoryKeyValue())


def test_every_record_and_page_of_every_kept_state_is_as_it_was(history: History) -> None:
    view = history.store.view()
    keys, pages = history.keys, history.pages
    came = 0
    for height in range(view.height - STATES_KEPT, view.height + 1):
        past, then = PastState(view, height), history.moments[height]
        assert {key: past.get(key) for key in keys} == {key: then.records.get(key) for key in keys}
        assert {key: past.page(key) for key in pages} == {key: then.pages.get(key) for key in pages}
        came += len(then.pages.keys() - history.moments[height - 1].pages.keys())
    assert came > 20


def test_every_kept_state_proves_what_it_holds_and_what_not(history: History) -> None:
    view = history.store.view()
    keys = sorted(history.keys)
    proofs = {True: 0, False: 0}
    for height in range(view.height - STATES_KEPT, view.height + 1):
        past, then = PastState(view, height), history.moments[height]
        root = view.block(height).header.state_root
        assert compute_root(sorted((tree_key(key), record) for key, record in then.records.items())) == root
        for key in keys[height % 9 :: 9]:
            proof = prove(past.page, tree_key(key))
            verify_state_proof(root, tree_key(key), past.get(key), proof)
            assert (proof.kind == PRESENT) == (key in then.records)
            proofs[key in then.records] += 1
    assert min(proofs.values()) > 500


def test_older_and_later_states_are_not_kept(history: History) -> None:
    view = history.store.view()
    PastState(view, view.height - STATES_KEPT)
    for height in (-1, 0, view.height - STATES_KEPT - 1, view.height + 1):
        with pytest.raises(StateNotKept) as caught:
            PastState(view, height)
        assert caught.value.oldest == view.height - STATES_KEPT


def test_a_young_chain_keeps_all_of_its_states() -> None:
    world = World()
    for height in range(STATES_KEPT):
        assert [PastState(world.store.view(), at).height for at in range(height + 1)] == list(range(height + 1))
        world.mine_empty(1)
    world.mine_empty(1)
    with pytest.raises(StateNotKept):
        PastState(world.store.view(), 0)


def test_an_old_view_keeps_its_states_while_the_head_moves_on() -> None:
    world = World()
    world.mine(world.transfer(ALICE_KEY, 0))
    world.mine(world.transfer(ALICE_KEY, 1))
    view = world.store.view()
    for _ in range(STATES_KEPT + 10):
        world.mine_empty(1)
    world.mine(world.transfer(ALICE_KEY, 2))
    found = [PastState(view, height).get(account_key(CAROL)) for height in range(3)]
    assert [record and int.from_bytes(record[:16], "big") for record in found] == [None, 1, 2]


def test_records_come_and_go_within_the_kept_states() -> None:
    """Carol's account is absent, then holds something, is spent down to a nonce, and burning begins late."""
    world = World(minFee="0x0")
    world.mine(world.transfer(ALICE_KEY, 0, 0, amount=5))
    world.mine(world.transfer(CAROL_KEY, 0, 0, to=ALICE, amount=5))
    creation = world.create(1, 0)
    world.mine(creation)
    world.mine(world.pay(CAROL_KEY, creation.hash, 1_001, fee=0))
    world.mine_empty(1)
    view = world.store.view()
    states = [PastState(view, height) for height in range(6)]
    balances = [state.get(account_key(CAROL)) for state in states]
    assert [record and (record[15], record[23]) for record in balances[:4]] == [None, (5, 0), (0, 1), (0, 1)]
    assert [state.get(BURNED_KEY) is not None for state in states] == [False] * 4 + [True] * 2
    assert [state.get(pool_key(creation.hash)) is not None for state in states] == [False] * 3 + [True] * 3


def test_the_empty_state_before_anything_was_is_proved() -> None:
    world = World(alloc={})
    world.mine_empty(2)
    past = PastState(world.store.view(), 0)
    proof = prove(past.page, tree_key(BURNED_KEY))
    assert proof.kind == EMPTY
    verify_state_proof(world.store.view().block(0).header.state_root, tree_key(BURNED_KEY), None, proof)


def test_leveldb_tells_the_same(history: History, fast_folder: Path) -> None:
    with closing(leveldb.create(fast_folder / "past")) as kv:
        twin = _replayed(history.world, kv)
        assert twin.moments[-1] == history.moments[-1]
        view, keys = twin.store.view(), sorted(history.keys)
        for height in range(view.height - STATES_KEPT, view.height + 1, 7):
            past, then = PastState(view, height), history.moments[height]
            assert {key: past.get(key) for key in keys} == {key: then.records.get(key) for key in keys}
            assert {key: past.page(key) for key in twin.pages} == {key: then.pages.get(key) for key in twin.pages}
        view.close()

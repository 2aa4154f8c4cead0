"""The state that a pending transaction is judged on."""

from __future__ import annotations

from consensus.pending import WithPending
from ledger.records import account_key, pool_key
from tests.model.small_chain import ALICE, BOB, CAROL
from tests.unit.consensus.world import World


def test_pending_records_stand_in_front_of_committed_ones() -> None:
    world = World()
    pool = world.pool(duration=5)
    committed = world.store.state()
    state = WithPending(committed, {account_key(ALICE): None, account_key(CAROL): b"new", pool_key(bytes(32)): b"pool"})
    assert state.get(account_key(ALICE)) is None
    assert state.get(account_key(CAROL)) == b"new"
    assert state.get(pool_key(bytes(32))) == b"pool"
    assert state.get(account_key(BOB)) == committed.get(account_key(BOB)) is not None
    assert state.due_pools(6, 1) == committed.due_pools(6, 1) == [pool]

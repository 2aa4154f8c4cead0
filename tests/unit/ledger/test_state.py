"""The scratch state: what is written is seen there and nowhere else."""

from __future__ import annotations

from dataclasses import replace

from ledger.records import (
    ABSENT_ACCOUNT,
    ABSENT_TARGET,
    BURNED_KEY,
    Account,
    Pool,
    PoolStatus,
    Target,
    account_key,
    encode_burned,
    pool_key,
    target_key,
)
from ledger.state import State
from tests.workbench import Records

ONE, TWO = b"\x01" * 20, b"\x02" * 20
HASH = b"\x09" * 32
POOL = Pool(ONE, bytes(32), 1000, 1500, 400, 1, 11, PoolStatus.OPEN)


def parent(burned: int = 7) -> Records:
    records = {
        account_key(ONE): Account(100, 5).encode(),
        pool_key(HASH): POOL.encode(),
        target_key(HASH, TWO): Target(2, 400).encode(),
        BURNED_KEY: encode_burned(burned),
    }
    return Records({key: record for key, record in records.items() if record is not None})


def test_reads_come_from_the_parent() -> None:
    state = State(parent())
    assert state.account(ONE) == Account(100, 5)
    assert state.pool(HASH) == POOL
    assert state.target(HASH, TWO) == Target(2, 400)
    assert state.burned == 7
    assert (state.changes(), state.before()) == ({}, {})


def test_what_is_absent_reads_as_zeros() -> None:
    state = State(Records({}))
    assert state.account(ONE) == ABSENT_ACCOUNT == Account(0, 0)
    assert state.pool(HASH) is None
    assert state.target(HASH, TWO) == ABSENT_TARGET == Target(0, 0)
    assert state.burned == 0
    assert state.changes() == {}


def test_writes_are_seen_here_and_not_in_the_parent() -> None:
    records = parent()
    frozen, root = dict(records.all), records.root()
    state = State(records)
    closed = replace(POOL, status=PoolStatus.EXPIRED)
    state.put_account(ONE, Account(1, 6))
    state.put_account(TWO, Account(2, 0))
    state.put_pool(HASH, closed)
    state.put_target(HASH, TWO, Target(3, 500))
    state.burn(10)
    assert state.account(ONE) == Account(1, 6)
    assert state.account(TWO) == Account(2, 0)
    assert state.pool(HASH) == closed
    assert state.target(HASH, TWO) == Target(3, 500)
    assert state.burned == 17
    assert dict(records.all) == frozen
    assert records.root() == root
    assert State(records).account(ONE) == Account(100, 5)


def test_changes_stand_as_they_were_written_and_before_has_the_parents_records() -> None:
    records = parent()
    state = State(records)
    state.burn(1)
    state.put_target(HASH, ONE, Target(1, 1))
    state.put_pool(HASH, replace(POOL, spent=401))
    state.put_account(TWO, Account(3, 0))
    state.put_account(ONE, Account(99, 6))
    changes = state.changes()
    assert [key[:1] for key in changes] == [b"t", b"p", b"a", b"a", b"b"]
    assert changes == {
        account_key(ONE): Account(99, 6).encode(),
        account_key(TWO): Account(3, 0).encode(),
        BURNED_KEY: encode_burned(8),
        pool_key(HASH): replace(POOL, spent=401).encode(),
        target_key(HASH, ONE): Target(1, 1).encode(),
    }
    assert state.before() == {key: records.get(key) for key in changes}


def test_what_is_written_back_as_it_was_is_no_change() -> None:
    state = State(parent())
    state.put_account(ONE, Account(1, 1))
    state.put_account(ONE, Account(100, 5))
    state.put_account(TWO, ABSENT_ACCOUNT)
    state.put_pool(HASH, POOL)
    state.burn(0)
    assert state.changes() == {}
    assert state.before()[account_key(ONE)] == Account(100, 5).encode()


def test_emptied_account_is_removed_unless_it_has_a_nonce() -> None:
    records = Records({account_key(ONE): bytes(15) + b"\x05" + bytes(8)})
    assert records.get(account_key(ONE)) == Account(5, 0).encode()
    state = State(records)
    state.put_account(ONE, Account(0, 0))
    assert state.changes() == {account_key(ONE): None}
    state.put_account(ONE, Account(0, 1))
    assert state.changes() == {account_key(ONE): Account(0, 1).encode()}


def test_credit_adds_to_the_balance_and_keeps_the_nonce() -> None:
    state = State(parent())
    state.credit(ONE, 11)
    state.credit(TWO, 1)
    state.credit(TWO, 1)
    assert state.account(ONE) == Account(111, 5)
    assert state.account(TWO) == Account(2, 0)


def test_crediting_nothing_writes_nothing() -> None:
    state = State(parent())
    state.credit(ONE, 0)
    state.credit(TWO, 0)
    assert state.before() == {}


def test_burning_adds_up_and_starts_at_nothing() -> None:
    state = State(parent(burned=0))
    state.burn(3)
    state.burn(4)
    assert state.burned == 7
    assert state.changes() == {BURNED_KEY: encode_burned(7)}
    assert state.before() == {BURNED_KEY: None}

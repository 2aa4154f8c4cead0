"""The supply equation, counted in full and carried along."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger import supply
from ledger.errors import InvariantViolation
from ledger.records import (
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
from ledger.supply import Supply
from tests.workbench import make_genesis

POOL = Pool(b"\x01" * 20, bytes(32), 1000, 1500, 400, 1, 11, PoolStatus.OPEN)
ONE, TWO = account_key(b"\x01" * 20), account_key(b"\x02" * 20)
HASH = b"\x09" * 32


def test_count_knows_every_record() -> None:
    records = {
        ONE: Account(70, 3).encode(),
        TWO: Account(0, 9).encode(),
        pool_key(HASH): POOL.encode(),
        target_key(HASH, b"\x02" * 20): Target(1, 400).encode(),
        BURNED_KEY: encode_burned(55),
        account_key(b"\x03" * 20): None,
    }
    assert supply.count(records.items()) == Supply(70, 600 + 1500, 55)
    assert supply.count([]) == Supply(0, 0, 0)


@pytest.mark.parametrize(
    ("status", "locked"), [(PoolStatus.OPEN, 2100), (PoolStatus.EXPIRED, 0), (PoolStatus.SLASHED, 0)]
)
def test_closed_pools_hold_nothing(status: PoolStatus, locked: int) -> None:
    assert supply.count([(pool_key(HASH), replace(POOL, status=status).encode())]).locked == locked


def test_advance_is_the_difference_of_two_counts() -> None:
    before = {
        ONE: Account(5000, 0).encode(),
        TWO: None,
        pool_key(HASH): POOL.encode(),
        BURNED_KEY: None,
        target_key(HASH, b"\x02" * 20): None,
    }
    changes = {
        ONE: None,
        TWO: Account(5600, 0).encode(),
        pool_key(HASH): replace(POOL, status=PoolStatus.SLASHED, spent=1000).encode(),
        BURNED_KEY: encode_burned(1500),
        target_key(HASH, b"\x02" * 20): Target(1, 1000).encode(),
    }
    start = Supply(5000 + 33, 2100 + 44, 0)
    assert supply.advance(start, before, changes) == Supply(5633, 44, 1500)


def test_advance_by_nothing() -> None:
    start = Supply(1, 2, 3)
    assert supply.advance(start, {ONE: Account(5, 5).encode()}, {}) == start


def test_check_wants_exactly_the_genesis_supply() -> None:
    genesis = make_genesis()
    supply.check(Supply(1_005_000, 60, 40), genesis)
    for wrong in (Supply(1_005_000, 60, 41), Supply(1_005_000, 59, 40), Supply(1_005_001, 60, 40), Supply(0, 0, 0)):
        with pytest.raises(InvariantViolation, match="supply equation is broken"):
            supply.check(wrong, genesis)

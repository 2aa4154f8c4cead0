"""Records: exact lengths, the place of every member, keys that never collide."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from crypto import state_proof
from ledger.records import (
    ABSENT_ACCOUNT,
    ABSENT_TARGET,
    ACCOUNT_BYTES,
    BURNED_KEY,
    POOL_BYTES,
    TARGET_BYTES,
    Account,
    Pool,
    PoolStatus,
    Target,
    account_key,
    decode_burned,
    encode_burned,
    pool_key,
    target_key,
    tree_key,
)

AMOUNT_MAX = 2**128 - 1
COUNTER_MAX = 2**64 - 1
ADDRESS = b"\xaa" * 20
HASH = b"\xbb" * 32
POOL = Pool(ADDRESS, HASH, 1000, 1500, 400, 7, 17, PoolStatus.OPEN)


def test_account_is_balance_and_nonce() -> None:
    assert Account(0x1234, 0x56).encode() == bytes.fromhex("00" * 14 + "1234" + "00" * 7 + "56")
    assert Account(AMOUNT_MAX, COUNTER_MAX).encode() == b"\xff" * ACCOUNT_BYTES


@pytest.mark.parametrize("account", [Account(1, 0), Account(0, 1), Account(AMOUNT_MAX, COUNTER_MAX), Account(5, 9)])
def test_account_round_trip(account: Account) -> None:
    record = account.encode()
    assert record is not None
    assert len(record) == 24
    assert Account.decode(record) == account


def test_account_of_nothing_is_absent() -> None:
    assert Account(0, 0) == ABSENT_ACCOUNT
    assert ABSENT_ACCOUNT.encode() is None


@pytest.mark.parametrize("account", [Account(-1, 0), Account(AMOUNT_MAX + 1, 0), Account(1, COUNTER_MAX + 1)])
def test_account_out_of_range_is_not_written(account: Account) -> None:
    with pytest.raises(OverflowError):
        account.encode()


def test_pool_members_stand_one_after_the_other() -> None:
    expected = "aa" * 20 + "bb" * 32 + f"{1000:032x}{1500:032x}{400:032x}" + f"{7:016x}{17:016x}" + "00"
    assert POOL.encode().hex() == expected
    assert [replace(POOL, status=status).encode()[-1] for status in PoolStatus] == [0, 1, 2]


def test_pool_round_trips() -> None:
    source = random.Random(1)
    for status in PoolStatus:
        for bits in (0, 1, 64, 128):
            deposit, collateral, spent = (source.getrandbits(bits) for _ in range(3))
            created, expires = (source.getrandbits(min(bits, 64)) for _ in range(2))
            names = source.randbytes(20), source.randbytes(32)
            pool = Pool(*names, deposit, collateral, spent, created, expires, status)
            assert len(pool.encode()) == POOL_BYTES == 117
            assert Pool.decode(pool.encode()) == pool
            assert Pool.decode(pool.encode()).status is status


def test_pool_remaining_and_locked() -> None:
    assert (POOL.remaining, POOL.locked) == (600, 2100)
    assert replace(POOL, spent=1000).locked == 1500
    for status in (PoolStatus.EXPIRED, PoolStatus.SLASHED):
        closed = replace(POOL, status=status)
        assert (closed.remaining, closed.locked) == (600, 0)


@pytest.mark.parametrize("status", [3, 4, 255])
def test_pool_status_is_one_of_three(status: int) -> None:
    with pytest.raises(ValueError, match="PoolStatus"):
        Pool.decode(POOL.encode()[:-1] + bytes([status]))


def test_target_is_seq_and_paid() -> None:
    assert Target(3, 0x99).encode() == bytes.fromhex(f"{3:016x}{0x99:032x}")
    assert Target(0, 0) == ABSENT_TARGET
    for target in (ABSENT_TARGET, Target(1, 0), Target(COUNTER_MAX, AMOUNT_MAX)):
        assert len(target.encode()) == TARGET_BYTES == 24
        assert Target.decode(target.encode()) == target


@pytest.mark.parametrize(("kind", "length"), [(Account, 24), (Pool, 117), (Target, 24)])
def test_length_is_exact(kind: type[Account | Pool | Target], length: int) -> None:
    for wrong in (0, 1, length - 1, length + 1, 2 * length):
        with pytest.raises(ValueError, match=f"expected a record of {length} bytes, given {wrong}"):
            kind.decode(bytes(wrong))


def test_burned() -> None:
    assert encode_burned(0) is None
    assert encode_burned(1) == bytes(15) + b"\x01"
    assert decode_burned(None) == 0
    for burned in (1, 255, AMOUNT_MAX):
        assert decode_burned(encode_burned(burned)) == burned


def test_state_keys() -> None:
    assert account_key(ADDRESS) == b"a" + ADDRESS
    assert pool_key(HASH) == b"p" + HASH
    assert target_key(HASH, ADDRESS) == b"t" + HASH + ADDRESS
    assert BURNED_KEY == b"b"


def test_tree_keys_are_those_of_the_proofs() -> None:
    keys = {
        account_key(ADDRESS): state_proof.account_key(ADDRESS),
        pool_key(HASH): state_proof.pool_key(HASH),
        target_key(HASH, ADDRESS): state_proof.target_key(HASH, ADDRESS),
        BURNED_KEY: state_proof.burned_key(),
    }
    assert {key: tree_key(key) for key in keys} == keys
    assert len(set(keys.values())) == 4
    assert {len(key) for key in keys.values()} == {32}

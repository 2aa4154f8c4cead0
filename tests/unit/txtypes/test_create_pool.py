"""CreatePool: each rule of protocol section 5 with its accepted and its refused twin."""

from __future__ import annotations

import pytest

from ledger.receipt import Outcome, Receipt
from ledger.records import Account, Pool, PoolStatus, account_key, pool_key
from tests.model import signing
from tests.model.small_chain import (
    ALICE,
    ALICE_KEY,
    AUTHORITY,
    AUTHORITY_KEY,
    BOB,
    BOB_KEY,
    CAROL_KEY,
    RESOURCE,
)
from tests.workbench import LARGEST, Workbench

BEYOND_HALF = 2**63 - 1


def test_locks_deposit_and_collateral_under_the_transactions_hash(bench: Workbench) -> None:
    receipt = bench.accept(bench.create())
    cptx_hash = receipt.transaction_hash
    assert receipt == Receipt(cptx_hash, Outcome.CREATED, 10, cptx_hash, 0, 0, 0)
    assert bench.account(ALICE) == Account(1_000_000 - 1000 - 1500 - 10, 1)
    assert bench.account(AUTHORITY) == Account(10, 0)
    assert bench.pool(cptx_hash) == Pool(ALICE, RESOURCE, 1000, 1500, 0, 1, 11, PoolStatus.OPEN)
    assert bench.pool(cptx_hash).remaining == 1000
    changed = {account_key(ALICE), account_key(AUTHORITY), pool_key(cptx_hash)}
    assert set(bench.result().changes) == changed


def test_created_at_is_the_height_of_its_block() -> None:
    bench = Workbench(77)
    pool = bench.pool(bench.new_pool(duration=5))
    assert (pool.created_at, pool.expires_at) == (77, 82)


def test_deposit_is_above_zero(bench: Workbench) -> None:
    bench.refuse(bench.create(0, 1500), "ZERO_AMOUNT")
    bench.refuse(bench.create(0, 0), "ZERO_AMOUNT")
    bench.accept(bench.create(1, 2))


@pytest.mark.parametrize("deposit", [1, 2, 1000])
def test_collateral_exceeds_the_deposit(bench: Workbench, deposit: int) -> None:
    bench.refuse(bench.create(deposit, 0), "COLLATERAL_TOO_LOW")
    bench.refuse(bench.create(deposit, deposit - 1), "COLLATERAL_TOO_LOW")
    bench.refuse(bench.create(deposit, deposit), "COLLATERAL_TOO_LOW")
    cptx_hash = bench.accept(bench.create(deposit, deposit + 1)).cptx_hash
    assert bench.pool(cptx_hash).collateral == deposit + 1


def test_duration_within_the_genesis_limits(bench: Workbench) -> None:
    for wrong in (0, 1, 51, 2**64 - 1):
        bench.refuse(bench.create(duration=wrong), "BAD_DURATION")
    assert bench.pool(bench.new_pool(duration=2)).expires_at == 3
    assert bench.pool(bench.new_pool(duration=50)).expires_at == 51


def test_single_allowed_duration() -> None:
    bench = Workbench(minDuration="0x7", maxDuration="0x7")
    bench.refuse(bench.create(duration=6), "BAD_DURATION")
    bench.refuse(bench.create(duration=8), "BAD_DURATION")
    bench.accept(bench.create(duration=7))


def test_longest_duration_at_a_high_height_still_fits_the_record() -> None:
    bench = Workbench(BEYOND_HALF, maxDuration=hex(BEYOND_HALF))
    cptx_hash = bench.accept(bench.create(duration=BEYOND_HALF)).cptx_hash
    assert bench.pool(cptx_hash).expires_at == 2**64 - 2


def test_fee_is_at_least_the_minimum(bench: Workbench) -> None:
    bench.refuse(bench.create(fee=0), "FEE_TOO_LOW")
    bench.refuse(bench.create(fee=9), "FEE_TOO_LOW")
    assert bench.accept(bench.create(fee=10)).fee == 10
    assert bench.accept(bench.create(fee=11)).fee == 11


def test_balance_covers_deposit_collateral_and_fee_exactly(bench: Workbench) -> None:
    bench.refuse(bench.create(2000, 2991, key=BOB_KEY), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.create(2001, 2990, key=BOB_KEY), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.create(2000, 2990, fee=11, key=BOB_KEY), "INSUFFICIENT_BALANCE")
    bench.accept(bench.create(2000, 2990, key=BOB_KEY))
    assert bench.account(BOB) == Account(0, 1)


def test_sums_do_not_wrap(bench: Workbench) -> None:
    bench.refuse(bench.create(LARGEST - 1, LARGEST, fee=LARGEST), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.create(1, LARGEST), "INSUFFICIENT_BALANCE")
    bench.refuse(bench.create(1, 2, fee=LARGEST), "INSUFFICIENT_BALANCE")


def test_nonce_is_exactly_the_creators(bench: Workbench) -> None:
    bench.refuse(bench.create(nonce=1), "NONCE_GAP")
    raw = bench.create(nonce=0)
    bench.accept(raw)
    bench.refuse(raw, "BAD_NONCE")
    bench.refuse(bench.create(deposit=999, nonce=0), "BAD_NONCE")
    bench.refuse(bench.create(nonce=2), "NONCE_GAP")
    bench.accept(bench.create(nonce=1))


def test_shares_the_nonce_with_transfers(bench: Workbench) -> None:
    bench.new_pool()
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1, nonce=0), "BAD_NONCE")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1, nonce=1))
    bench.refuse(bench.create(nonce=1), "BAD_NONCE")
    bench.accept(bench.create(nonce=2))


def test_authority_as_creator_needs_the_fee_it_gets_back(bench: Workbench) -> None:
    bench.fund(AUTHORITY, 2490)
    bench.refuse(bench.create(1000, 1491, key=AUTHORITY_KEY), "INSUFFICIENT_BALANCE")
    bench.accept(bench.create(1000, 1490, key=AUTHORITY_KEY))
    assert bench.account(AUTHORITY) == Account(10, 1)


def test_pools_for_one_resource_and_terms_are_apart(bench: Workbench) -> None:
    first, second = bench.new_pool(), bench.new_pool()
    assert first != second
    bench.accept(bench.payment(BOB_KEY, first, 300))
    assert (bench.pool(first).spent, bench.pool(second).spent) == (300, 0)


def test_second_signature_cannot_make_a_second_pool(bench: Workbench) -> None:
    raw = bench.create()
    digest = bench.decode(raw).kind.digests(raw, bench.domain)[0]
    again = raw[:193] + signing.sign_with_nonce(ALICE_KEY, digest, 4711)
    bench.accept(again)
    bench.refuse(raw, "BAD_NONCE")
    bench.refuse(bench.payment(CAROL_KEY, bench.decode(raw).hash, 100), "POOL_UNKNOWN")
    bench.accept(bench.payment(CAROL_KEY, bench.decode(again).hash, 100))


def test_resource_id_may_be_any_word(bench: Workbench) -> None:
    for resource in (bytes(32), b"\xff" * 32):
        numbers = (10, 20, 5, 10, bench.account(ALICE).nonce)
        raw = signing.create_pool(ALICE_KEY, bench.signing, resource, *numbers)
        assert bench.pool(bench.accept(raw).cptx_hash).resource_id == resource


def test_first_failure_wins(bench: Workbench) -> None:
    bench.refuse(bench.create(0, 0, 1, fee=9, nonce=7, key=CAROL_KEY), "FEE_TOO_LOW")
    bench.refuse(bench.create(0, 0, 1, nonce=7, key=CAROL_KEY), "ZERO_AMOUNT")
    bench.refuse(bench.create(1, 1, 1, nonce=7, key=CAROL_KEY), "COLLATERAL_TOO_LOW")
    bench.refuse(bench.create(1, 2, 1, nonce=7, key=CAROL_KEY), "BAD_DURATION")
    bench.refuse(bench.create(1, 2, 2, nonce=7, key=CAROL_KEY), "NONCE_GAP")
    bench.refuse(bench.create(1, 2, 2, nonce=0, key=CAROL_KEY), "INSUFFICIENT_BALANCE")
    bench.new_pool()
    bench.refuse(bench.create(LARGEST - 1, LARGEST, nonce=0), "BAD_NONCE")

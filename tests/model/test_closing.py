"""Scenarios of double spends and of expiry by hand, and the equations over random histories."""

import random

import pytest

from . import signing
from .reference import Model, ModelRefusal
from .small_chain import (
    ALICE,
    ALICE_KEY,
    AUTHORITY,
    AUTHORITY_KEY,
    BOB,
    BOB_KEY,
    CAROL,
    CAROL_KEY,
    DAVE,
    DAVE_KEY,
    STATE_ROOT,
    Chain,
    genesis,
    receipt_of,
)

# Double spend


def test_due_of_remaining_plus_one_slashes(chain: Chain) -> None:
    pool_id = chain.pool()
    raw = chain.payment(CAROL_KEY, pool_id, 1001)
    expected = receipt_of(raw, 3, 10, pool_id, paid=1000, burned=1390, reward=110)
    assert chain.model.apply(raw) == expected
    assert chain.model.accounts == {
        ALICE: (997_490, 1),
        BOB: (5_000, 0),
        CAROL: (1_100, 0),
        DAVE: (100, 0),
        AUTHORITY: (20, 0),
    }
    assert chain.model.burned == 1390
    assert chain.model.targets == {(pool_id, CAROL): (1, 1000)}
    pool = chain.model.pools[pool_id]
    assert (pool["status"], pool["spent"], pool["collateral"]) == ("slashed", 1000, 1500)
    chain.check_equations()


def test_second_victim_finds_the_pool_slashed(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 2**128 - 1))
    chain.refuse(chain.payment(BOB_KEY, pool_id, 1), "POOL_SLASHED")
    assert chain.model.begin_block(11) == []
    chain.refuse(chain.payment(BOB_KEY, pool_id, 1), "POOL_SLASHED")
    assert chain.model.accounts[ALICE] == (997_490, 1)
    chain.check_equations()


def test_double_spend_over_two_payments_of_one_target(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 400))
    raw = chain.payment(CAROL_KEY, pool_id, 1001, seq=2)
    expected = receipt_of(raw, 3, 10, pool_id, paid=600, burned=1390, reward=110)
    assert chain.model.apply(raw) == expected
    # 390 + 600 + 110 - 10
    assert chain.model.accounts[CAROL] == (1_090, 0)
    assert chain.model.targets == {(pool_id, CAROL): (2, 1000)}
    chain.check_equations()


@pytest.mark.parametrize(
    ("collateral", "reward", "burned", "carol"),
    [
        (1001, 0, 1001, 990),
        (1002, 1, 1001, 991),
        (1110, 109, 1001, 1099),
        (1111, 110, 1001, 1100),
        (1112, 110, 1002, 1100),
    ],
)
def test_reward_up_to_its_cap(
    chain: Chain,
    collateral: int,
    reward: int,
    burned: int,
    carol: int,
) -> None:
    pool_id = chain.pool(1000, collateral)
    raw = chain.payment(CAROL_KEY, pool_id, 1001)
    expected = receipt_of(raw, 3, 10, pool_id, paid=1000, burned=burned, reward=reward)
    assert chain.model.apply(raw) == expected
    assert chain.model.accounts[CAROL] == (carol, 0)
    assert chain.model.burned == burned
    chain.check_equations()


def test_victim_of_a_drained_pool_is_rewarded(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.model.apply(chain.payment(BOB_KEY, pool_id, 1000))
    raw = chain.payment(CAROL_KEY, pool_id, 1)
    assert chain.model.apply(raw) == receipt_of(raw, 3, 10, pool_id, burned=1390, reward=110)
    assert chain.model.accounts[CAROL] == (100, 0)
    assert chain.model.accounts[BOB] == (5_990, 0)
    assert chain.model.targets[(pool_id, CAROL)] == (1, 0)
    chain.check_equations()


@pytest.mark.parametrize(("key", "before"), [(CAROL_KEY, 0), (DAVE_KEY, 100)])
def test_report_never_costs_more_than_it_brings(chain: Chain, key: bytes, before: int) -> None:
    address = signing.address_of(key)
    pool_id = chain.pool()
    chain.model.apply(chain.payment(BOB_KEY, pool_id, 1000))
    raw = chain.payment(key, pool_id, 5, fee=5000)
    # The reward is min(5000 + 100, 499), and the whole of it is taken as the fee.
    assert chain.model.apply(raw) == receipt_of(raw, 3, 499, pool_id, burned=1001, reward=499)
    assert chain.model.balance(address) == before
    assert (address in chain.model.accounts) == (before > 0)
    assert chain.model.accounts[AUTHORITY] == (519, 0)
    chain.check_equations()


def test_report_with_a_fee_above_what_was_paid(chain: Chain) -> None:
    pool_id = chain.pool(1000, 1001)
    chain.model.apply(chain.payment(BOB_KEY, pool_id, 600))
    raw = chain.payment(DAVE_KEY, pool_id, 401, fee=900)
    assert chain.model.apply(raw) == receipt_of(raw, 3, 400, pool_id, paid=400, burned=1001)
    assert chain.model.accounts[DAVE] == (100, 0)
    assert chain.model.accounts[AUTHORITY] == (420, 0)
    assert chain.model.targets[(pool_id, DAVE)] == (1, 400)
    chain.check_equations()


def test_slashed_with_nothing_remaining_and_no_reward(chain: Chain) -> None:
    pool_id = chain.pool(1000, 1001)
    chain.model.apply(chain.payment(BOB_KEY, pool_id, 1000))
    raw = chain.payment(CAROL_KEY, pool_id, 1)
    assert chain.model.apply(raw) == receipt_of(raw, 3, 0, pool_id, burned=1001)
    assert CAROL not in chain.model.accounts
    assert chain.model.targets[(pool_id, CAROL)] == (1, 0)
    assert chain.model.accounts[AUTHORITY] == (20, 0)
    chain.check_equations()


def test_report_still_states_the_minimum_fee(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 1001, fee=9), "FEE_TOO_LOW")


def test_authority_as_victim(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.model.apply(chain.payment(AUTHORITY_KEY, pool_id, 1001))
    # 10 from the creation + 1000 + 110 - 10 + 10
    assert chain.model.accounts[AUTHORITY] == (1120, 0)
    chain.check_equations()


# Expiry


def test_settlement_one_block_before_expiry_and_at_it(chain: Chain) -> None:
    pool_id = chain.pool()
    assert chain.model.begin_block(10) == []
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 400))
    assert chain.model.begin_block(11) == [pool_id]
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 500, seq=2), "POOL_EXPIRED")
    # 997,490 + 600 + 1500
    assert chain.model.accounts[ALICE] == (999_590, 1)
    pool = chain.model.pools[pool_id]
    assert (pool["status"], pool["spent"], pool["collateral"]) == ("expired", 400, 1500)
    chain.check_equations()


def test_expiry_limit_leaves_open_pools_that_are_expired(chain: Chain) -> None:
    pools = sorted(chain.pool() for _ in range(3))
    assert chain.model.begin_block(11) == pools[:2]
    left_over = pools[2]
    assert chain.model.pools[left_over]["status"] == "open"
    chain.refuse(chain.payment(CAROL_KEY, left_over, 1), "POOL_EXPIRED")
    chain.refuse(chain.payment(CAROL_KEY, left_over, 1001), "POOL_EXPIRED")
    # 1,000,000 - 3 * 2510 + 2 * 2500
    assert chain.model.accounts[ALICE] == (997_470, 3)
    chain.check_equations()
    assert chain.model.begin_block(12) == [left_over]
    assert chain.model.accounts[ALICE] == (999_970, 3)
    assert chain.model.begin_block(13) == []
    chain.check_equations()


def test_expiry_order_is_by_height_before_id() -> None:
    chain = Chain(maxExpiriesPerBlock="0x1")
    pools = [chain.pool(duration=duration) for duration in (12, 10, 11, 10)]
    early = sorted([pools[1], pools[3]])
    closed = [chain.model.begin_block(height) for height in (11, 12, 13, 14, 15)]
    assert closed == [[early[0]], [early[1]], [pools[2]], [pools[0]], []]
    chain.check_equations()


def test_refund_can_be_spent_in_the_block_of_expiry(chain: Chain) -> None:
    chain.model.apply(chain.create(2000, 2990, duration=2, key=BOB_KEY))
    spend = chain.transfer(BOB_KEY, CAROL, 4980, nonce=1)
    chain.model.begin_block(2)
    chain.refuse(spend, "INSUFFICIENT_BALANCE")
    chain.model.begin_block(3)
    chain.model.apply(spend)
    assert chain.model.accounts[BOB] == (0, 2)
    assert chain.model.accounts[CAROL] == (4980, 0)
    chain.check_equations()


def test_heights_grow_and_block_zero_is_empty(chain: Chain) -> None:
    with pytest.raises(ValueError, match="heights"):
        chain.model.begin_block(1)
    raw = chain.transfer(ALICE_KEY, BOB, 1)
    with pytest.raises(ValueError, match="block 0"):
        Model(genesis(), STATE_ROOT).apply(raw)


# Everything at once


def test_equations_fail_when_money_appears(chain: Chain) -> None:
    open_pool, expired, slashed = chain.pool(), chain.pool(duration=2), chain.pool()
    chain.model.apply(chain.payment(CAROL_KEY, slashed, 1001))
    chain.model.apply(chain.payment(CAROL_KEY, expired, 100))
    assert chain.model.begin_block(3) == [expired]
    chain.check_equations()
    chain.model.pools[open_pool]["spent"] += 1
    chain.model.returned[expired] += 1
    chain.model.slashes[slashed] = (1391, 110)
    assert not any(map(chain.model.pool_equation_holds, chain.model.pools))
    assert not chain.model.supply_equation_holds()


@pytest.mark.parametrize("seed", range(8))
def test_equations_hold_after_every_random_transaction(seed: int) -> None:
    dice = random.Random(seed)
    chain = Chain()
    model = chain.model
    keys = [ALICE_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY, AUTHORITY_KEY]
    seen: set[int] = set()
    closed: set[bytes] = set()
    for _ in range(400):
        if dice.random() < 0.1:
            for pool_id in model.begin_block(model.height + 1):
                assert pool_id not in closed
                closed.add(pool_id)
        key = dice.choice(keys)
        nonce = model.nonce(signing.address_of(key))
        deposit = dice.randint(1, 400)
        raw = dice.choice(
            [
                chain.transfer(key, dice.choice([BOB, CAROL]), dice.randint(1, 300), nonce=nonce),
                chain.create(
                    deposit,
                    deposit + dice.choice([1, 2, 200]),
                    dice.randint(2, 9),
                    nonce=nonce,
                    key=key,
                ),
            ]
        )
        if model.pools and dice.random() < 0.8:
            pool_id = dice.choice(list(model.pools)[-4:])
            seq, paid = model.targets.get((pool_id, signing.address_of(key)), (0, 0))
            creator = model.pools[pool_id]["creator"]
            creator_key = next(key for key in keys if signing.address_of(key) == creator)
            amount = paid + dice.randint(1, 150)
            fee = dice.choice([10, 60, 2000])
            words = (amount, pool_id, seq + 1, fee)
            raw = signing.service_payment(creator_key, key, chain.domain, *words)
        try:
            seen.add(model.apply(raw)["outcome"])
        except ModelRefusal as refusal:
            chain.refuse(raw, refusal.reason)
        chain.check_equations()
    assert seen == {0, 1, 2, 3}
    assert closed

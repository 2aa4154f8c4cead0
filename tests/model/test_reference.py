"""Scenarios of Transfer, CreatePool and honest settlements, by hand from the protocol page."""

import copy

from . import signing
from .encoding import (
    PAYMENT_TYPE,
    TRANSFER_TYPE,
    keccak,
    signing_digest,
)
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
    RESOURCE,
    Chain,
    receipt_of,
)

# Transfer


def test_transfer_moves_amount_and_fee(chain: Chain) -> None:
    raw = chain.transfer(ALICE_KEY, BOB, 500)
    assert chain.model.apply(raw) == receipt_of(raw, 0, 10)
    assert chain.model.accounts == {
        ALICE: (999_490, 1),
        BOB: (5_500, 0),
        DAVE: (100, 0),
        AUTHORITY: (10, 0),
    }
    chain.check_equations()


def test_transfer_to_self_costs_the_fee_only(chain: Chain) -> None:
    chain.model.apply(chain.transfer(ALICE_KEY, ALICE, 300))
    assert chain.model.accounts[ALICE] == (999_990, 1)
    assert chain.model.accounts[AUTHORITY] == (10, 0)
    chain.check_equations()


def test_transfer_to_self_must_be_covered_before_it_is_credited(chain: Chain) -> None:
    chain.refuse(chain.transfer(DAVE_KEY, DAVE, 91), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.transfer(DAVE_KEY, DAVE, 90))
    assert chain.model.accounts[DAVE] == (90, 1)


def test_transfer_of_everything_leaves_an_account_with_its_nonce(chain: Chain) -> None:
    chain.refuse(chain.transfer(DAVE_KEY, CAROL, 91), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.transfer(DAVE_KEY, CAROL, 90))
    assert chain.model.accounts[DAVE] == (0, 1)
    assert chain.model.accounts[CAROL] == (90, 0)


def test_transfer_to_the_largest_and_to_the_zero_address(chain: Chain) -> None:
    chain.model.apply(chain.transfer(ALICE_KEY, b"\xff" * 20, 1))
    chain.model.apply(chain.transfer(ALICE_KEY, bytes(20), 2, nonce=1))
    assert chain.model.balance(b"\xff" * 20) == 1
    assert chain.model.balance(bytes(20)) == 2


def test_transfer_by_the_authority_cannot_spend_its_own_fee(chain: Chain) -> None:
    chain.model.apply(chain.transfer(ALICE_KEY, BOB, 1))
    chain.refuse(chain.transfer(AUTHORITY_KEY, AUTHORITY, 1), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.transfer(ALICE_KEY, BOB, 1, nonce=1))
    chain.model.apply(chain.transfer(AUTHORITY_KEY, AUTHORITY, 10))
    # 20 - 10 - 10, then + 10 from itself, then + 10 as the fee.
    assert chain.model.accounts[AUTHORITY] == (20, 1)


def test_fee_is_credited_at_once(chain: Chain) -> None:
    chain.model.apply(chain.transfer(ALICE_KEY, BOB, 1, fee=11))
    chain.model.apply(chain.transfer(AUTHORITY_KEY, BOB, 1))
    assert chain.model.accounts[AUTHORITY] == (10, 1)
    assert chain.model.accounts[BOB] == (5_002, 0)


def test_transfer_nonces(chain: Chain) -> None:
    chain.refuse(chain.transfer(ALICE_KEY, BOB, 1, nonce=1), "NONCE_GAP")
    chain.refuse(chain.transfer(ALICE_KEY, BOB, 1, nonce=2**64 - 1), "NONCE_GAP")
    first = chain.transfer(ALICE_KEY, BOB, 1)
    chain.model.apply(first)
    chain.refuse(first, "ALREADY_COMMITTED")
    chain.refuse(chain.transfer(ALICE_KEY, BOB, 2), "BAD_NONCE")


def test_transfer_signed_twice_is_known_by_its_nonce_not_by_its_hash(chain: Chain) -> None:
    first = chain.transfer(ALICE_KEY, BOB, 1)
    digest = signing_digest(chain.domain.separator, TRANSFER_TYPE, first[1:129])
    second = first[:129] + signing.sign_with_nonce(ALICE_KEY, digest, 12345)
    assert first != second
    fork = copy.deepcopy(chain.model)
    chain.model.apply(first)
    fork.apply(second)
    assert chain.model.accounts == fork.accounts
    chain.refuse(second, "BAD_NONCE")


def test_transfer_first_failure_wins(chain: Chain) -> None:
    everything_wrong = chain.transfer(CAROL_KEY, BOB, 0, fee=9, nonce=7)
    chain.refuse(everything_wrong + b"\x00", "MALFORMED")
    chain.refuse(everything_wrong[:-1] + b"\x00", "BAD_SIGNATURE")
    chain.refuse(everything_wrong, "FEE_TOO_LOW")
    chain.refuse(chain.transfer(CAROL_KEY, BOB, 0, nonce=7), "ZERO_AMOUNT")
    chain.refuse(chain.transfer(CAROL_KEY, BOB, 1, nonce=7), "NONCE_GAP")
    chain.refuse(chain.transfer(CAROL_KEY, BOB, 1), "INSUFFICIENT_BALANCE")


def test_transfer_signed_for_another_chain_is_somebody_elses(chain: Chain) -> None:
    other = Chain(extra="0x" + "22" * 32)
    chain.refuse(other.transfer(ALICE_KEY, BOB, 1), "INSUFFICIENT_BALANCE")


# CreatePool


def test_create_pool_locks_deposit_and_collateral(chain: Chain) -> None:
    raw = chain.create()
    pool_id = keccak(raw)
    assert chain.model.apply(raw) == receipt_of(raw, 1, 10, pool_id)
    assert chain.model.accounts[ALICE] == (997_490, 1)
    assert chain.model.accounts[AUTHORITY] == (10, 0)
    assert chain.model.pools == {
        pool_id: {
            "creator": ALICE,
            "resourceId": RESOURCE,
            "deposit": 1000,
            "collateral": 1500,
            "spent": 0,
            "createdAt": 1,
            "expiresAt": 11,
            "status": "open",
        }
    }
    chain.check_equations()


def test_collateral_must_exceed_the_deposit(chain: Chain) -> None:
    chain.refuse(chain.create(1000, 999), "COLLATERAL_TOO_LOW")
    chain.refuse(chain.create(1000, 1000), "COLLATERAL_TOO_LOW")
    chain.model.apply(chain.create(1000, 1001))
    assert chain.model.accounts[ALICE] == (997_989, 1)


def test_duration_limits(chain: Chain) -> None:
    chain.refuse(chain.create(duration=1), "BAD_DURATION")
    chain.refuse(chain.create(duration=51), "BAD_DURATION")
    chain.refuse(chain.create(duration=2**64 - 1), "BAD_DURATION")
    shortest = chain.pool(duration=2)
    longest = chain.pool(duration=50)
    assert chain.model.pools[shortest]["expiresAt"] == 3
    assert chain.model.pools[longest]["expiresAt"] == 51


def test_expires_at_is_a_uint64() -> None:
    chain = Chain(maxDuration="0xffffffffffffffff")
    chain.refuse(chain.create(duration=2**64 - 1), "BAD_DURATION")
    assert chain.model.pools[chain.pool(duration=2**64 - 2)]["expiresAt"] == 2**64 - 1


def test_create_pool_of_the_whole_balance(chain: Chain) -> None:
    chain.refuse(chain.create(2000, 2991, key=BOB_KEY), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.create(2000, 2990, key=BOB_KEY))
    assert chain.model.accounts[BOB] == (0, 1)
    chain.check_equations()


def test_create_pool_sums_do_not_wrap(chain: Chain) -> None:
    largest = 2**128 - 1
    chain.refuse(chain.create(largest - 1, largest, fee=largest), "INSUFFICIENT_BALANCE")
    chain.refuse(chain.create(1, 2, fee=largest), "INSUFFICIENT_BALANCE")


def test_create_pool_by_the_authority(chain: Chain) -> None:
    chain.model.apply(chain.transfer(ALICE_KEY, AUTHORITY, 5000))
    chain.model.apply(chain.create(key=AUTHORITY_KEY))
    # 5000 + 10, then - 1000 - 1500 - 10, then + 10.
    assert chain.model.accounts[AUTHORITY] == (2510, 1)


def test_create_pool_first_failure_wins(chain: Chain) -> None:
    chain.refuse(chain.create(0, 0, 1, 9, 7, CAROL_KEY), "FEE_TOO_LOW")
    chain.refuse(chain.create(0, 0, 1, 10, 7, CAROL_KEY), "ZERO_AMOUNT")
    chain.refuse(chain.create(1, 1, 1, 10, 7, CAROL_KEY), "COLLATERAL_TOO_LOW")
    chain.refuse(chain.create(1, 2, 1, 10, 7, CAROL_KEY), "BAD_DURATION")
    chain.refuse(chain.create(1, 2, 2, 10, 7, CAROL_KEY), "NONCE_GAP")
    chain.refuse(chain.create(1, 2, 2, 10, 0, CAROL_KEY), "INSUFFICIENT_BALANCE")
    created = chain.create()
    chain.model.apply(created)
    chain.refuse(created, "ALREADY_COMMITTED")
    chain.refuse(chain.create(deposit=999), "BAD_NONCE")


def test_pools_and_transfers_share_one_nonce(chain: Chain) -> None:
    chain.pool()
    chain.refuse(chain.transfer(ALICE_KEY, BOB, 1), "BAD_NONCE")
    chain.model.apply(chain.transfer(ALICE_KEY, BOB, 1, nonce=1))


# ServicePayment within the deposit


def test_settlement_pays_what_grew(chain: Chain) -> None:
    pool_id = chain.pool()
    first = chain.payment(CAROL_KEY, pool_id, 400)
    assert chain.model.apply(first) == receipt_of(first, 2, 10, pool_id, paid=400)
    assert chain.model.accounts[CAROL] == (390, 0)
    assert chain.model.accounts[AUTHORITY] == (20, 0)
    assert chain.model.targets == {(pool_id, CAROL): (1, 400)}
    second = chain.payment(CAROL_KEY, pool_id, 700, seq=2)
    assert chain.model.apply(second) == receipt_of(second, 2, 10, pool_id, paid=300)
    assert chain.model.accounts[CAROL] == (680, 0)
    assert chain.model.accounts[ALICE] == (997_490, 1)
    assert chain.model.targets == {(pool_id, CAROL): (2, 700)}
    assert chain.model.pools[pool_id]["spent"] == 700
    chain.check_equations()


def test_targets_have_their_own_sequences_and_totals(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 400))
    chain.model.apply(chain.payment(BOB_KEY, pool_id, 300))
    assert chain.model.targets == {(pool_id, CAROL): (1, 400), (pool_id, BOB): (1, 300)}
    assert chain.model.accounts[BOB] == (5_290, 0)
    assert chain.model.pools[pool_id]["spent"] == 700
    chain.check_equations()


def test_due_equal_to_remaining_is_an_honest_settlement(chain: Chain) -> None:
    pool_id = chain.pool()
    raw = chain.payment(CAROL_KEY, pool_id, 1000)
    assert chain.model.apply(raw) == receipt_of(raw, 2, 10, pool_id, paid=1000)
    assert chain.model.accounts[CAROL] == (990, 0)
    assert chain.model.pools[pool_id]["spent"] == 1000
    assert chain.model.pools[pool_id]["status"] == "open"
    assert chain.model.begin_block(11) == [pool_id]
    assert chain.model.accounts[ALICE] == (998_990, 1)
    chain.check_equations()


def test_payee_with_an_empty_account(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 9), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 10))
    assert CAROL not in chain.model.accounts
    assert chain.model.targets == {(pool_id, CAROL): (1, 10)}
    chain.check_equations()


def test_payee_that_adds_to_the_fee_from_its_own_balance(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.refuse(chain.payment(DAVE_KEY, pool_id, 1, fee=102), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.payment(DAVE_KEY, pool_id, 1, fee=101))
    assert DAVE not in chain.model.accounts
    assert chain.model.accounts[AUTHORITY] == (111, 0)
    chain.check_equations()


def test_authority_as_target(chain: Chain) -> None:
    pool_id = chain.pool()
    # It has 10 from the creation; its own fee is no cover: 10 + 5 < 16.
    chain.refuse(chain.payment(AUTHORITY_KEY, pool_id, 5, fee=16), "INSUFFICIENT_BALANCE")
    chain.model.apply(chain.payment(AUTHORITY_KEY, pool_id, 5, fee=15))
    assert chain.model.accounts[AUTHORITY] == (15, 0)
    chain.model.apply(chain.payment(AUTHORITY_KEY, pool_id, 405, seq=2))
    assert chain.model.accounts[AUTHORITY] == (415, 0)
    chain.check_equations()


def test_settlement_changes_no_nonce(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.model.apply(chain.transfer(DAVE_KEY, BOB, 1))
    chain.model.apply(chain.payment(DAVE_KEY, pool_id, 100))
    # 100 - 1 - 10 + 100 - 10
    assert chain.model.accounts[DAVE] == (179, 1)


def test_sequence_must_be_the_next(chain: Chain) -> None:
    pool_id = chain.pool()
    for wrong in (0, 2, 2**64 - 1):
        chain.refuse(chain.payment(CAROL_KEY, pool_id, 100, seq=wrong), "BAD_SEQUENCE")
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 100))
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 200, seq=1), "BAD_SEQUENCE")
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 200, seq=3), "BAD_SEQUENCE")


def test_amount_must_grow(chain: Chain) -> None:
    pool_id = chain.pool()
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 0), "AMOUNT_NOT_INCREASED")
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 100))
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 99, seq=2), "AMOUNT_NOT_INCREASED")
    chain.refuse(chain.payment(CAROL_KEY, pool_id, 100, seq=2), "AMOUNT_NOT_INCREASED")
    chain.model.apply(chain.payment(CAROL_KEY, pool_id, 101, seq=2, fee=91))
    assert CAROL not in chain.model.accounts


def test_settlement_published_twice(chain: Chain) -> None:
    pool_id = chain.pool()
    raw = chain.payment(CAROL_KEY, pool_id, 100)
    chain.model.apply(raw)
    chain.refuse(raw, "ALREADY_COMMITTED")
    words, by_creator = raw[1:129], raw[129:194]
    other_fee = signing.settle(CAROL_KEY, chain.domain, words, by_creator, 11)
    chain.refuse(other_fee, "BAD_SEQUENCE")
    digest = signing_digest(chain.domain.separator, PAYMENT_TYPE, words)
    again = signing.sign_with_nonce(ALICE_KEY, digest, 777)
    chain.refuse(raw[:129] + again + raw[194:], "BAD_SEQUENCE")


def test_settlement_first_failure_wins(chain: Chain) -> None:
    pool_id = chain.pool()
    domain = chain.domain

    def raw(payer: bytes, publisher: bytes, target: bytes, amount: int, seq: int) -> bytes:
        words = signing.payment_words(target, amount, pool_id, seq)
        by_creator = signing.sign_payment(payer, domain, words)
        return signing.settle(publisher, domain, words, by_creator, 5000)

    chain.refuse(chain.payment(CAROL_KEY, b"\x33" * 32, 0, 9, fee=9), "FEE_TOO_LOW")
    chain.refuse(chain.payment(CAROL_KEY, b"\x33" * 32, 0, 9), "POOL_UNKNOWN")
    chain.refuse(raw(BOB_KEY, BOB_KEY, ALICE, 0, 9), "SELF_PAYMENT")
    chain.refuse(raw(BOB_KEY, BOB_KEY, CAROL, 0, 9), "NOT_CREATOR")
    chain.refuse(raw(ALICE_KEY, BOB_KEY, CAROL, 0, 9), "NOT_TARGET")
    chain.refuse(raw(ALICE_KEY, CAROL_KEY, CAROL, 0, 9), "BAD_SEQUENCE")
    chain.refuse(raw(ALICE_KEY, CAROL_KEY, CAROL, 0, 1), "AMOUNT_NOT_INCREASED")
    chain.refuse(raw(ALICE_KEY, CAROL_KEY, CAROL, 1, 1), "INSUFFICIENT_BALANCE")
    chain.refuse(raw(ALICE_KEY, ALICE_KEY, ALICE, 1, 1), "SELF_PAYMENT")
    chain.model.begin_block(11)
    chain.refuse(raw(BOB_KEY, BOB_KEY, ALICE, 0, 9), "POOL_EXPIRED")


def test_a_payment_is_for_one_pool_and_one_chain(chain: Chain) -> None:
    first, second = chain.pool(), chain.pool()
    raw = chain.payment(CAROL_KEY, first, 100)
    moved = signing.payment_words(CAROL, 100, second, 1)
    chain.refuse(
        signing.settle(CAROL_KEY, chain.domain, moved, raw[129:194], 10),
        "NOT_CREATOR",
    )
    other = signing.Domain(chain.domain.chain_id, bytes(32))
    foreign = signing.service_payment(ALICE_KEY, CAROL_KEY, other, 100, first, 1, 10)
    chain.refuse(foreign, "NOT_CREATOR")


def test_fee_of_a_settlement_cannot_be_changed_by_others(chain: Chain) -> None:
    pool_id = chain.pool()
    raw = chain.payment(CAROL_KEY, pool_id, 100)
    chain.refuse(raw[:225] + b"\x0b" + raw[226:], "NOT_TARGET")

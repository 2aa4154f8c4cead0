"""Every rule of a cacher's book, from the first payment to the pool's end, and when it settles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import PoolStatus, Target
from peers.book import Book, Caps, Declined, SettlePolicy
from peers.payment import Payment

from .books import CAPS, CREATOR, POLICY, POOL, SELLER, STRANGER, book, moment, pay, taken


def decline(reason: str, found: Book, payment: Payment, signer: bytes = CREATOR.address, caps: Caps = CAPS) -> Declined:
    with pytest.raises(Declined) as caught:
        found.accept(payment, signer, caps)
    assert caught.value.reason == reason
    return caught.value


# Accepting


def test_a_first_payment_is_taken() -> None:
    after = book().accept(pay(20), CREATOR.address, CAPS)
    assert (after.promised, after.unsettled, after.next_seq, after.delivered) == (20, 20, 1, 0)
    assert after.best == pay(20)


def test_the_newest_payment_replaces_all_older_ones() -> None:
    after = taken(taken(book(), 20), 50)
    assert after.best == pay(50)
    assert (after.promised, after.unsettled, after.delivered) == (50, 50, 50)


def test_the_same_payment_again_changes_nothing() -> None:
    after = taken(book(), 20)
    assert after.accept(pay(20), CREATOR.address, CAPS) is after
    settling = after.begin_settlement(5)
    assert settling.accept(pay(20), CREATOR.address, CAPS) is settling


def test_a_total_never_goes_down() -> None:
    decline("PAYMENT_REQUIRED", taken(book(), 50), pay(49))
    decline("PAYMENT_REQUIRED", book(Target(1, 50)), pay(49, 2))


def test_the_first_payment_may_have_to_be_larger() -> None:
    assert book().least_amount(10, 20) == 20
    assert book(Target(1, 50)).least_amount(10, 20) == 70
    assert taken(book(), 20).least_amount(10, 20) == 30
    credit = book().accept(pay(20), CREATOR.address, CAPS).deliver(10)
    assert credit.least_amount(10, 20) == 20


@pytest.mark.parametrize("seq", [0, 2, 3, 2**64 - 1])
def test_only_the_next_sequence_is_accepted(seq: int) -> None:
    declined = decline("WRONG_SEQUENCE", book(), pay(20, seq))
    assert declined.expected == "tgtSeq 1"
    decline("WRONG_SEQUENCE", book(Target(7, 50)), pay(70, 7))
    assert book(Target(7, 50)).accept(pay(70, 8), CREATOR.address, CAPS).unsettled == 20


def test_only_the_creators_payments_to_this_cacher_are_accepted() -> None:
    decline("BAD_PAYMENT", book(), pay(20, key=STRANGER), STRANGER.address)
    decline("BAD_PAYMENT", book(), pay(20, target=STRANGER.address))
    decline("BAD_PAYMENT", book(), pay(20, cptx_hash=bytes(32)))


@pytest.mark.parametrize("status", [PoolStatus.EXPIRED, PoolStatus.SLASHED])
def test_a_closed_pool_pays_nothing(status: PoolStatus) -> None:
    decline("POOL_CLOSED", book(status=status), pay(20))
    decline("POOL_CLOSED", taken(book(), 20)._replace(pool=replace(POOL, status=status)), pay(20))


# Caps


def test_the_cap_is_a_share_of_the_deposit() -> None:
    at_most = book().accept(pay(500), CREATOR.address, CAPS)
    assert at_most.unsettled == 500
    declined = decline("CAP_REACHED", book(), pay(501))
    assert (declined.expected, declined.given) == ("at most 500 unsettled", "501")
    third = Caps(10_000, (1, 3))
    assert third.limit(POOL) == 333
    decline("CAP_REACHED", book(), pay(334), caps=third)


def test_the_cap_is_absolute_too() -> None:
    caps = Caps(300)
    assert book().accept(pay(300), CREATOR.address, caps).unsettled == 300
    decline("CAP_REACHED", book(), pay(301), caps=caps)


def test_the_cap_is_never_below_the_first_payment() -> None:
    caps = Caps(5, least=20)
    assert caps.limit(POOL) == 20
    assert Caps(300, least=20).limit(POOL) == 300
    assert Caps(300, least=20).limit(replace(POOL, deposit=30)) == 20


def test_what_counts_is_what_the_chain_has_not_paid() -> None:
    paid = book(Target(1, 400), spent=400)
    assert paid.accept(pay(900, 2), CREATOR.address, CAPS).unsettled == 500
    decline("CAP_REACHED", paid, pay(901, 2))


def test_a_settlement_in_flight_counts_in_full() -> None:
    settling = taken(book(), 450).begin_settlement(5)
    assert settling.unsettled == 450
    decline("CAP_REACHED", settling, pay(501, 2))
    done = settling.follow(replace(POOL, spent=450), Target(1, 450), 2)
    assert done.accept(pay(950, 2), CREATOR.address, CAPS).unsettled == 500


# What remains


def test_no_more_than_what_remains_is_accepted() -> None:
    small = book(spent=900)
    assert small.accept(pay(100), CREATOR.address, CAPS).unsettled == 100
    declined = decline("DEPOSIT_DRAINED", small, pay(101))
    assert declined.given == "101"


def test_settlements_of_others_shrink_what_remains() -> None:
    start = taken(book(), 100)
    assert start.accept(pay(400), CREATOR.address, CAPS).unsettled == 400
    shrunk = start.follow(replace(POOL, spent=700), Target(0, 0), 2)
    decline("DEPOSIT_DRAINED", shrunk, pay(301))
    assert shrunk.accept(pay(300), CREATOR.address, CAPS).unsettled == 300


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 400)), max_size=12))
def test_an_honest_creator_is_never_declined_for_what_remains(steps: list[tuple[int, int]]) -> None:
    """Whatever others settle: as long as the sum of all promises is within the deposit, mine fits."""
    found, mine, others = book(), 0, 0
    for what, amount in steps:
        if mine + others + amount > POOL.deposit:
            continue
        if what == 1:
            mine += amount
            found = found.accept(pay(mine, found.next_seq), CREATOR.address, Caps(10_000, (1, 1)))
        elif what == 2:
            others += amount
        elif found.best is not None and found.unsettled and found.publishable:
            found = found.begin_settlement(5)
            seq, paid = found.next_seq - 1, found.promised
            found = found.follow(replace(found.pool, spent=paid + others), Target(seq, paid), found.height + 1)
        spent = found.record.paid + others
        found = found.follow(replace(POOL, spent=spent), found.record, found.height + 1)
        assert not found.proves_double_spend


# Settling


def test_from_the_mark_on_only_the_next_sequence_counts() -> None:
    settling = taken(book(), 100).begin_settlement(5)
    assert (settling.settling, settling.settling_fee, settling.next_seq) == (pay(100), 5, 2)
    decline("WRONG_SEQUENCE", settling, pay(110, 1))
    after = settling.accept(pay(110, 2), CREATOR.address, CAPS)
    assert (after.best, after.settling) == (pay(110, 2), pay(100))


def test_one_settlement_at_a_time() -> None:
    settling = taken(book(), 100).begin_settlement(5)
    with pytest.raises(ValueError, match="under way"):
        settling.begin_settlement(5)
    assert settling.accept(pay(110, 2), CREATOR.address, CAPS).publishable is None
    with pytest.raises(ValueError, match="nothing to settle"):
        book().begin_settlement(5)


def test_the_proven_state_ends_a_settlement() -> None:
    settling = taken(book(), 100).begin_settlement(5).accept(pay(130, 2), CREATOR.address, CAPS)
    same = settling.follow(POOL, Target(0, 0), 2)
    assert same.settling == pay(100)
    done = same.follow(replace(POOL, spent=100), Target(1, 100), 3)
    assert (done.settling, done.settling_fee, done.unsettled, done.next_seq) == (None, 0, 30, 2)
    assert done.begin_settlement(5).settling == pay(130, 2)


def test_an_older_state_changes_nothing() -> None:
    done = taken(book(), 100).follow(replace(POOL, spent=100), Target(1, 100), 9)
    assert done.follow(POOL, Target(0, 0), 8) is done


def test_what_was_settled_elsewhere_can_still_be_claimed() -> None:
    """Somebody with the same key settled an older payment: the newest promise needs a new signature."""
    behind = taken(book(), 100).follow(replace(POOL, spent=60), Target(1, 60), 2)
    assert (behind.unsettled, behind.next_seq, behind.publishable) == (40, 2, None)
    again = behind.accept(pay(100, 2), CREATOR.address, CAPS)
    assert again.publishable == pay(100, 2)


@pytest.mark.parametrize("status", [PoolStatus.EXPIRED, PoolStatus.SLASHED])
def test_the_end_of_the_pool_ends_a_settlement(status: PoolStatus) -> None:
    settling = taken(book(), 100).begin_settlement(5)
    ended = settling.follow(replace(POOL, status=status), Target(0, 0), 2)
    assert (ended.settling, ended.publishable, ended.unsettled) == (None, None, 100)


def test_another_fee_is_for_the_same_payment() -> None:
    settling = taken(book(), 100).begin_settlement(5)
    for fee in (9, 3):
        assert (settling.offer(fee).settling, settling.offer(fee).settling_fee) == (settling.settling, fee)


def test_a_fee_is_worth_a_quarter_of_what_the_settlement_itself_brings() -> None:
    """What was promised after it is not paid by it, and the chain takes the fee out of what is."""
    settling = taken(book(), 40).begin_settlement(5)
    later = settling.accept(pay(500, 2), CREATOR.address, CAPS)
    assert (later.unsettled, later.fee_worth(100)) == (500, 10)
    assert book().fee_worth(100) == 0


@pytest.mark.parametrize(("spent", "reward"), [(900, 100), (1000, 100), (900, 1), (1000, 1)])
def test_the_most_that_a_report_of_a_double_spend_offers_still_brings_something(spent: int, reward: int) -> None:
    cheated = taken(book(), 300).follow(replace(POOL, spent=spent), Target(0, 0), 2)
    most = cheated.begin_settlement(5).fee_worth(reward)
    assert most > 0
    assert cheated.gain(most, reward) > 0


# Double spends


def test_a_promise_beyond_what_remains_is_worth_the_rest_and_the_reward() -> None:
    cheated = taken(book(), 300).follow(replace(POOL, spent=900), Target(0, 0), 2)
    assert cheated.proves_double_spend
    assert cheated.gain(5, 100) == 100 + (5 + 100) - 5
    assert POLICY.reason(cheated, CAPS, moment()) == "the creator has promised more than the deposit"
    assert cheated.begin_settlement(5).settling == pay(300)


def test_the_reward_ends_where_the_collateral_does() -> None:
    cheated = taken(book(), 300)._replace(pool=replace(POOL, spent=1000, collateral=1001))
    assert cheated.gain(5, 100) == 0
    assert POLICY.reason(cheated, CAPS, moment()) is None


def test_a_refused_promise_is_kept_as_evidence() -> None:
    drained = taken(book(), 50).follow(replace(POOL, spent=900), Target(0, 0), 2)
    decline("DEPOSIT_DRAINED", drained, pay(150))
    witness = drained.witness(pay(150), CREATOR.address)
    assert (witness.best, witness.evidence, witness.promised) == (pay(50), pay(150), 50)
    assert witness.publishable == pay(150)
    assert POLICY.reason(witness, CAPS, moment()) == "the creator has promised more than the deposit"
    # It buys nothing, also not when it is sent again.
    decline("DEPOSIT_DRAINED", witness, pay(150))


def test_only_a_creators_overspending_is_evidence() -> None:
    drained = book(spent=900)
    assert drained.witness(pay(100), CREATOR.address) is drained
    assert drained.witness(pay(150, 2), CREATOR.address) is drained
    with pytest.raises(Declined):
        drained.witness(pay(150, key=STRANGER), STRANGER.address)


# When to settle


def test_nothing_is_settled_without_a_reason() -> None:
    assert POLICY.reason(taken(book(), 100), CAPS, moment()) is None
    assert POLICY.reason(book(), CAPS, moment(is_closing=True)) is None


@pytest.mark.parametrize(("amount", "reason"), [(490, None), (491, "the cap is near"), (500, "the cap is near")])
def test_it_settles_when_one_more_chunk_would_not_fit_under_the_cap(amount: int, reason: str | None) -> None:
    assert POLICY.reason(taken(book(), amount), CAPS, moment()) == reason


@pytest.mark.parametrize(("spent", "reason"), [(890, None), (891, "the pool runs low"), (900, "the pool runs low")])
def test_it_settles_before_others_take_the_rest(spent: int, reason: str | None) -> None:
    found = taken(book(), 100).follow(replace(POOL, spent=spent), Target(0, 0), 2)
    assert POLICY.reason(found, CAPS, moment()) == reason


@pytest.mark.parametrize(
    ("height", "reason"), [(448, None), (449, "50 blocks are left"), (498, "1 blocks are left"), (499, None)]
)
def test_it_settles_while_there_is_time(height: int, reason: str | None) -> None:
    """expiresAt is 500: the last block that can hold a settlement is 499."""
    assert POLICY.reason(taken(book(), 100), CAPS, moment(height=height)) == reason


@pytest.mark.parametrize(
    ("amount", "seconds", "reason"),
    [(100, 30.0, "the viewer has gone quiet"), (99, 30.0, None), (100, 29.9, None)],
)
def test_it_settles_what_has_gone_quiet_if_it_is_worth_it(amount: int, seconds: float, reason: str | None) -> None:
    assert POLICY.reason(taken(book(), amount), CAPS, moment(quiet_seconds=seconds)) == reason


@pytest.mark.parametrize(("amount", "reason"), [(5, None), (6, "shutting down")])
def test_nothing_below_the_fee_is_ever_settled(amount: int, reason: str | None) -> None:
    assert POLICY.reason(taken(book(), amount), CAPS, moment(is_closing=True)) == reason


def test_nothing_is_settled_twice() -> None:
    settling = taken(book(), 500).begin_settlement(5)
    assert POLICY.reason(settling, CAPS, moment(is_closing=True)) is None


@pytest.mark.parametrize("count", [2, 3, 5])
def test_payees_of_equal_shares_settle_once_each(count: int) -> None:
    """n + 1 transactions: the creation, and one settlement of each of n payees, at the end."""
    share = POOL.deposit // count
    settlements = 0
    books = [book() for _ in range(count)]
    for amount in range(10, share + 1, 10):
        for place, found in enumerate(books):
            books[place] = taken(found, amount)
            settlements += POLICY.reason(books[place], CAPS, moment()) is not None and amount + 10 <= share
    assert settlements == 0
    last = [POLICY.reason(found, CAPS, moment(is_closing=True)) for found in books]
    assert all(last)


def test_the_policy_has_its_own_numbers() -> None:
    eager = SettlePolicy(fee=5, reward=100, worth_factor=2, quiet_seconds=1.0, margin_blocks=480)
    assert eager.reason(taken(book(), 10), CAPS, moment(quiet_seconds=1.0)) == "the viewer has gone quiet"
    assert eager.reason(taken(book(), 10), CAPS, moment(height=19)) == "480 blocks are left"
    assert book().target == SELLER.address

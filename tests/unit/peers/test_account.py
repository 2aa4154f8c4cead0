"""Whatever a peer asks for and however requests overtake each other, the viewer never risks more than its bound."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from peers.account import Account, AsksTooMuch


def account(price: int = 10, first: int = 25, promised: int = 0, *, known: bool = True) -> Account:
    return Account(price, first, promised, 1, is_first=promised == 0, is_credit_known=known)


def test_the_first_payment_leaves_credit_that_pays_for_the_next_chunks() -> None:
    found = account()
    assert [found.order() for _ in range(1)] == [25]
    assert found.credit == 15
    found.arrived()
    assert found.order() == 25  # from the credit
    found.arrived()
    assert found.order() == 30  # 5 were left
    assert found.exposure == found.price


def test_several_are_on_the_way_only_where_the_bound_has_room() -> None:
    found = account()
    found.order()
    assert found.has_room()
    found.order()
    assert not found.has_room()
    assert (found.chunks_max, account(first=10).chunks_max, account(first=1).chunks_max) == (2, 1, 1)
    single = account(first=10)
    single.order()
    assert not single.has_room()


def test_a_chunk_that_was_refused_is_credit_again() -> None:
    found = account()
    found.order()
    found.cancel()
    assert (found.credit, found.exposure, found.on_the_way) == (25, 25, 0)


def test_a_peer_that_asks_for_more_than_the_bound_is_refused() -> None:
    found = account()
    found.order()
    assert found.meet(25) == 25
    with pytest.raises(AsksTooMuch):
        found.meet(26)
    assert found.promised == 25


def test_after_an_interruption_the_peer_says_what_is_missing_within_the_bound() -> None:
    found = account(promised=100, known=False)
    assert found.order() == 100
    assert not found.has_room()
    with pytest.raises(AsksTooMuch):
        account(promised=100, known=False).meet(126)
    assert found.meet(110) == 110


def test_what_was_lost_before_is_not_paid_a_second_time() -> None:
    found = Account(10, 25, 100, 1, is_first=False, is_credit_known=False, lost_before=25)
    found.order()
    with pytest.raises(AsksTooMuch):
        found.meet(101)


def test_a_debt_counts_as_long_as_it_is_not_worked_off() -> None:
    """A peer that gives back a little of what it has had is not paid the whole bound again."""
    found = Account(10, 60, 100, 1, is_first=False, is_credit_known=False, lost_before=60)
    found.order()
    found.arrived()  # for the payment that it had
    assert (found.lost_before, found.debt) == (50, 50)
    found.order()
    assert found.meet(110) == 110
    with pytest.raises(AsksTooMuch):
        found.meet(160)
    found.cancel()
    assert found.debt == 60
    honest = Account(10, 25, 100, 1, is_first=False, is_credit_known=False, lost_before=4)
    honest.order()
    assert honest.meet(106) == 106, "it asks for what its credit of four does not cover"
    assert honest.debt == honest.exposure == 10


def test_who_has_had_too_much_is_not_waited_for() -> None:
    found = Account(10, 10, 100, 1, is_first=False, lost_before=4)
    assert (found.has_room(), found.is_exhausted) == (False, True)
    assert not Account(10, 10, 100, 1, is_first=False, is_credit_known=False, lost_before=10).is_exhausted


@given(
    price=st.integers(1, 30),
    first=st.integers(1, 100),
    steps=st.lists(st.tuples(st.sampled_from(["order", "arrived", "cancel", "meet"]), st.integers(-40, 80))),
)
def test_the_exposure_never_exceeds_the_bound(price: int, first: int, steps: list[tuple[str, int]]) -> None:
    found = account(price, first)
    bought = 0
    for step, more in steps:
        if step == "order" and found.has_room():
            found.order()
        elif step == "arrived" and found.on_the_way:
            found.arrived()
            bought += 1
        elif step == "cancel":
            found.cancel()
        elif step == "meet" and found.promised:
            with contextlib.suppress(AsksTooMuch):
                found.meet(found.promised + more)
        assert 0 <= found.exposure <= max(price, first)
        assert found.promised == bought * price + found.exposure

"""What a cacher asks when it is told nothing but a price, and what changes when it is told more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from peers.chain_link import Parameters
from peers.price_list import CacherSettings, PriceList

from .books import POOL
from .manifests import live, single

PARAMETERS = Parameters(block_interval=3, min_fee=40, reward=1000)


def prices(price: int = 10, **settings: Any) -> PriceList:
    return PriceList(CacherSettings(price, **settings), PARAMETERS)


def test_the_defaults_follow_from_the_chains_parameters() -> None:
    found = prices()
    terms = found.terms
    assert (terms.price_per_chunk, terms.settlement_fee, terms.first_amount) == (10, 40, 80)
    assert (terms.reward, terms.block_interval, terms.margin_blocks) == (1000, 3, 50)
    assert (found.policy.fee, found.policy.reward, found.policy.margin_blocks) == (40, 1000, 50)


@pytest.mark.parametrize(
    ("price", "settings", "first"),
    [
        (10, {}, 80),
        (100, {}, 100),
        (10, {"fee": 60}, 120),
        (10, {"first_amount": 30}, 30),
        (10, {"first_amount": 5}, 10),
        (10, {"first_amount": 0}, 10),
    ],
)
def test_a_first_payment_covers_two_settlements_and_never_less_than_a_chunk(
    price: int, settings: dict[str, Any], first: int
) -> None:
    found = prices(price, **settings)
    assert found.terms.first_amount == found.caps.least == first


def test_what_may_stand_unsettled_is_half_of_a_deposit_or_what_was_said() -> None:
    assert prices().caps.limit(POOL) == 500
    assert prices(unsettled_max=300).caps.limit(POOL) == 300
    assert prices(share_of_deposit=(1, 4)).caps.limit(POOL) == 250
    assert prices(unsettled_max=10).caps.limit(POOL) == 80, "below the first payment nothing could be sold"


def test_each_resource_has_its_own_terms() -> None:
    found, film = prices(), single(b"x" * 95)
    terms = found.of(film)
    assert (terms.resource_id, terms.chunk_count, terms.live_chunk_seconds) == (film.resource_id, 10, None)
    assert terms.whole_price(1) == 100
    assert found.of(film) is terms, "not made anew for every request"
    assert found.of(single(b"y")).chunk_count == 1
    assert found.of(film) is terms


def test_a_live_resource_costs_what_can_be_streamed_until_it_has_ended() -> None:
    found = prices(live_chunk_seconds=2)
    growing = found.of(live(1, b"x" * 8))
    assert growing.live_chunk_seconds == 2
    assert growing.whole_price(5) == 10 * 8  # 5 blocks of 3 seconds, 2 seconds a chunk
    longer = found.of(live(2, b"x" * 12))
    assert longer.chunk_count == 3
    ended = found.of(live(3, b"x" * 12, ended=True))
    assert (ended.live_chunk_seconds, ended.whole_price(5)) == (None, 30)
    assert replace(ended, live_chunk_seconds=2) == longer

"""Amounts and durations are read and written exactly, and everything else is refused in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolchain.units import (
    TOKEN,
    BadUnits,
    amounts_as_tokens,
    format_duration,
    format_seconds,
    format_tokens,
    parse_duration,
    parse_tokens,
)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", TOKEN),
        ("1.5", 3 * TOKEN // 2),
        ("001.50", 3 * TOKEN // 2),
        ("0.000000000000000001", 1),
        ("0.1", TOKEN // 10),
        ("340282366920938463463.374607431768211455", 2**128 - 1),
    ],
)
def test_amount_is_exact(text: str, amount: int) -> None:
    assert parse_tokens(text) == amount


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1.", ".5", "-1", "+1", "1e18", "1,5", "1_000", "0x1", "\u0661", "1.5.1", "NaN", "1\n", "9" * 81],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(BadUnits, match="expected an amount of tokens such as"):
        parse_tokens(text)


def test_nineteen_decimals_are_refused() -> None:
    with pytest.raises(BadUnits, match=r"18 decimals, .* has 19"):
        parse_tokens("0.0000000000000000001")


def test_amount_of_2_to_128_is_refused() -> None:
    with pytest.raises(BadUnits, match="more than can exist"):
        parse_tokens("340282366920938463463.374607431768211456")


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1, "0.000000000000000001"), (TOKEN, "1"), (25 * TOKEN // 10, "2.5"), (-TOKEN // 2, "-0.5")],
)
def test_amount_is_shown_without_trailing_zeros(amount: int, text: str) -> None:
    assert format_tokens(amount) == text


@given(st.integers(0, 2**128 - 1))
def test_shown_amounts_are_read_back(amount: int) -> None:
    assert parse_tokens(format_tokens(amount)) == amount


@pytest.mark.parametrize(
    ("text", "interval", "blocks"),
    [
        ("500", 7, 500),
        ("500 blocks", 7, 500),
        ("1 block", 1, 1),
        ("500blocks", 1, 500),
        ("90s", 1, 90),
        ("90s", 60, 2),
        ("1s", 60, 1),
        ("30m", 5, 360),
        ("1h", 1, 3_600),
        ("2d", 2, 86_400),
        ("1h30m", 10, 540),
    ],
)
def test_duration_is_enough_blocks(text: str, interval: int, blocks: int) -> None:
    assert parse_duration(text, interval) == blocks


@pytest.mark.parametrize("text", ["", "h", "1.5h", "-1", "1 h", "1w", "1h 30m", "blocks", "5 seconds", "1" * 81, "1H"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadUnits, match="expected a time such as 90s, 30m, 1h or 2d"):
        parse_duration(text, 1)


@pytest.mark.parametrize("text", ["0", "0s", "18446744073709551616"])
def test_duration_outside_its_range_is_refused(text: str) -> None:
    with pytest.raises(BadUnits, match="at least one block and fewer than"):
        parse_duration(text, 1)


@pytest.mark.parametrize(
    ("blocks", "interval", "text"),
    [(1, 1, "1 block (1s)"), (3_600, 1, "3600 blocks (1h)"), (100, 55, "100 blocks (1h31m)"), (0, 5, "0 blocks (0s)")],
)
def test_duration_is_shown_with_its_time(blocks: int, interval: int, text: str) -> None:
    assert format_duration(blocks, interval) == text


def test_time_is_shown_in_its_two_largest_units() -> None:
    assert format_seconds(2 * 86_400 + 3 * 3_600 + 59) == "2d3h"
    assert format_seconds(59) == "59s"


@pytest.mark.parametrize(
    ("reason", "said", "shown"),
    [
        (
            "FEE_TOO_LOW",
            "at least 1000000000000, given 100000000",
            "at least 0.000001 tokens, given 0.0000000001 tokens",
        ),
        ("COLLATERAL_TOO_LOW", "above 1000000000000000000, given 0", "above 1 token, given 0 tokens"),
        ("BAD_DURATION", "1 to 1000000 blocks, given 1000000000000", "1 to 1000000 blocks, given 1000000000000"),
        ("NONCE_GAP", "nonce 0, given 1000000000000", "nonce 0, given 1000000000000"),
        ("INSUFFICIENT_BALANCE", "0x1234 and a1 and 5 %", "0x1234 and a1 and 5 %"),
    ],
)
def test_amounts_become_tokens_where_a_sentence_is_about_amounts(reason: str, said: str, shown: str) -> None:
    assert amounts_as_tokens(said, reason) == shown

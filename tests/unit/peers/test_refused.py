"""How a peer says no: the table of the page is the table of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from peers.refused import STATUS, Refused

PAGE = (Path(__file__).resolve().parents[3] / "docs/peers.md").read_text("utf-8")


def test_every_reason_has_the_status_of_the_page() -> None:
    sentence = PAGE[PAGE.index("with status 400 (") : PAGE.index("## 4. Chunks and payments")]
    told = {
        reason: int(status)
        for status, reasons in re.findall(r"(\d{3})(?: with `Retry-After`)? \(([^)]*)\)", sentence)
        for reason in re.findall(r"[A-Z]{2,}(?:_[A-Z]+)*", reasons)
    }
    assert told == dict(STATUS)


def test_a_refusal_says_what_was_expected_and_given_and_more() -> None:
    refused = Refused("PAYMENT_REQUIRED", "a total of 20", 10, amount="0x14", lastPayment=None)
    assert refused.status == 402
    assert refused.to_json() == {
        "reason": "PAYMENT_REQUIRED",
        "expected": "a total of 20",
        "given": "10",
        "amount": "0x14",
        "lastPayment": None,
    }


def test_what_a_stranger_gave_is_not_repeated_at_length() -> None:
    assert len(Refused("MALFORMED", "JSON", "x" * 10_000).given) == 120


def test_a_reason_that_is_not_in_the_table_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        Refused("OTHER", "a row of the table")

"""Comparing what the chain says with what the protocol's rules say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from poolchain.chain_client import number
from poolchain.failure import Failure
from poolchain.units import tokens_text

from .rules import Effect


class Figures:
    """Counts the figures that are right and ends the demonstration at the first that is not."""

    def __init__(self) -> None:
        """Begin with none."""
        self.checked = 0

    def expect(self, name: str, expected: object, found: object) -> None:
        """Compare one figure; raises Failure FIGURE_WRONG, naming it."""
        if expected != found:
            raise Failure(
                f"{name} is {found}, but by the protocol's rules it is {expected}.",
                reason="FIGURE_WRONG",
                expected=str(expected),
                given=str(found),
            )
        self.checked += 1

    def expect_tokens(self, name: str, expected: int, found: int) -> None:
        """Compare one amount of base units."""
        self.expect(name, tokens_text(expected), tokens_text(found))

    def expect_effect(self, name: str, expected: Effect, receipt: Mapping[str, Any]) -> None:
        """Compare a receipt with the rules."""
        self.expect(f"the outcome of {name}", expected.outcome, receipt["outcome"])
        for amount in ("fee", "paid", "reward", "burned"):
            found = number(receipt[amount] or "0x0")
            self.expect_tokens(f"'{amount}' of {name}", getattr(expected, amount), found)

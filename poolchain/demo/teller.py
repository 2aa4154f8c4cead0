"""What the demonstration shows: text as it goes, or one JSON object at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from poolchain.console import table
from poolchain.units import format_tokens


class Teller:
    """Keeps every step for --json and hands its text to `show`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        """Take what prints a piece of text."""
        self.steps: list[dict[str, Any]] = []
        self._show = show

    def begin(self, title: str) -> None:
        """Begin a step."""
        self.steps.append({"title": title, "lines": [], "transactions": [], "balances": {}})
        self._show(f"\n{len(self.steps)}. {title}")

    def say(self, text: str) -> None:
        """Add a sentence to the step."""
        self.steps[-1]["lines"].append(text)
        self._show(f"   {text}")

    def transaction(self, receipt: Mapping[str, Any]) -> None:
        """Add a committed transaction to the step."""
        self.steps[-1]["transactions"].append(dict(receipt))

    def balances(self, before: Mapping[str, int], after: Mapping[str, int]) -> None:
        """End the step with everybody's balance before and after it."""
        self.steps[-1]["balances"] = {name: {"before": hex(before[name]), "after": hex(after[name])} for name in after}
        rows = [("before", before), ("after", after)] if before != after else [("unchanged", after)]
        cells = [(when, *map(format_tokens, balances.values())) for when, balances in rows]
        text = table(("", *after), cells)
        self._show("\n".join(f"      {line}" for line in text.splitlines()))

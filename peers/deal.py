"""One peer that a purchase has to do with: what it is doing, how fast it is, and whether it is still to be counted on.

Times are those of `time.monotonic`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from .seller import Offer, Seller

GRACE_SECONDS: Final = 3.0
"""For so long a peer that was begun with, or that delivered, is counted on: others do not do its work meanwhile."""
DEPTH_MAX: Final = 4
_TRIAL_CHUNKS: Final = 8
_KEPT: Final = 0.8
"""One more chunk is asked for at once as long as a peer keeps so much of its speed."""
_SHAKING: Final = "shaking hands"


@dataclass(slots=True)
class Deal:
    """One peer at work."""

    offer: Offer
    seller: Seller | None = None
    state: str = _SHAKING
    paused_until: float = 0.0
    depth: int = 1
    """Chunks that are asked for at once."""
    on_the_way: int = 0
    """Chunks that it was asked for and has not answered for."""
    moved: float = field(default_factory=time.monotonic)
    """When it was begun with, was asked for something while it had nothing to do, or delivered last."""
    _rate: float = 0.0
    _trial_from: tuple[float, int] = field(default_factory=lambda: (time.monotonic(), 0))

    @property
    def is_over(self) -> bool:
        """Whether it was left."""
        return self.state.startswith("left")

    def is_silent(self, now: float) -> bool:
        """Whether it has had its time and nothing came: anybody can announce an address that never answers."""
        is_asked = self.on_the_way > 0 or self.state == _SHAKING
        return is_asked and now - self.moved > GRACE_SECONDS

    def is_at_work(self, now: float) -> bool:
        """Whether something is to be expected of it soon."""
        return not self.is_over and self.paused_until <= now and not self.is_silent(now)

    def ask(self) -> None:
        """Note that it is asked for one more chunk."""
        if not self.on_the_way:
            self.moved = time.monotonic()
        self.on_the_way += 1

    def measure(self, bought: int) -> None:
        """Have more chunks on the way unless that has proved slower; the account keeps the loss within its bound."""
        since, count = self._trial_from
        new = bought - count
        if new < _TRIAL_CHUNKS * self.depth:
            return
        rate = new / max(time.monotonic() - since, 1e-9)
        self.depth = min(self.depth + 1, DEPTH_MAX) if rate > _KEPT * self._rate else max(self.depth - 1, 1)
        self._rate = rate
        self._trial_from = (time.monotonic(), bought)

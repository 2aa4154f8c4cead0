"""One peer that a purchase has to do with: what it is doing, how fast it is, and whether it is still to be counted on.

Times are those of `time.monotonic`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

from .seller import Offer, Seller

GRACE_SECONDS: Final = 5.0
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
    on_the_way: set[int] = field(default_factory=set)
    """Chunks that it was asked for and has not answered for."""
    moved: float = field(default_factory=time.monotonic)
    """When it was begun with, was asked for something while it had nothing to do, or something came of it last."""
    _rate: float = 0.0
    _trial_from: tuple[float, int] = field(default_factory=lambda: (time.monotonic(), 0))

    @property
    def is_over(self) -> bool:
        """Whether it was left."""
        return self.state.startswith("left")

    def is_silent(self, now: float) -> bool:
        """Whether it has had its time and nothing came: anybody can announce an address that never answers."""
        is_asked = bool(self.on_the_way) or self.state == _SHAKING
        return is_asked and now - self.moved > GRACE_SECONDS

    def holds_place(self, now: float) -> bool:
        """Whether no other peer is begun with instead: it works, or it has had something and not given it yet."""
        if self.is_over or self.seller is None:
            return not self.is_over and not self.is_silent(now)
        if self.seller.account.exposure:
            return True
        return not (self.is_silent(now) or self.paused_until > now)

    def at_risk(self, now: float) -> int:
        """Return what a peer that has never delivered and is silent has had, in base units."""
        if self.seller is None or self.is_over or self.seller.account.bought or not self.is_silent(now):
            return 0
        return self.seller.account.exposure

    def is_at_work(self, now: float) -> bool:
        """Whether something is to be expected of it soon."""
        return not self.is_over and self.paused_until <= now and not self.is_silent(now)

    def move(self) -> None:
        """Note that something came of it: a part of an answer is enough, on a slow line a chunk takes its time."""
        self.moved = time.monotonic()

    def ask(self, index: int) -> None:
        """Note that it is asked for one more chunk."""
        if not self.on_the_way:
            self.move()
        self.on_the_way.add(index)

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

"""How a viewer buys, and what it tells while it does."""

from __future__ import annotations

from dataclasses import dataclass


class FetchFailed(Exception):
    """Nobody can deliver what is missing; the argument says who was asked."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a viewer buys; times in seconds, amounts in base units."""

    peers_max: int = 8
    window: int = 64
    """How many chunks ahead of the first missing one may be begun."""
    lost_share: tuple[int, int] = (1, 100)
    """Share of the deposit; once so much was lost, peers that never delivered are not paid any more."""
    reply_seconds: float = 20.0
    first_amount_max: int | None = None
    """The largest firstAmount to accept; None for forty minimum fees."""
    patience_seconds: float = 30.0
    """Without a chunk and without anybody to ask for so long, the purchase fails."""
    tracker_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class PeerShare:
    """What one peer has delivered in this run, and for how much."""

    url: str
    target: str
    chunks: int
    spent: int
    state: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a purchase stands."""

    chunks_here: int
    chunk_count: int
    bytes_fetched: int
    seconds: float
    from_origin: int
    """Chunks that came from the origin, for nothing."""
    peers: tuple[PeerShare, ...]

    @property
    def spent(self) -> int:
        """What was promised in this run, in base units."""
        return sum(peer.spent for peer in self.peers)

    @property
    def bytes_per_second(self) -> float:
        """The speed since the start."""
        return self.bytes_fetched / self.seconds if self.seconds else 0.0

"""What one caller may ask for at once (docs/rpc.md, Limits)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one node; the first five are published by `chain_status`.

    A body that has more than `values_max` commas and brackets is refused before it is parsed:
    five mebibytes of `[1,1,1,…` would otherwise keep the node busy for half a second.
    """

    body_bytes_max: int = 5 * MIB
    batch_max: int = 1_000
    raws_max: int = 1_000
    page_size_max: int = 1_000
    mempool_transactions: int = 50_000
    answer_bytes_max: int = 25 * MIB
    values_max: int = 100_000
    websocket_sessions_max: int = 200
    websocket_calls_max: int = 32
    websocket_queue_max: int = 10_000
    websocket_queue_bytes_max: int = 32 * MIB
    websocket_subscriptions_max: int = 1_000

"""The clock that timestamps come from: the system's, on a devnet with an offset."""

from __future__ import annotations

import time


class Clock:
    """Unix seconds, moved ahead by an offset that only grows."""

    def __init__(self, offset_seconds: int = 0) -> None:
        """Begin with the offset that was kept from an earlier run."""
        self.offset_seconds = offset_seconds

    def now(self) -> int:
        """Return Unix seconds, offset included."""
        return int(time.time()) + self.offset_seconds

    def advance(self, seconds: int) -> int:
        """Move ahead; return the new offset in seconds."""
        self.offset_seconds += seconds
        return self.offset_seconds

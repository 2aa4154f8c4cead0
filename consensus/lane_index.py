"""Which lanes must be judged again when a record changes, or when the chain reaches a height."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

from ledger.transaction import Lane

K = TypeVar("K", bound=Hashable)


class LaneIndex:
    """The lanes that are in use, by the state keys they watch and by the height at which a pool of theirs is over."""

    __slots__ = ("_by_expiry", "_expiries", "_watchers")

    def __init__(self) -> None:
        """Begin empty."""
        self._watchers: dict[bytes, set[bytes]] = {}
        self._by_expiry: dict[int, set[bytes]] = {}
        self._expiries: dict[bytes, int] = {}

    def __len__(self) -> int:
        """The entries held: what the lanes in use need, and nothing more."""
        return sum(map(len, self._watchers.values())) + sum(map(len, self._by_expiry.values())) + len(self._expiries)

    def add(self, lane: Lane) -> None:
        """Take a lane in use."""
        for key in lane.watches:
            self._watchers.setdefault(key, set()).add(lane.key)

    def discard(self, lane: Lane) -> None:
        """Forget a lane."""
        for key in lane.watches:
            _discard(self._watchers, key, lane.key)
        self.expect(lane, None)

    def expect(self, lane: Lane, expiry: int | None) -> None:
        """Set the height from which on a pool of a lane is over; None where it draws on none."""
        former = self._expiries.get(lane.key)
        if former == expiry:
            return
        if former is not None:
            _discard(self._by_expiry, former, lane.key)
            del self._expiries[lane.key]
        if expiry is not None:
            self._by_expiry.setdefault(expiry, set()).add(lane.key)
            self._expiries[lane.key] = expiry

    def is_over(self, lane: Lane, height: int) -> bool:
        """Tell whether a pool of the lane is over at a height."""
        expiry = self._expiries.get(lane.key)
        return expiry is not None and expiry <= height

    def watching(self, key: bytes) -> list[bytes]:
        """Return the keys of the lanes that watch a state key, in order."""
        return sorted(self._watchers.get(key, ()))

    def concerned(self, changed: Iterable[bytes], height: int) -> list[bytes]:
        """Return the keys, in order, of the lanes that watch a changed record or whose pool is over at `height`."""
        found: set[bytes] = set()
        for key in changed:
            found.update(self._watchers.get(key, ()))
        for expiry, lane_keys in self._by_expiry.items():
            if expiry <= height:
                found |= lane_keys
        return sorted(found)


def _discard(index: dict[K, set[bytes]], key: K, lane_key: bytes) -> None:
    """Take a lane from under a key, and the key with its last lane."""
    lane_keys = index[key]
    lane_keys.discard(lane_key)
    if not lane_keys:
        del index[key]

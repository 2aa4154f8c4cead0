"""Which lanes must be judged again when a record changes, or when the chain reaches a height."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable
from typing import TypeVar

from ledger.transaction import Lane

K = TypeVar("K", bound=Hashable)


class LaneIndex:
    """The lanes that are in use, by the state keys they watch and by the height at which a pool of theirs is over.

    A lane's own key is not kept here: where that is a state key, whoever has the lanes finds it there.
    """

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
            if key == lane.key:
                continue
            if key in self._watchers:
                self._watchers[key].add(lane.key)
            else:
                self._watchers[key] = {lane.key}

    def discard(self, lane: Lane) -> None:
        """Forget a lane."""
        for key in lane.watches:
            if key != lane.key:
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
        """Return the keys of the other lanes that watch a state key, in order."""
        return sorted(self._watchers.get(key, ()))

    def concerned(self, lane_keys: Container[bytes], changed: Iterable[bytes], height: int) -> list[bytes]:
        """Return the keys, in order, of the lanes that watch a changed record or whose pool is over at `height`.

        `lane_keys` are those of all lanes in use.
        """
        found: set[bytes] = set()
        watchers = self._watchers
        for key in changed:
            if key in lane_keys:
                found.add(key)
            if key in watchers:
                found.update(watchers[key])
        for expiry, ending in self._by_expiry.items():
            if expiry <= height:
                found |= ending
        return sorted(found)


def _discard(index: dict[K, set[bytes]], key: K, lane_key: bytes) -> None:
    """Take a lane from under a key, and the key with its last lane."""
    lane_keys = index[key]
    lane_keys.discard(lane_key)
    if not lane_keys:
        del index[key]

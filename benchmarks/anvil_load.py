"""Drives anvil with the load generator that drives the node, until everything is mined.

anvil stalls when too much waits to be mined, so what is sent comes in waves, each mined before the next.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final, NamedTuple

from .anvil_calls import pending, submit
from .caller import STALLED_SECONDS, Caller
from .checks import Wrong
from .load import Load, drive

_POLL_SECONDS: Final = 0.002


class Way(NamedTuple):
    """How transactions are sent."""

    connections: int
    in_request: int
    """Transactions in one request: 1 means single calls, more a batch."""
    wave: int
    """Transactions that are sent before waiting until all are mined."""
    by_hand: bool = False
    """Whether this process asks for the blocks."""


class Waves(NamedTuple):
    """What one process sends, prepared: for each wave, for each connection, its requests."""

    port: int
    waves: Sequence[Sequence[Sequence[bytes]]]
    by_hand: bool


def measure(port: int, raws: Sequence[bytes], way: Way) -> float:
    """Return the seconds from the first byte until the last transaction is mined, driven by a process of its own."""
    waves = Waves(port, [_lanes(raws[at : at + way.wave], way) for at in range(0, len(raws), way.wave)], way.by_hand)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(drive_waves, waves).result()


def drive_waves(work: Waves) -> float:
    """Send wave after wave; return the seconds, without those for connecting. Raises Wrong for a refusal."""
    seconds = 0.0
    with Caller(work.port) as caller:
        for lanes in work.waves:
            driven = drive(Load(work.port, lanes, until_committed=False))
            if driven.failed:
                raise Wrong(f"{driven.failed} answers with errors, such as {driven.errors[0]}")
            seconds += _until_mined(caller, by_hand=work.by_hand) - driven.started
    return seconds


def _until_mined(caller: Caller, *, by_hand: bool) -> float:
    """Return the moment when nothing is pending any more; raises TimeoutError after a minute."""
    deadline = time.monotonic() + STALLED_SECONDS
    while time.monotonic() < deadline:
        if by_hand:
            caller.call("evm_mine")
        if not pending(caller):
            return time.monotonic()
        if not by_hand:
            time.sleep(_POLL_SECONDS)
    raise TimeoutError("transactions are still pending after a minute")


def _lanes(raws: Sequence[bytes], way: Way) -> list[list[bytes]]:
    groups = [raws[at : at + way.in_request] for at in range(0, len(raws), way.in_request)]
    return [[submit(group) for group in groups[lane :: way.connections]] for lane in range(way.connections)]

"""How many settlements a second a node takes over HTTP, from the first byte sent until the last is committed.

Everything is on: synced commits, full state root, receipts, indexes. The load generator is a process of its own on the
same cores. Afterwards the node is stopped, and every record is looked at where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from . import yardstick
from .disk import Disk, look_at
from .figures import Goal, Sample, Scale
from .market import Market, check_market, make_market
from .runs import MANY, ONE_BY_ONE, ONE_BY_ONE_COMMITTED, Run, Way, deal, drive_new_node

BY_MANY: Final = "settlements by tx_submitMany"
BY_ONE: Final = "settlements by tx_submit, 32 connections"
ANVIL_BEST: Final = "anvil settlements, best mode"
ANVIL_BEST_SINGLES: Final = f"{ANVIL_BEST}, single requests"
ANVIL_DEFAULTS: Final = "anvil settlements, defaults, single requests"
_UNDER_LOAD: Final = "under the settlement load"
GOALS: Final = (
    Goal(BY_MANY, 0.45, yardstick.LIMIT),
    Goal(BY_MANY, 1.5, ANVIL_BEST),
    Goal(BY_ONE, 3.0, ANVIL_DEFAULTS),
    Goal(BY_ONE, 1.0, ANVIL_BEST_SINGLES),
    Goal("node memory, idle", 100.0, at_most=True),
    Goal(f"node memory, {_UNDER_LOAD}", 400.0, at_most=True),
)


def part(scale: Scale) -> Iterator[Sample]:
    """Measure settlements of few pools with many payees in calls of 1,000, with what memory and disk they take."""
    market = Market(20 * _full(scale), 100)
    run, disk = _measure(scale.folder, market, MANY)
    yield from run.samples(BY_MANY)
    yield from run.memory_samples(_UNDER_LOAD)
    yield from disk.samples("of a settlement", market.total)


def part_kinds(scale: Scale) -> Iterator[Sample]:
    """Measure the same for other kinds of markets."""
    yield from _rates(scale, f"{BY_MANY}, a pool for each", Market(500 * _full(scale), 1), MANY)
    yield from _rates(scale, f"{BY_MANY}, ten of each target", Market(4 * _full(scale), 12, 10), MANY)


def part_singles(scale: Scale) -> Iterator[Sample]:
    """Measure single requests, which wait for the pool or for the commit."""
    yield from _rates(scale, BY_ONE, Market(32, 6 * _full(scale), 3), ONE_BY_ONE)
    yield from _rates(scale, f"{BY_ONE}, wait committed", Market(32, 6 * _full(scale), 2), ONE_BY_ONE_COMMITTED)


def _full(scale: Scale) -> int:
    return 1 if scale.quick else 10


def _rates(scale: Scale, name: str, market: Market, way: Way) -> Iterator[Sample]:
    folder = scale.folder / name.replace(" ", "-")
    folder.mkdir()
    run, _ = _measure(folder, market, way)
    yield from run.samples(name)


def _measure(folder: Path, market: Market, way: Way) -> tuple[Run, Disk]:
    """Settle all of a market through a new node; raises Wrong unless everything has happened."""
    opened = make_market(folder, market)
    before = look_at(folder)
    run = drive_new_node(folder, deal(way.lanes, opened.sign()), way)
    check_market(folder, opened)
    return run, look_at(folder).less(before)

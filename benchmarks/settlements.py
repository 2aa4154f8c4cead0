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
ANVIL_DEFAULTS: Final = "anvil settlements, defaults, single requests"
_UNDER_LOAD: Final = "under the settlement load"
GOALS: Final = (
    Goal(BY_MANY, 0.45, yardstick.LIMIT),
    Goal(BY_MANY, 1.5, ANVIL_BEST),
    Goal(BY_ONE, 3.0, ANVIL_DEFAULTS),
    Goal(BY_ONE, 1.0, ANVIL_BEST),
    Goal("node memory, idle", 100.0, at_most=True),
    Goal(f"node memory, {_UNDER_LOAD}", 400.0, at_most=True),
)


def part(scale: Scale) -> Iterator[Sample]:
    """Measure settlements in calls of 1,000, of three kinds, and one by one, waiting for the pool or the commit."""
    full = 1 if scale.quick else 10
    market = Market(20 * full, 100)
    run, disk = _measure(scale.folder / "many", market, MANY)
    yield from run.samples(BY_MANY)
    yield from run.memory_samples(_UNDER_LOAD)
    yield from disk.samples("of a settlement", market.total)
    for name, market, way in (
        (f"{BY_MANY}, a pool for each", Market(500 * full, 1), MANY),
        (f"{BY_MANY}, ten of each target", Market(4 * full, 12, 10), MANY),
        (BY_ONE, Market(32, 6 * full, 3), ONE_BY_ONE),
        (f"{BY_ONE}, wait committed", Market(32, 6 * full, 2), ONE_BY_ONE_COMMITTED),
    ):
        run, _ = _measure(scale.folder / name.replace(" ", "-"), market, way)
        yield from run.samples(name)


def _measure(folder: Path, market: Market, way: Way) -> tuple[Run, Disk]:
    """Settle all of a market through a new node; raises Wrong unless everything has happened."""
    folder.mkdir()
    opened = make_market(folder, market)
    before = look_at(folder)
    run = drive_new_node(folder, deal(way.lanes, opened.sign()), way)
    check_market(folder, opened)
    return run, look_at(folder).less(before)

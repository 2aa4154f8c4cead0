"""How fast existing blocks are imported: `poolchain import` without the start of its interpreter.

Every block is executed again with all checks: signatures, rules, roots, the seal; and committed as one made here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from poolchain.commands.chain_data import export_command, import_command

from . import yardstick
from .bench_chain import DATA, commit, open_made
from .checks import expect
from .figures import Goal, Sample, Scale
from .market import Market, OpenMarket, check_market, make_market
from .runs import CPU

IMPORTED: Final = "settlements imported in blocks of 1,000"
GOALS: Final = (Goal(IMPORTED, 0.5, yardstick.LIMIT),)
_IN_BLOCK: Final = 1_000


def part(scale: Scale) -> Iterator[Sample]:
    """Make a chain, export it, import it elsewhere, and compare."""
    market = Market(20 if scale.quick else 500, 100)
    made, copy = scale.folder / "made", scale.folder / "copy"
    made.mkdir()
    opened = make_market(made, market)
    _settle(made, opened)
    file = scale.folder / "chain.jsonl"
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        seconds, cpu_seconds = pool.submit(_export_and_import, made / DATA, file, copy / DATA).result()
    expect("the head", _head(made), _head(copy))
    check_market(copy, opened)
    yield Sample(IMPORTED, "per second", market.total / seconds)
    yield Sample(f"{IMPORTED}: each", CPU, cpu_seconds / market.total * 1e6)


def _settle(folder: Path, opened: OpenMarket) -> None:
    with open_made(folder) as chain:
        commit(chain, opened.transactions(), _IN_BLOCK)


def _head(folder: Path) -> bytes:
    with open_made(folder) as chain:
        return chain.chain.tip.hash


def _export_and_import(made: Path, file: Path, copy: Path) -> tuple[float, float]:
    """Return the seconds that the import took, and its processor time, with that of processes it started."""
    with redirect_stdout(StringIO()):
        export_command.main([str(file), "--data-dir", str(made)], standalone_mode=False)
        started, begun = time.monotonic(), os.times()
        import_command.main([str(file), "--data-dir", str(copy)], standalone_mode=False)
        seconds, ended = time.monotonic() - started, os.times()
    return seconds, sum(ended[:4]) - sum(begun[:4])

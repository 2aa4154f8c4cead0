"""What happens when very many pools are due at one height: every block closes as many as it may, and none is lost."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from crypto.hashing import keccak256
from ledger.records import Account, Pool, PoolStatus, pool_key

from .bench_chain import FUNDS, commit, make_chain, open_made, signed_by
from .caller import Caller
from .checks import expect, expect_account, need
from .figures import Goal, Sample, Scale
from .runs import node_at_rest, port_of
from .signed import FEE, PlannedPool, key, sign_pools

BLOCKS: Final = "blocks until all due pools are closed, of those that their number allows"
MOST: Final = "pools closed by one block at most, of what a block may"
SECONDS: Final = "a block that closes 1,000 pools"
GOALS: Final = (Goal(BLOCKS, 1.0, at_most=True), Goal(MOST, 1.0, at_most=True))
_CREATORS: Final = 1_000
_IN_BLOCK: Final = 5_000
_SPARE: Final = 10
"""Blocks between the last creation and the height at which all are due."""
_DEPOSIT: Final = 10**15


class Due(NamedTuple):
    """A chain whose pools are all due at one height."""

    pools: Sequence[bytes]
    at: int
    per_block: int
    """How many a block may close."""


def part(scale: Scale) -> Iterator[Sample]:
    """Make the pools without HTTP, then have a node make the blocks one by one."""
    due = _make(scale.folder, 3_000 if scale.quick else 100_000)
    fewest = -(-len(due.pools) // due.per_block)
    seconds = _mine(scale.folder, due, fewest)
    by_block = _check(scale.folder, due)
    yield Sample(BLOCKS, "times", len(by_block) / fewest)
    yield Sample(MOST, "times", max(by_block) / due.per_block)
    yield Sample(SECONDS, "ms", statistics.median(seconds) * 1000)
    yield Sample(f"{SECONDS}, slowest of {fewest}", "ms", max(seconds) * 1000)


def _make(folder: Path, count: int) -> Due:
    """Make a chain with so many pools, which all end at the same height."""
    make_chain(folder, range(_CREATORS))
    at = -(-count // _IN_BLOCK) + _SPARE
    plans = [
        PlannedPool(number % _CREATORS, number // _CREATORS, _DEPOSIT, at - (number // _IN_BLOCK + 1))
        for number in range(count)
    ]
    with open_made(folder) as opened:
        raws = sign_pools(opened.domain, plans)
        made = [signed_by(raw, key(plan.creator).address) for raw, plan in zip(raws, plans, strict=True)]
        commit(opened, made, _IN_BLOCK)
        return Due([keccak256(raw) for raw in raws], at, opened.genesis.max_expiries_per_block)


def _mine(folder: Path, due: Due, fewest: int) -> list[float]:
    """Make blocks up to the last that should be needed and two more; return what those that close pools took."""
    seconds = []
    with node_at_rest(folder, "--seal", "manual") as node, Caller(port_of(node)) as caller:
        height = int(caller.call("chain_status")["head"]["height"], 16)
        caller.call("dev_mine", hex(due.at - 1 - height))
        for _ in range(fewest):
            started = time.monotonic()
            caller.call("dev_mine", "0x1")
            seconds.append(time.monotonic() - started)
        caller.call("dev_mine", "0x2")
    return seconds


def _check(folder: Path, due: Due) -> list[int]:
    """Raise Wrong unless every pool is closed, in order, and paid back; return how many each block closed."""
    with open_made(folder) as opened:
        view = opened.store.view()
        by_block = [found for height in range(1, view.height + 1) if (found := view.expired(height))]
        expect("pools closed before they were due", [], [height for height in range(due.at) if view.expired(height)])
        expect("pools in the order of their ids", sorted(due.pools), [one for block in by_block for one in block])
        for cptx_hash in due.pools:
            expect("a pool's status", PoolStatus.EXPIRED, Pool.decode(need(view, pool_key(cptx_hash))).status)
        made = len(due.pools) // _CREATORS
        for creator in range(_CREATORS):
            expect_account(view, key(creator).address, Account(FUNDS - made * FEE, made))
    return [len(block) for block in by_block]

"""Settlements a second, and memory, by the size of the state.

The same load on chains of 10^4, 10^6 and, where it was asked for, 10^7 records, each loaded in bulk: settlements of
random pools, every second one the first of a new payee of its pool. A node has just been started each time. 10^4 is
measured before and after each of the others, so that a slow minute counts for both.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ledger.records import Target

from .bench_chain import open_made
from .figures import Goal, Sample, Scale
from .large_plan import AMOUNT, CREATORS, FIRST_PAYEE, Plan, plan_of_keys
from .large_sets import address_of_keyed, copy_of, expect_target, keyed, pool_ids
from .runs import MANY, Run, deal, drive_node, node_at_rest
from .signed import PlannedSettlement, sign_settlements

_MB: Final = 1e6


def rate_at(exponent: int) -> str:
    """Return the name of the rate at 10^exponent records."""
    return f"settlements by tx_submitMany at 10^{exponent} state keys"


def memory_at(exponent: int) -> str:
    """Return the name of the most memory at 10^exponent records."""
    return f"node memory under settlements at 10^{exponent} state keys"


NOT_FROM_FILES: Final = ", of which not from files"
GOALS: Final = (
    Goal(rate_at(6), 0.8, rate_at(4)),
    Goal(rate_at(7), 0.6, rate_at(4)),
    *(Goal(memory_at(exponent) + NOT_FROM_FILES, 400.0, at_most=True) for exponent in (6, 7)),
)


def part(scale: Scale) -> Iterator[Sample]:
    """Measure at each size."""
    sizes = (4, 5, 4) if scale.quick else (4, 6, 4, 6, 4, 7, 4) if scale.huge else (4, 6, 4, 6, 4)
    # All before the first is measured: to make a chain may take a quarter of an hour.
    folders = [
        copy_of(scale, plan_of_keys(10**exponent), f"{number}-keys-{exponent}") for number, exponent in enumerate(sizes)
    ]
    for folder, exponent in zip(folders, sizes, strict=True):
        run = _measure(scale, plan_of_keys(10**exponent), folder)
        yield from run.samples(rate_at(exponent))
        yield Sample(memory_at(exponent), "MB", run.memory_peak.resident / _MB)
        yield Sample(memory_at(exponent) + NOT_FROM_FILES, "MB", run.memory_peak.anonymous / _MB)


class Wanted(NamedTuple):
    """Settlements of a large chain, by pool, and the target records that they make."""

    plans: Mapping[int, list[PlannedSettlement]]
    records: Mapping[tuple[bytes, int], Target]
    """(pool id, number of the payee) -> record."""


def want(folder: Path, plan: Plan, count: int, chance: random.Random) -> Wanted:
    """Choose settlements of random pools; every second one is the first of a payee that is new to its pool."""
    chosen = []
    for number in range(count):
        payee = chance.randrange(keyed(plan))
        others = range(payee, plan.settled, plan.payees)
        chosen.append((chance.randrange(plan.pools) if number % 2 else chance.choice(others), payee))
    with open_made(folder) as opened:
        ids = pool_ids(opened.store.view(), plan, [pool for pool, _ in chosen])
    plans: dict[int, list[PlannedSettlement]] = {}
    records: dict[tuple[bytes, int], Target] = {}
    for (pool, payee), cptx_hash in zip(chosen, ids, strict=True):
        had = pool < plan.settled and pool % plan.payees == payee
        before = records.get((cptx_hash, payee), Target(1, AMOUNT) if had else Target(0, 0))
        now = records[cptx_hash, payee] = Target(before.seq + 1, before.paid + AMOUNT)
        settlement = PlannedSettlement(pool % CREATORS, FIRST_PAYEE + payee, cptx_hash, now.seq, now.paid)
        plans.setdefault(pool, []).append(settlement)
    return Wanted(plans, records)


def sign_by_pool(folder: Path, wanted: Wanted) -> list[list[bytes]]:
    """Return the raw settlements of each pool, in their order."""
    with open_made(folder) as opened:
        domain = opened.domain
    raws = iter(sign_settlements(domain, [one for plans in wanted.plans.values() for one in plans]))
    return [[next(raws) for _ in plans] for plans in wanted.plans.values()]


def check_wanted(folder: Path, wanted: Wanted) -> None:
    """Raise Wrong unless every target record is what the settlements make it."""
    with open_made(folder) as opened:
        view = opened.store.view()
        for (cptx_hash, payee), record in wanted.records.items():
            expect_target(view, cptx_hash, address_of_keyed(payee), record)


def _measure(scale: Scale, plan: Plan, folder: Path) -> Run:
    wanted = want(folder, plan, 1_000 if scale.quick else 20_000, random.Random(scale.seed))
    lanes = deal(MANY.lanes, sign_by_pool(folder, wanted))
    with node_at_rest(folder) as node:
        run = drive_node(node, MANY.requests(lanes), sum(map(len, lanes)))
    check_wanted(folder, wanted)
    return run

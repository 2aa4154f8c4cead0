"""What users would pick instead: the same payments as a Solidity contract on anvil, on the same cores.

The contract is solidity/Pools.sol, compiled by solc through its intermediate form and optimised for many runs. Every
figure is from a fresh anvil, which keeps its chain in memory only, and runs from the first byte sent until the last
transaction is mined; the load generator is the one that drives the node, and everything is signed before. Afterwards
every receipt, the balances, and what the contract says was paid are checked.

*Defaults* is anvil as it starts: a block as soon as transactions are there. *Best mode* is the fastest found: blocks
asked for (evm_mine) after every wave, a gas limit that never fills a block, no old states. Single requests go over 32
connections, batches of 100 over 4. anvil is given what suits it: 64 payees of one pool, since it works over all
accounts for every block, and waves, since what waits to be mined slows its blocks down until it seems to stand still.
Only the single requests in its defaults, of which the node has 1,920 payees and more, and the latency, of which it has
1,000, are measured with 1,000 payees as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from crypto.hashing import keccak256

from .anvil_calls import submit, to_hex
from .anvil_chain import Chain, fresh_chain
from .anvil_load import Way, measure
from .anvil_market import Settlements, Transfers
from .anvil_process import bytecode, program
from .figures import Goal, Sample, Scale
from .latency import PAUSE_SECONDS, PAYEES, PAYEES_QUICK, at_share

LATENCY: Final = "anvil latency of one settlement"
GOALS: Final[Sequence[Goal]] = ()
BEST_OPTIONS: Final = ("--no-mining", "--gas-limit", "10000000000", "--prune-history")
_ACTORS_QUICK: Final = 64
_QUICK_SHARE: Final = 8
_WARM_UP: Final = 5
_FEW: Final = 5
"""Payees, with whom anvil is at its quickest."""
_RECEIPT_SECONDS: Final = 10.0


class _Mode(NamedTuple):
    name: str
    options: Sequence[str]
    actors: int
    """Payees, or senders of transfers."""
    each: int
    """Transactions of each actor."""
    ways: Sequence[Way]
    """The best of them counts."""


_SINGLES: Final = "best mode, single requests"
_BATCHES: Final = "best mode, batches"
_MODES: Final = (
    _Mode("defaults, single requests", (), 1_000, 1, [Way(32, 1, 64)]),
    _Mode("defaults, single requests, 64 accounts", (), 64, 16, [Way(32, 1, 1_000)]),
    _Mode("defaults, batches", (), 64, 40, [Way(4, 100, 400)]),
    _Mode(_SINGLES, BEST_OPTIONS, 64, 50, [Way(32, 1, 800, by_hand=True)]),
    _Mode(_BATCHES, BEST_OPTIONS, 64, 80, [Way(4, 100, 800, by_hand=True), Way(4, 100, 2_500, by_hand=True)]),
)


def part(scale: Scale) -> Iterator[Sample]:
    """Measure settlements, transfers, and the latency of a settlement."""
    program()
    bytecode()
    yield from _rates("anvil settlements", Settlements, scale)
    yield from _rates("anvil transfers", Transfers, scale)
    count, payees = (20, PAYEES_QUICK) if scale.quick else (100, PAYEES)
    few = Settlements(_FEW, (count + _WARM_UP) // _FEW)
    yield from latencies(scale.folder, LATENCY, Settlements(payees), count + _WARM_UP)
    yield from latencies(scale.folder, f"{LATENCY}, {_FEW} accounts", few, count + _WARM_UP)


def _rates(name: str, work: type[Settlements | Transfers], scale: Scale) -> Iterator[Sample]:
    found = {}
    for mode in _MODES:
        actors, each = mode.actors, mode.each
        if scale.quick:
            actors, each = min(actors, _ACTORS_QUICK), max(2, each // _QUICK_SHARE)
        done = work(actors, each)
        found[mode.name] = max(rate(scale.folder, done, way, mode.options) for way in mode.ways)
        yield Sample(f"{name}, {mode.name}", "per second", found[mode.name])
    yield Sample(f"{name}, best mode", "per second", max(found[_SINGLES], found[_BATCHES]))


def rate(folder: Path, work: Settlements | Transfers, way: Way, options: Sequence[str]) -> float:
    """Return how many transactions a second a fresh anvil mines; raises Wrong unless all have done what they should."""
    with fresh_chain(folder, *options) as chain:
        raws = work.prepare(chain)
        seconds = measure(chain.port, raws, way)
        work.check(chain, raws)
    return len(raws) / seconds


def latencies(folder: Path, name: str, work: Settlements, count: int) -> Iterator[Sample]:
    """Settle some one after the other on an anvil with its defaults, idle before each: from sending to receipt."""
    with fresh_chain(folder) as chain:
        raws = work.prepare(chain)
        found = [_settle(chain, raw) for raw in raws[:count]]
        chain.send(raws[count:])
        work.check(chain, raws)
    ordered = sorted(found[_WARM_UP:])
    for share_name, share in (("p50", 0.5), ("p95", 0.95)):
        yield Sample(f"{name} {share_name}", "ms", at_share(ordered, share) * 1000)


def _settle(chain: Chain, raw: bytes) -> float:
    """Return the seconds until the receipt is there, asked for without a pause."""
    prepared, name = submit([raw]), to_hex(keccak256(raw))
    time.sleep(PAUSE_SECONDS)
    started = time.monotonic()
    chain.caller.exchange(prepared)
    while time.monotonic() - started < _RECEIPT_SECONDS:
        if chain.caller.call("eth_getTransactionReceipt", name) is not None:
            return time.monotonic() - started
    raise TimeoutError("there is no receipt of a settlement")

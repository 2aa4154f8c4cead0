"""How many settlements a second a node takes over HTTP, from the first byte sent until the last is committed.

Everything is on: synced commits, full state root, receipts, indexes. The load generator is a process of its own on the
same cores. Afterwards the node is stopped, and every record is looked at where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.functional.node_process import NodeProcess

from . import yardstick
from .figures import Goal, Sample, Scale
from .load import Caller, Driven, Load, drive_elsewhere, request
from .market import Market, Wrong, check_stored, make_market, spread_over
from .processes import Memory, Watch, cpu_seconds, memory, wait_until_quiet

BY_MANY: Final = "settlements by tx_submitMany"
BY_ONE: Final = "settlements by tx_submit on 32 connections"
ANVIL_BEST: Final = "anvil settlements, best mode"
ANVIL_DEFAULTS: Final = "anvil settlements, defaults, single requests"
GOALS: Final = (
    Goal(BY_MANY, 0.45, yardstick.LIMIT),
    Goal(BY_MANY, 1.5, ANVIL_BEST),
    Goal(BY_ONE, 3.0, ANVIL_DEFAULTS),
    Goal(BY_ONE, 1.0, ANVIL_BEST),
)
RAWS_IN_CALL: Final = 1_000
MANY_LANES: Final = 4
ONE_LANES: Final = 32
_MICRO: Final = 1e6


@dataclass(frozen=True, slots=True)
class Run:
    """One load and what the node used for it."""

    count: int
    driven: Driven
    node_cpu_seconds: float
    memory_before: Memory
    memory_peak: Memory
    memory_after: Memory

    @property
    def rate(self) -> float:
        """Transactions a second, end to end."""
        return self.count / self.driven.seconds


def part(scale: Scale) -> Iterator[Sample]:
    """Measure settlements in calls of 1,000 and one by one."""
    full = 1 if scale.quick else 10
    run = measure(scale.folder / "many", Market(20 * full, 100), RAWS_IN_CALL, MANY_LANES)
    yield from samples(BY_MANY, run)
    run = measure(scale.folder / "one", Market(32, 6 * full, 3), 1, ONE_LANES)
    yield from samples(BY_ONE, run)


def samples(name: str, run: Run) -> Iterator[Sample]:
    """Yield the rate and what it took."""
    yield Sample(name, "per second", run.rate)
    yield Sample(f"{name}: node", "us of processor time each", run.node_cpu_seconds / run.count * _MICRO)
    yield Sample(f"{name}: load generator", "us of processor time each", run.driven.cpu_seconds / run.count * _MICRO)


def measure(folder: Path, market: Market, raws_in_call: int, lanes: int) -> Run:
    """Settle all of a market through a new node; raises Wrong unless everything has happened."""
    folder.mkdir()
    opened = make_market(folder / "devnet", market)
    load = spread_over(lanes, opened.sign())
    requests = many(load, raws_in_call) if raws_in_call > 1 else [[one(raw) for raw in lane] for lane in load]
    with NodeProcess(folder) as node:
        run = drive_node(node, requests, market.total)
        node.terminate()
    check_stored(folder / "devnet", [opened])
    return run


def drive_node(node: NodeProcess, requests: Sequence[Sequence[bytes]], count: int) -> Run:
    """Send requests with `count` transactions; raises Wrong unless all are committed."""
    port = port_of(node)
    wait_until_quiet(node.pid)
    with Caller(port) as caller:
        first = int(caller.call("chain_status")["head"]["height"], 16)
        before, idle = cpu_seconds(node.pid), memory(node.pid)
        with Watch(node.pid) as watch:
            driven = drive_elsewhere(Load(port, requests))
        used, after = cpu_seconds(node.pid) - before, memory(node.pid)
        if driven.failed:
            raise Wrong(f"{driven.failed} answers with errors, such as {driven.errors[0]}")
        _check_committed(caller, first, driven.height, count)
    return Run(count, driven, used, idle, watch.peak, after)


def port_of(node: NodeProcess) -> int:
    """Return the port that a node listens on."""
    return urlsplit(node.url).port or 0


def one(raw: bytes, wait: str = "pooled") -> bytes:
    """Return the request that submits one transaction."""
    return request("tx_submit", f"0x{raw.hex()}", wait)


def many(lanes: Sequence[Sequence[bytes]], raws_in_call: int) -> list[list[bytes]]:
    """Return the requests that submit each lane's transactions, so many at a time."""
    return [[_call(lane[at : at + raws_in_call]) for at in range(0, len(lane), raws_in_call)] for lane in lanes]


def _call(raws: Sequence[bytes]) -> bytes:
    return request("tx_submitMany", [f"0x{raw.hex()}" for raw in raws])


def _check_committed(caller: Caller, first: int, last: int, count: int) -> None:
    """Raise Wrong unless the blocks behind `first`, up to `last`, hold `count` transactions and the supply is right."""
    headers = [caller.call("chain_getHeader", hex(height))["header"] for height in range(first + 1, last + 1)]
    committed = sum(int(header["txCount"], 16) for header in headers)
    if committed != count:
        raise Wrong(f"{count} transactions were submitted, {committed} are in blocks {first + 1} to {last}")
    supply: dict[str, Any] = caller.call("chain_status")["supply"]
    amounts = {name: int(value, 16) for name, value in supply.items()}
    if amounts["genesis"] != amounts["balances"] + amounts["locked"] + amounts["burned"]:
        raise Wrong(f"the supply does not add up: {supply}")

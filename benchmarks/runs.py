"""One load on one node: what is sent, what it took, and that all of it is in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.functional.node_process import NodeProcess

from .caller import Caller, submit_many, submit_one
from .checks import Wrong
from .figures import Sample
from .load import Driven, Load, drive_elsewhere
from .processes import Memory, Watch, cpu_seconds, memory, wait_until_quiet

CPU: Final = "us of processor time"
_REFUSED: Final = 200
"""No transactions, but enough of them for a node to start the processes that check signatures, before the clock."""
_MICRO: Final = 1e6
_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Way:
    """How transactions are submitted."""

    lanes: int
    """Connections."""
    in_call: int = 1
    """Transactions in one tx_submitMany; 1 means tx_submit."""
    wait: str = "pooled"
    """For what tx_submit waits."""

    def requests(self, lanes: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
        """Return the requests that submit what each lane has to, in its order."""
        if self.in_call == 1:
            return [[submit_one(raw, self.wait) for raw in lane] for lane in lanes]
        size = self.in_call
        return [[submit_many(lane[at : at + size]) for at in range(0, len(lane), size)] for lane in lanes]


MANY = Way(4, 1_000)
ONE_BY_ONE = Way(32)
ONE_BY_ONE_COMMITTED = Way(32, wait="committed")


@dataclass(frozen=True, slots=True)
class Run:
    """One load and what the node, with all its processes, used for it."""

    count: int
    driven: Driven
    node_cpu_seconds: float
    memory_before: Memory
    memory_peak: Memory
    memory_after: Memory

    def samples(self, name: str) -> Iterator[Sample]:
        """Yield the rate, end to end, and the processor time of each."""
        yield Sample(name, "per second", self.count / self.driven.seconds)
        each = _MICRO / self.count
        yield Sample(f"{name}: node, each", CPU, self.node_cpu_seconds * each)
        yield Sample(f"{name}: load generator, each", CPU, self.driven.cpu_seconds * each)

    def memory_samples(self, name: str) -> Iterator[Sample]:
        """Yield what the node held before the load, at its height, and after it."""
        for when, found in (("idle", self.memory_before), (name, self.memory_peak), ("after it", self.memory_after)):
            yield Sample(f"node memory, {when}", "MB", found.resident / _MB)
            yield Sample(f"node memory, {when}, of which not from files", "MB", found.anonymous / _MB)


def drive_new_node(folder: Path, lanes: Sequence[Sequence[bytes]], way: Way) -> Run:
    """Start a node on `folder`/devnet, submit all, stop it; raises Wrong unless all are committed."""
    with node_at_rest(folder) as node:
        return drive_node(node, way.requests(lanes), sum(map(len, lanes)))


@contextmanager
def node_at_rest(folder: Path, *options: str) -> Iterator[NodeProcess]:
    """Start a node on `folder`/devnet, wait until it has done what it does at a start, and stop it in the end."""
    with NodeProcess(folder, *options) as node:
        wait_until_quiet(node.pid)
        yield node
        node.terminate()


def drive_node(node: NodeProcess, requests: Sequence[Sequence[bytes]], count: int) -> Run:
    """Send requests with `count` transactions; raises Wrong unless all are committed."""
    port = port_of(node)
    with Caller(port) as caller:
        first = int(caller.call("chain_status")["head"]["height"], 16)
        idle = memory(node.pid)
        caller.exchange(submit_many([b"\x00"] * _REFUSED))
        wait_until_quiet(node.pid)
        before = cpu_seconds(node.pid)
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


def deal(lanes: int, groups: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
    """Return groups of transactions on so many lanes, each whole and in its order on one of them."""
    return [[raw for group in groups[lane::lanes] for raw in group] for lane in range(lanes)]


def _check_committed(caller: Caller, first: int, last: int, count: int) -> None:
    """Raise Wrong unless the blocks behind `first`, up to `last`, hold `count` transactions and the supply is right."""
    headers = [caller.call("chain_getHeader", hex(height))["header"] for height in range(first + 1, last + 1)]
    committed = sum(int(header["txCount"], 16) for header in headers)
    if committed != count:
        raise Wrong(f"{count} transactions were submitted, {committed} are in blocks {first + 1} to {last}")
    supply = {name: int(value, 16) for name, value in caller.call("chain_status")["supply"].items()}
    if supply["genesis"] != supply["balances"] + supply["locked"] + supply["burned"]:
        raise Wrong(f"the supply does not add up: {supply}")

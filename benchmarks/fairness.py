"""Whether others get their turn while submissions saturate the node, and how fast a full queue says no."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from .caller import Caller, request, submit_one
from .checks import expect
from .figures import Goal, Sample, Scale
from .latency import at_share
from .load import Load, drive_elsewhere
from .market import Market, check_market, make_market
from .reader import Read, Reader
from .runs import MANY, ONE_BY_ONE, Way, deal, drive_node, node_at_rest, port_of
from .transfers import Senders

REFUSALS: Final = "refusals by a full queue, 32 connections of tx_submit"
FULL: Final = "refusal by a full queue, beside 31 others, p95"
QUEUE: Final = 50_000
"""What a node's mempool holds by default."""
_READS: Final = ("pool_get", "proof_getState", "proof_getTransaction", "chain_status")
_KINDS: Final = (("tx_submitMany", MANY), ("32 connections of tx_submit", ONE_BY_ONE))
_TARGETS: Final = {MANY: (600, 60), ONE_BY_ONE: (100, 20)}
"""Of each of 32 pools, in full and in a hurry: enough for seconds."""
_SENDERS: Final = 500
_REFUSED: Final = 2_000


def _name(method: str, load: str) -> str:
    return f"{method} beside {load} p95"


GOALS: Final = (
    *(Goal(_name(method, load), 50.0, at_most=True) for load, _ in _KINDS for method in _READS),
    Goal(FULL, 50.0, at_most=True),
)


def part(scale: Scale) -> Iterator[Sample]:
    """Read beside loads of both kinds; then, unless in a hurry, fill the queue of a node that makes no blocks."""
    for number, (load, way) in enumerate(_KINDS):
        folder = scale.folder / str(number)
        folder.mkdir()
        market = Market(32, _TARGETS[way][scale.quick])
        for method, seconds in _read_beside(folder, market, way).items():
            yield Sample(_name(method, load), "ms", at_share(sorted(seconds), 0.95) * 1000)
    if not scale.quick:
        yield from _refuse(scale.folder)


def _read_beside(folder: Path, market: Market, way: Way) -> Mapping[str, Sequence[float]]:
    """Settle all of a market; return what reads took meanwhile, by method, in seconds."""
    opened = make_market(folder, market)
    cptx_hash = f"0x{opened.pools[0].hex()}"
    parameters: Mapping[str, Sequence[object]] = {
        "pool_get": (cptx_hash,),
        "proof_getState": ({"cptxHash": cptx_hash},),
        "proof_getTransaction": (cptx_hash,),
        "chain_status": (),
    }
    requests = way.requests(deal(way.lanes, opened.sign()))
    with node_at_rest(folder) as node:
        reads = {method: request(method, *parameters[method]) for method in _READS}
        with Reader(port_of(node), reads) as reader:
            driven = drive_node(node, requests, market.total).driven
            found = [read for read in reader.stop() if driven.started <= read.at <= driven.answered]
    check_market(folder, opened)
    return {method: _seconds(found, method) for method in _READS}


def _seconds(reads: Sequence[Read], method: str) -> list[float]:
    return [read.seconds for read in reads if read.name == method]


def _refuse(parent: Path) -> Iterator[Sample]:
    """Fill the queue, then submit more on 32 connections; yield how fast they are refused."""
    folder = parent / "full"
    folder.mkdir()
    senders = Senders(_SENDERS + 1, -(-QUEUE // _SENDERS))
    *fill, surplus = senders.sign(senders.make(folder))
    requests = MANY.requests(deal(MANY.lanes, fill))
    refused = [[submit_one(surplus[0])] * (_REFUSED // ONE_BY_ONE.lanes)] * ONE_BY_ONE.lanes
    with node_at_rest(folder, "--seal", "manual") as node:
        port = port_of(node)
        driven = drive_elsewhere(Load(port, requests, until_committed=False))
        expect("answers with errors while the queue was filled", 0, driven.failed)
        driven = drive_elsewhere(Load(port, refused, until_committed=False))
        expect("refusals", sum(map(len, refused)), driven.failed)
        with Caller(port) as caller:
            answer = json.loads(caller.exchange(refused[0][0]))
            expect("the answer of a full queue", "MEMPOOL_FULL", answer["error"]["data"]["reason"])
            expect("pending transactions", QUEUE, int(caller.call("chain_status")["pending"], 16))
    yield Sample(REFUSALS, "per second", driven.failed / (driven.answered - driven.started))
    yield Sample(FULL, "ms", at_share(sorted(driven.latencies), 0.95) * 1000)

"""Whether others get their turn while submissions saturate the node, and how fast a full queue says no."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
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

FULL: Final = "refusal of a transaction by a full queue p95"
QUEUE: Final = 50_000
"""What a node's mempool holds by default."""
_READS: Final = ("pool_get", "proof_getState", "proof_getTransaction", "chain_status")
_KINDS: Final = (("tx_submitMany", MANY), ("32 connections of tx_submit", ONE_BY_ONE))
_SENDERS: Final = 500
_REFUSED: Final = 300


def _name(method: str, load: str) -> str:
    return f"{method} beside {load} p95"


GOALS: Final = tuple(Goal(_name(method, load), 50.0, at_most=True) for load, _ in _KINDS for method in _READS)


def part(scale: Scale) -> Iterator[Sample]:
    """Read beside loads of both kinds; then, unless in a hurry, fill the queue of a node that makes no blocks."""
    for number, (load, way) in enumerate(_KINDS):
        folder = scale.folder / str(number)
        folder.mkdir()
        market = Market(32, (20 if way.in_call == 1 else 60) if scale.quick else (100 if way.in_call == 1 else 320))
        for method, seconds in _read_beside(folder, market, way).items():
            yield Sample(_name(method, load), "ms", at_share(sorted(seconds), 0.95) * 1000)
    if not scale.quick:
        folder = scale.folder / "full"
        folder.mkdir()
        yield Sample(FULL, "ms", at_share(sorted(_refuse(folder)), 0.95) * 1000)


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


def _refuse(folder: Path) -> list[float]:
    """Fill the queue; return the seconds that each refusal took afterwards."""
    senders = Senders(_SENDERS + 1, -(-QUEUE // _SENDERS))
    *fill, surplus = senders.sign(senders.make(folder))
    requests = MANY.requests(deal(MANY.lanes, fill))
    with node_at_rest(folder, "--seal", "manual") as node:
        driven = drive_elsewhere(Load(port_of(node), requests, until_committed=False))
        expect("answers with errors while the queue was filled", 0, driven.failed)
        refused = [submit_one(surplus[0])] * _REFUSED
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(_time_refusals, port_of(node), refused).result()
        with Caller(port_of(node)) as caller:
            expect("pending transactions", QUEUE, int(caller.call("chain_status")["pending"], 16))
    return found


def _time_refusals(port: int, requests: Sequence[bytes]) -> list[float]:
    found = []
    with Caller(port) as caller:
        for prepared in requests:
            sent = time.monotonic()
            body = caller.exchange(prepared)
            found.append(time.monotonic() - sent)
            expect("the answer of a full queue", "MEMPOOL_FULL", json.loads(body)["error"]["data"]["reason"])
    return found

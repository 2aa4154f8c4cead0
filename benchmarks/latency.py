"""How long one settlement takes on an idle node that makes a block for it: from sending it, with wait "committed", to
the whole answer with receipt and proof.

The chain has a pool with as many payees as anvil's contract, and all of them have settled before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

from tests.functional.node_process import NodeProcess

from .caller import Caller, submit_many, submit_one
from .checks import Wrong
from .figures import Goal, Sample, Scale
from .market import Market, check_market, make_market
from .processes import wait_until_quiet
from .runs import node_at_rest, port_of

MIDDLE: Final = "latency of one settlement p50"
HIGH: Final = "latency of one settlement p95"
ANVIL: Final = "anvil latency of one settlement p50"
GOALS: Final = (
    Goal(MIDDLE, 5.0, at_most=True),
    Goal(MIDDLE, 1.0, ANVIL, at_most=True),
    Goal(HIGH, 10.0, at_most=True),
)
PAYEES: Final = 1_000
PAYEES_QUICK: Final = 64
PAUSE_SECONDS: Final = 0.01
_WARM_UP: Final = 10


def part(scale: Scale) -> Iterator[Sample]:
    """Settle one after the other, with a pause between, so that the node is idle each time."""
    payees, count = (PAYEES_QUICK, 30) if scale.quick else (PAYEES, 210)
    opened = make_market(scale.folder, Market(1, payees, 2))
    (raws,) = opened.sign()
    measured, rest = raws[payees : payees + count], raws[payees + count :]
    with node_at_rest(scale.folder) as node:
        _settle_all(node, raws[:payees])
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            requests = [submit_one(raw, "committed") for raw in measured]
            found = pool.submit(_settle_each, port_of(node), requests).result()
        _settle_all(node, rest)
    check_market(scale.folder, opened)
    milliseconds = sorted(seconds * 1000 for seconds in found[_WARM_UP:])
    yield Sample(MIDDLE, "ms", at_share(milliseconds, 0.5))
    yield Sample(HIGH, "ms", at_share(milliseconds, 0.95))


def at_share(ordered: Sequence[float], share: float) -> float:
    """Return the value that this share of ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _settle_all(node: NodeProcess, raws: Sequence[bytes]) -> None:
    """Settle these before or after what is measured; whether all are in blocks is seen in the end."""
    with Caller(port_of(node)) as caller:
        caller.exchange(submit_many(raws))
    wait_until_quiet(node.pid)


def _settle_each(port: int, requests: Sequence[bytes]) -> list[float]:
    found = []
    with Caller(port) as caller:
        for prepared in requests:
            time.sleep(PAUSE_SECONDS)
            sent = time.monotonic()
            body = caller.exchange(prepared)
            found.append(time.monotonic() - sent)
            answer: dict[str, Any] = json.loads(body)
            if (
                "error" in answer
                or answer["result"]["receipt"]["outcome"] != "settled"
                or not answer["result"]["proof"]
            ):
                raise Wrong(f"a settlement was answered with {body[:1000]!r}")
    return found

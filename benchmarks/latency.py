"""How long one settlement takes on an idle node that makes a block for it: from sending it, with wait "committed", to
the whole answer with receipt and proof.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Final

from .caller import Caller, submit_one
from .checks import Wrong
from .figures import Goal, Sample, Scale
from .market import Market, check_market, make_market
from .runs import node_at_rest, port_of

MIDDLE: Final = "latency of one settlement p50"
HIGH: Final = "latency of one settlement p95"
ANVIL: Final = "anvil latency of one settlement p50"
GOALS: Final = (
    Goal(MIDDLE, 5.0, at_most=True),
    Goal(MIDDLE, 1.0, ANVIL, at_most=True),
    Goal(HIGH, 10.0, at_most=True),
)
_PAUSE_SECONDS: Final = 0.01
_WARM_UP: Final = 10


def part(scale: Scale) -> Iterator[Sample]:
    """Settle one after the other, with a pause between, so that the node is idle each time."""
    opened = make_market(scale.folder, Market(1, 30 if scale.quick else 210))
    (raws,) = opened.sign()
    with node_at_rest(scale.folder) as node, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(_settle_each, port_of(node), [submit_one(raw, "committed") for raw in raws]).result()
    check_market(scale.folder, opened)
    milliseconds = sorted(seconds * 1000 for seconds in found[_WARM_UP:])
    yield Sample(MIDDLE, "ms", at_share(milliseconds, 0.5))
    yield Sample(HIGH, "ms", at_share(milliseconds, 0.95))


def at_share(ordered: Sequence[float], share: float) -> float:
    """Return the value that this share of ordered values does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _settle_each(port: int, requests: Sequence[bytes]) -> list[float]:
    found = []
    with Caller(port) as caller:
        for prepared in requests:
            time.sleep(_PAUSE_SECONDS)
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

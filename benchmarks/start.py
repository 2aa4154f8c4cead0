"""How long a node with a million pools and blocks takes from its start to its first answer.

After a clean stop, and after kill -9 in the middle of a load of settlements. The interpreter's own start is included.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from tests.functional.node_process import NodeProcess

from .caller import Caller
from .checks import Wrong
from .figures import Goal, Sample, Scale
from .growth import sign_by_pool, want
from .large_sets import copy_of
from .load import Load, drive
from .proofs import proofs_plan
from .runs import MANY, deal, port_of

CLEAN: Final = "start to first answer after a clean stop"
KILLED: Final = "start to first answer after kill -9 under load"
GOALS: Final = (Goal(CLEAN, 2.0, at_most=True), Goal(KILLED, 5.0, at_most=True))
_TIMES: Final = 3
_BLOCKS_BEFORE_KILL: Final = 3
_WITHIN_SECONDS: Final = 60.0


def part(scale: Scale) -> Iterator[Sample]:
    """Start, stop, start again; then load, kill, start again."""
    plan = proofs_plan(scale)
    folder = copy_of(scale, plan, "start")
    wanted = want(folder, plan, 2_000 if scale.quick else 20_000, random.Random(scale.seed))
    lanes = deal(_TIMES * MANY.lanes, sign_by_pool(folder, wanted))
    node = NodeProcess(folder)
    try:
        for _ in range(_TIMES):
            yield Sample(CLEAN, "s", _start(node, 0))
            node.terminate()
        node.start()
        for at in range(_TIMES):
            height = _kill_under_load(node, MANY.requests(lanes[at::_TIMES]))
            yield Sample(KILLED, "s", _start(node, height))
    finally:
        node.close()


def _start(node: NodeProcess, height: int) -> float:
    """Return the seconds from the start of the process to its first answer; raises Wrong if its head is lower."""
    started = time.monotonic()
    node.start()
    found = _height(node)
    seconds = time.monotonic() - started
    if found < height:
        raise Wrong(f"block {height} was shown, the head is {found} after the kill")
    return seconds


def _kill_under_load(node: NodeProcess, requests: list[list[bytes]]) -> int:
    """Kill the node once it has made some blocks of a load; return the highest head that it has shown."""
    first = seen = _height(node)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        driven = pool.submit(drive, Load(port_of(node), requests))
        deadline = time.monotonic() + _WITHIN_SECONDS
        with Caller(port_of(node)) as caller:
            while seen < first + _BLOCKS_BEFORE_KILL and not driven.done():
                if time.monotonic() > deadline:
                    raise TimeoutError("no blocks are made")
                seen = int(caller.call("chain_status")["head"]["height"], 16)
        node.kill()
        driven.exception(_WITHIN_SECONDS)
    return seen


def _height(node: NodeProcess) -> int:
    with Caller(port_of(node)) as caller:
        return int(caller.call("chain_status")["head"]["height"], 16)

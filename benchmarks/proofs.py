"""What a proof costs a node with a million pools and a million blocks.

The latency is that of one caller on an idle node, from sending to the whole answer: an upper bound for the server's
share. The rate is that of four callers at once; what the node's processes used for each is what one core would bear.
Last comes what a cacher does with the three documents of a handshake, from their text to a proven pool.
"""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from light.handshake import verify_handshake
from light.parsing import parse_document
from light.verify import Trust
from tests.functional.node_process import NodeProcess

from .bench_chain import AUTHORITY, open_made
from .caller import Caller, request
from .checks import Wrong, expect
from .figures import Goal, Sample, Scale
from .large_plan import KEYED, Plan, payee
from .large_sets import copy_of, pool_ids
from .latency import at_share
from .load import Load, drive_elsewhere
from .processes import cpu_seconds
from .runs import CPU, node_at_rest, port_of

TRANSACTION: Final = "proof_getTransaction"
STATE: Final = "proof_getState"
HANDSHAKE: Final = "check of a handshake's documents"
_IN_BLOCK: Final = 10
"""Transactions of a block that has any: one for each block would be the mean of such a chain."""
_LANES: Final = 4
_CHECKED: Final = 20
_WHERE: Final = "at 10^6 pools and 10^6 blocks"
GOALS: Final = tuple(
    goal
    for method in (TRANSACTION, STATE)
    for goal in (
        Goal(f"{method} {_WHERE} p50", 2.0, at_most=True),
        Goal(f"{method} {_WHERE}: node, each", 1_000.0, at_most=True),
        Goal(f"{method} {_WHERE}", 1_000.0),
    )
)


def proofs_plan(scale: Scale) -> Plan:
    """Return the chain that proofs and starts are measured on."""
    if scale.quick:
        return Plan(20_000, 1_000, 1_000, 20_000, _IN_BLOCK)
    return Plan(1_000_000, KEYED, KEYED, 1_000_000, _IN_BLOCK)


def part(scale: Scale) -> Iterator[Sample]:
    """Ask for proofs of random pools, and of records that are there and that are not."""
    plan = proofs_plan(scale)
    folder = copy_of(scale, plan, "proofs")
    chance = random.Random(scale.seed)
    count = 400 if scale.quick else 4_000
    ids, trust = _look(folder, plan, [chance.randrange(plan.pools) for _ in range(count)])
    where = "of a small chain" if scale.quick else _WHERE
    with node_at_rest(folder) as node:
        for method, requests in _requests(plan, ids, chance).items():
            yield from _measure(node, f"{method} {where}", requests)
        yield from _check(node, ids[:_CHECKED], trust)


def _look(folder: Path, plan: Plan, numbers: Sequence[int]) -> tuple[list[bytes], Trust]:
    """Return the ids of pools, and what a light client of the chain trusts."""
    with open_made(folder) as opened:
        return pool_ids(opened.store.view(), plan, numbers), Trust(AUTHORITY.address, opened.domain.genesis_hash)


def _requests(plan: Plan, ids: Sequence[bytes], chance: random.Random) -> Mapping[str, list[bytes]]:
    """Return the requests by method; of the states a third each are pools, absent targets and accounts."""
    keys: list[dict[str, str]] = []
    for at, found in enumerate(ids):
        pool = {"cptxHash": f"0x{found.hex()}"}
        account = {"account": f"0x{payee(chance.randrange(plan.payees)).hex()}"}
        keys.append([pool, pool | {"target": f"0x{chance.randbytes(20).hex()}"}, account][at % 3])
    heights = [hex(chance.randrange(plan.height)) for _ in ids]
    return {
        "proof_getHeader": [request("proof_getHeader", height) for height in heights],
        "proof_getConsistency": [request("proof_getConsistency", height, "latest") for height in heights],
        TRANSACTION: [request(TRANSACTION, f"0x{found.hex()}") for found in ids],
        STATE: [request(STATE, key) for key in keys],
    }


def _measure(node: NodeProcess, name: str, requests: Sequence[bytes]) -> Iterator[Sample]:
    """Ask the first half one by one, the second half on several connections."""
    half = len(requests) // 2
    latencies = sorted(seconds * 1000 for seconds in _drive(node, [requests[:half]])[0])
    yield Sample(f"{name} p50", "ms", at_share(latencies, 0.5))
    yield Sample(f"{name} p95", "ms", at_share(latencies, 0.95))
    before = cpu_seconds(node.pid)
    _, seconds = _drive(node, [requests[half + lane :: _LANES] for lane in range(_LANES)])
    count = len(requests) - half
    yield Sample(name, "per second", count / seconds)
    yield Sample(f"{name}: node, each", CPU, (cpu_seconds(node.pid) - before) / count * 1e6)


def _drive(node: NodeProcess, lanes: Sequence[Sequence[bytes]]) -> tuple[Sequence[float], float]:
    """Return the latencies of all answers and the seconds that they took together; raises Wrong for an error."""
    driven = drive_elsewhere(Load(port_of(node), lanes, until_committed=False))
    if driven.failed:
        raise Wrong(f"{driven.failed} answers with errors, such as {driven.errors[0]}")
    return driven.latencies, driven.seconds


def _check(node: NodeProcess, ids: Sequence[bytes], trust: Trust) -> Iterator[Sample]:
    """Check the documents of pools as a cacher does; raises ProofRefused, and Wrong for another pool than was meant."""
    target = bytes(range(20))
    spent, size = [], []
    with Caller(port_of(node)) as caller:
        for cptx_hash in ids:
            pool = {"cptxHash": f"0x{cptx_hash.hex()}"}
            answers: list[Any] = [
                caller.call(TRANSACTION, pool["cptxHash"]),
                caller.call(STATE, pool),
                caller.call(STATE, pool | {"target": f"0x{target.hex()}"}),
            ]
            texts = [json.dumps(answer).encode() for answer in answers]
            started = time.thread_time()
            creation, state, record = map(parse_document, texts)
            proven = verify_handshake(creation, state, record, target, trust)
            spent.append(time.thread_time() - started)
            size.append(sum(map(len, texts)))
            expect("the proven pool", cptx_hash, proven.cptx_hash)
    yield Sample(HANDSHAKE, CPU, statistics.median(spent) * 1e6)
    yield Sample(f"{HANDSHAKE}: their length", "bytes", statistics.median(size))

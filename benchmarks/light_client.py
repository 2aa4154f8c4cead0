"""Cost of proofs on a long chain: serving each document, and checking a whole handshake offline.

Makes a chain of `--blocks` blocks with `--accounts` accounts in a temporary LevelDB, by the same code as a node, with
one pool at its beginning and one near its end; closes it and opens it again, so that nothing is warm but the disk.
Serving is timed from JSON text to JSON text through the dispatcher, checking from JSON text to a proven pool, both in
processor time of the one thread. Run it as `python -m benchmarks.light_client` from the top of the repository.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from consensus.authority import Authority
from consensus.chain import Chain
from consensus.seal import check_seal
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from ledger.genesis import Genesis
from light.handshake import ProvenPool, verify_handshake
from light.parsing import parse_document
from light.verify import Trust
from poolchain.clock import Clock
from poolchain.devnet import devnet_genesis, devnet_keys
from poolchain.node import Node
from poolchain.signing import sign_payment, sign_settlement, sign_transaction
from rpc.dispatch import Dispatcher
from rpc.limits import Limits
from rpc.methods import ALL_METHODS
from rpc.registry import Registry
from storage import leveldb
from storage.chain_store import ChainStore, create_chain
from storage.memory_signing import MemorySigningRecord
from txtypes.table import decode

BLOCKS_BEHIND = 70
"""Blocks behind the late pool: deep enough for the state before it to be a past one."""
TREE_CACHE_BYTES = 1 << 20
ROUNDS = 500
KEYS = devnet_keys()
ALICE, BOB = KEYS.accounts[:2]


class Pools(NamedTuple):
    """The ids of the first and the last pool."""

    early: bytes
    late: bytes


def genesis_of(accounts: int) -> Genesis:
    """The devnet's genesis with so many more accounts."""
    genesis = devnet_genesis(KEYS)
    others = {keccak256(number.to_bytes(8, "big"))[:20]: 10**18 for number in range(accounts)}
    return replace(genesis, alloc={**genesis.alloc, **others})


def authority_of(store: ChainStore, genesis: Genesis) -> Authority:
    """The authority at the head of a store."""
    domain = genesis.domain(store.view().block(0).header.hash())
    return Authority(Chain(store, genesis, domain, TREE_CACHE_BYTES), KEYS.authority, MemorySigningRecord())


def build(path: Path, genesis: Genesis, blocks: int) -> Pools:
    """Make a chain of so many blocks and close it."""
    store = create_chain(leveldb.create(path), genesis)
    authority = authority_of(store, genesis)
    early = add_pool(authority, genesis, 0)
    mine(authority, blocks - BLOCKS_BEHIND - 4)
    late = add_pool(authority, genesis, 1)
    mine(authority, BLOCKS_BEHIND)
    store.close()
    return Pools(early, late)


def add_pool(authority: Authority, genesis: Genesis, nonce: int) -> bytes:
    """Make a block with a new pool and one with a settlement; return the pool's id."""
    domain = authority.chain.domain
    terms = {"resourceId": bytes(32), "deposit": 10**18, "collateral": 3 * 10**18, "duration": genesis.max_duration}
    created = sign_transaction("CreatePool", {**terms, "fee": genesis.min_fee, "nonce": nonce}, ALICE, domain)
    pool = keccak256(created)
    payment = {"target": BOB.address, "amount": 10**17, "cptxHash": pool, "tgtSeq": 1, "fee": genesis.min_fee}
    settled = sign_settlement(payment, sign_payment(payment, ALICE, domain), BOB, domain)
    for raw in (created, settled):
        built = authority.produce([decode(raw, domain)], 0)
        if built.skipped:
            raise RuntimeError(f"left out: {built.skipped}")
    return pool


def mine(authority: Authority, count: int) -> None:
    """Make so many empty blocks."""
    while count > 0:
        count -= len(authority.produce_empty(count, 0))


class Caller:
    """Calls a node's methods without a network."""

    def __init__(self, node: Node, runner: asyncio.Runner) -> None:
        """Take a node that was made on the runner's loop."""
        limits = Limits()
        registry: Registry[Any] = Registry(ALL_METHODS, title="Poolchain", version="benchmark")
        self._dispatcher: Dispatcher[Any] = Dispatcher(registry, node, limits)
        self._runner = runner

    def call(self, method: str, **params: Any) -> Any:
        """The result of one call, as JSON values."""
        answer = json.loads(self.answer(self.request(method, params)))
        if "error" in answer:
            raise RuntimeError(str(answer["error"]))
        return answer["result"]

    def answer(self, request: bytes) -> bytes:
        """The answer's bytes."""
        found = self._runner.run(self._dispatcher.answer(request))
        return found or b""

    @staticmethod
    def request(method: str, params: dict[str, Any]) -> bytes:
        """A request's bytes."""
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def spent_ms(work: Callable[[], object]) -> float:
    """Milliseconds of this thread's processor time that `work` takes; the database compacts on another one."""
    start = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - start) / 1e6


@contextmanager
def opened(path: Path, genesis: Genesis) -> Iterator[Caller]:
    """A node on a store that was just opened."""
    gc.collect()  # the node before this one is a cycle, whose views hold the store open
    with closing(leveldb.open_existing(path).store) as kv, asyncio.Runner() as runner:
        store = ChainStore(kv)

        async def make() -> Node:
            return Node(store, authority_of(store, genesis), Clock(), "manual", limits=Limits())

        node = runner.run(make())
        yield Caller(node, runner)
        runner.run(node.stop())


def measure_serving(path: Path, genesis: Genesis, blocks: int, pools: Pools, chance: random.Random) -> None:
    """Print the cost of each method: the first call after opening, and calls for many heights after it."""

    def height() -> str:
        return hex(chance.randrange(blocks))

    head = hex(blocks)
    pool, early = "0x" + pools.late.hex(), "0x" + pools.early.hex()
    rows: list[tuple[str, str, Callable[[], dict[str, Any]]]] = [
        ("a transaction", "proof_getTransaction", lambda: {"hash": chance.choice((pool, early))}),
        ("a header", "proof_getHeader", lambda: {"height": height()}),
        ("consistency", "proof_getConsistency", lambda: {"from": height(), "to": "latest"}),
        ("a pool", "proof_getState", lambda: {"key": {"cptxHash": pool}}),
        (
            "no target",
            "proof_getState",
            lambda: {"key": {"cptxHash": pool, "target": "0x" + chance.randbytes(20).hex()}},
        ),
        ("an account", "proof_getState", lambda: {"key": {"account": "0x" + chance.choice(others).hex()}}),
        ("a pool, 60 blocks ago", "proof_getState", lambda: {"key": {"cptxHash": pool}, "block": hex(blocks - 60)}),
        ("a pool before it was", "proof_getState", lambda: {"key": {"cptxHash": pool}, "block": hex(blocks - 75)}),
    ]
    others = chance.sample(sorted(genesis.alloc), min(1_000, len(genesis.alloc)))
    print(f"\nserving at block {int(head, 16):,}    first      p50      p99      max  ms    bytes")
    for name, method, make in rows:
        times, size = time_calls(path, genesis, method, make)
        later = sorted(times[1:])
        middle, high = later[len(later) // 2], later[len(later) * 99 // 100]
        print(f"  {name:24s} {times[0]:8.2f} {middle:8.2f} {high:8.2f} {later[-1]:8.2f}     {size:6,}")


def time_calls(
    path: Path, genesis: Genesis, method: str, make: Callable[[], dict[str, Any]]
) -> tuple[list[float], int]:
    """Milliseconds of each of many calls on a store that was just opened, and the bytes of an answer."""
    with opened(path, genesis) as caller:
        requests = [caller.request(method, make()) for _ in range(ROUNDS)]
        times = [spent_ms(partial(caller.answer, request)) for request in requests]
        return times, len(caller.answer(requests[0]))


def measure_handshake(path: Path, genesis: Genesis, pools: Pools) -> None:
    """Print the cost of the check of a handshake's three documents."""
    with opened(path, genesis) as caller:
        status = caller.call("chain_status")
        trust = Trust(genesis.authority, bytes.fromhex(status["genesisHash"][2:]))
        rows = {"early pool": pools.early, "late pool": pools.late}
        print("\nhandshake, from JSON text to a proven pool       p50      p99  ms    bytes")
        for name, pool in rows.items():
            key = {"cptxHash": "0x" + pool.hex()}
            target = {**key, "target": "0x" + BOB.address.hex()}
            texts = [
                json.dumps(caller.call("proof_getTransaction", hash=key["cptxHash"])).encode(),
                json.dumps(caller.call("proof_getState", key=key)).encode(),
                json.dumps(caller.call("proof_getState", key=target)).encode(),
            ]
            times = sorted(spent_ms(partial(check, texts, trust)) for _ in range(ROUNDS))
            middle, high = times[len(times) // 2], times[len(times) * 99 // 100]
            print(f"  {name:40s} {middle:8.3f} {high:8.3f}     {sum(map(len, texts)):6,}")
        seal = caller.call("chain_getHeader", block="latest")
    domain = Domain.of(genesis.chain_id, trust.genesis_hash)
    parts = bytes.fromhex(seal["seal"][2:]), bytes.fromhex(seal["hash"][2:])
    times = [spent_ms(partial(check_seal, *parts, genesis.authority, domain)) for _ in range(ROUNDS)]
    print(f"  {'one seal of it (there are two, and one signature)':40s} {statistics.median(times):.3f}")


def check(texts: list[bytes], trust: Trust) -> ProvenPool:
    """What a cacher does with a viewer's bundle."""
    creation, pool, target = map(parse_document, texts)
    return verify_handshake(creation, pool, target, BOB.address, trust)


def main() -> int:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--blocks", type=int, default=50_000, help="length of the chain (default 50,000)")
    parser.add_argument("--accounts", type=int, default=10_000, help="accounts in its state (default 10,000)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    genesis = genesis_of(options.accounts)
    with tempfile.TemporaryDirectory(prefix="light-client-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "chain"
        start = time.monotonic()
        pools = build(path, genesis, options.blocks)
        print(f"{options.blocks:,} blocks, {options.accounts:,} accounts, made in {time.monotonic() - start:.0f} s")
        measure_serving(path, genesis, options.blocks, pools, random.Random(options.seed))
        measure_handshake(path, genesis, pools)
    return 0


if __name__ == "__main__":
    sys.exit(main())

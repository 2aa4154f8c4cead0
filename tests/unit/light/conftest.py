"""A served chain, its documents, and an authority that seals anything."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from light.verify import Trust
from tests.model.small_chain import ALICE_KEY, BOB, BOB_KEY, CAROL, DAVE
from tests.node_bench import NodeBench, text

from .forger import Forger

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
HEAD = 37
NOBODY = text(bytes(19) + b"\x07")


@pytest.fixture(scope="session")
def forger() -> Forger:
    return Forger()


@pytest.fixture(scope="session")
def served() -> Iterator[SimpleNamespace]:
    """A chain of 37 blocks, with the node's documents by name, and the pool of the handshake."""
    bench = NodeBench()
    pool = bench.new_pool(1000, 1500, 50)
    raws = [bench.transfer(ALICE_KEY, BOB, amount, nonce=1 + amount) for amount in range(1, 5)]
    transfers = bench.commit(bench.transfer(ALICE_KEY, DAVE, 1), *raws)
    bench.commit(bench.payment(BOB_KEY, pool, 300))
    slashed = bench.new_pool(100, 1500, 40)
    bench.commit(bench.payment(BOB_KEY, slashed, 101))
    bench.mine(HEAD - 1 - bench.node.view().height)
    last = bench.commit(bench.transfer(BOB_KEY, CAROL, 1))[0]
    assert bench.node.view().height == HEAD
    yield SimpleNamespace(
        bench=bench,
        trust=Trust(bench.genesis.authority, bench.domain.genesis_hash),
        documents=_documents(bench, pool, transfers[2], last),
        pool=pool,
        slashed=slashed,
    )
    bench.close()


def _documents(bench: NodeBench, pool: str, transfer: str, last: str) -> dict[str, Json]:
    def state(block: str = "latest", **key: Any) -> Json:
        found: Json = bench.call("proof_getState", key, block)
        return found

    return {
        "creation": bench.call("proof_getTransaction", pool),
        "one of five": bench.call("proof_getTransaction", transfer, "0x10"),
        "in the head": bench.call("proof_getTransaction", last),
        "header": bench.call("proof_getHeader", "0x5"),
        "block 0": bench.call("proof_getHeader", "0x0", "0x8"),
        "head": bench.call("proof_getHeader", hex(HEAD)),
        "consistency": bench.call("proof_getConsistency", "0x7", "latest"),
        "power of two": bench.call("proof_getConsistency", "0x8", "0x17"),
        "from block 0": bench.call("proof_getConsistency", "0x0", "latest"),
        "equal heads": bench.call("proof_getConsistency", "latest", "latest"),
        "equal blocks 0": bench.call("proof_getConsistency", "0x0", "0x0"),
        "pool": state(cptxHash=pool),
        "target": state(cptxHash=pool, target=text(BOB)),
        "account": state(account=text(BOB)),
        "burned": state(burned=True),
        "no pool": state(cptxHash=pool[:-1] + ("0" if pool[-1] != "0" else "1")),
        "no target": state(cptxHash=pool, target=text(CAROL)),
        "no account": state(account=NOBODY),
        "nothing burned yet": state("0x2", burned=True),
        "state of block 0": state("0x0", account=text(BOB)),
    }

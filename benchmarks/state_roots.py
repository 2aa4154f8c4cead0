"""The state roots that the blocks of a large chain name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, repeat

from crypto.state_proof import EMPTY_ROOT
from ledger.genesis import Genesis
from ledger.records import tree_key
from ledger.state_tree import StateTree
from ledger.transition import BlockExecution

from .bench_chain import signed_by
from .large_plan import Body, Plan, creator


def state_roots(
    plan: Plan, genesis: Genesis, bodies: Sequence[Body], pools: Sequence[bytes], last: bytes
) -> Iterator[bytes]:
    """Yield the root of every block from 1 on, without end; `last` is that of the state after all transactions."""
    if not plan.executed:
        first = _Executed(genesis).root
        return chain(repeat(first, len(bodies) - 1), repeat(last))
    return _executed_roots(plan, genesis, bodies, pools)


def _executed_roots(plan: Plan, genesis: Genesis, bodies: Sequence[Body], pools: Sequence[bytes]) -> Iterator[bytes]:
    state = _Executed(genesis)
    numbers = {cptx_hash: number for number, cptx_hash in enumerate(pools)}
    for height, body in enumerate(bodies, 1):
        execution = BlockExecution(state, height, genesis)
        for at, raw in enumerate(_raws(body)):
            cptx_hash = body.hashes[at * 32 : at * 32 + 32] if raw[0] == 2 else raw[65:97]
            pool = numbers[cptx_hash]
            signers = (creator(pool),) if raw[0] == 2 else (creator(pool), plan.payee(pool))
            execution.apply(signed_by(raw, *signers))
        state.put(execution.finish().changes)
        yield state.root
    yield from repeat(state.root)


def _raws(body: Body) -> Iterator[bytes]:
    at = 4
    while at < len(body.transactions):
        end = at + 4 + int.from_bytes(body.transactions[at : at + 4], "big")
        yield body.transactions[at + 4 : end]
        at = end


class _Executed:
    """A state in memory (ledger.state.StateReader) in which no pool is ever due."""

    def __init__(self, genesis: Genesis) -> None:
        self._records: dict[bytes, bytes] = {}
        self._pages: dict[bytes, bytes] = {}
        self._tree = StateTree(self._pages.get, EMPTY_ROOT)
        self.put(genesis.allocations())

    @property
    def root(self) -> bytes:
        return self._tree.root

    def get(self, key: bytes) -> bytes | None:
        return self._records.get(key)

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        del height, limit
        return []

    def put(self, changes: Mapping[bytes, bytes | None]) -> None:
        update = self._tree.update({tree_key(key): record for key, record in changes.items()})
        self._tree.adopt(update)
        for held, new in ((self._pages, update.pages), (self._records, changes)):
            held |= {key: value for key, value in new.items() if value is not None}

"""Thousands of submissions, blocks and simulations against a mempool without indexes or shortcuts.

After every step both hold the same, judged the same; caps hold; and what is inside the real one is what its content
needs and nothing more.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from consensus.mempool import Mempool
from ledger.errors import Refusal
from tests.model.signing import address_of
from tests.unit.consensus.naive_mempool import NaiveMempool
from tests.unit.consensus.traffic import PEOPLE, Traffic
from tests.unit.consensus.world import START, World, contents, funded

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.executed import ExecutedBlock
    from ledger.transaction import AnyTransaction

STEPS = 130


class Fuzz:
    """One run; everything in it follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        capacity = self.random.choice((6, 15, 40))
        self.world = World(
            capacity=capacity,
            alloc=funded(*map(address_of, PEOPLE[:3]), amount=self.random.choice((3_000, 100_000))),
            reward=hex(self.random.choice((0, 100))),
            maxBlockTransactions=hex(self.random.choice((3, 8, 100))),
        )
        self.naive = NaiveMempool(self.world.genesis, self.world.store.state(), 0, capacity)
        self.make = Traffic(self.world, self.random).make

    @property
    def mempool(self) -> Mempool:
        return self.world.mempool

    def step(self) -> None:
        act = self.random.choices(
            (self.submit, self.simulate, self.mine_pending, self.mine_foreign, self.mine_empty), (80, 5, 5, 3, 1)
        )[0]
        act()
        self.check()

    def submit(self) -> None:
        transaction, before = self.make(), contents(self.mempool)
        wanted = _outcome(self.naive.add, transaction)
        found = _outcome(lambda it: {drop.transaction.hash for drop in self.mempool.add(it)}, transaction)
        assert found == wanted
        if isinstance(found, set):
            assert all(self.mempool.dropped(gone) is not None for gone in found)
        else:
            assert contents(self.mempool) == before

    def simulate(self) -> None:
        transaction = self.make()
        found = [
            _outcome(judge, transaction) for judge in (self.naive.judge, lambda it: self.mempool.judge(it).receipt)
        ]
        assert found[0] == found[1]

    def mine_pending(self) -> None:
        limits = self.random.choice((3, 10, 100)), self.random.choice((500, 2_000, 10**6))
        selected = self.mempool.select(*limits)
        assert selected == self.naive.select(*limits)
        built = self.world.authority.produce(selected, START)
        assert not selected or selected[0].hash in built.executed.transaction_hashes
        self.follow([built.executed])

    def mine_foreign(self) -> None:
        """A block of transactions that never were here, some with the content of pending ones."""
        strangers = [self.make() for _ in range(self.random.randrange(12))]
        self.follow([self.world.authority.produce(strangers, START).executed])

    def mine_empty(self) -> None:
        self.follow(list(self.world.authority.produce_empty(self.random.choice((1, 2, 3)), START)))

    def follow(self, blocks: list[ExecutedBlock]) -> None:
        included = {transaction_hash for executed in blocks for transaction_hash in executed.transaction_hashes}
        wanted = self.naive.on_block(self.world.store.state(), self.world.height, included)
        assert {drop.transaction.hash for drop in self.world.follow(blocks)} == wanted

    def check(self) -> None:
        lanes = self.mempool._lanes
        assert {entry.hash: entry.receipt for entry in lanes.by_hash.values()} == self.naive.receipts()
        assert len(self.mempool) <= self.naive.capacity
        view = self.world.store.view()
        assert all(view.location(pending) is None for pending in lanes.by_hash)
        assert all(self.mempool.dropped(pending) is None for pending in lanes.by_hash)
        self._check_indexes()

    def _check_indexes(self) -> None:
        lanes = self.mempool._lanes
        watched, expiring = 0, 0
        for key, queue in lanes._queues.items():
            positions = [entry.lane.position for entry in queue.entries]
            assert positions == list(range(positions[0], positions[0] + len(positions)))
            assert len(positions) <= 16 or not queue.lane.pools
            assert all(entry.lane.key == key and lanes.by_hash[entry.hash] is entry for entry in queue.entries)
            others = [watch for watch in queue.lane.watches if watch != key]
            assert all(key in lanes._index.watching(watch) for watch in others)
            watched += len(others)
            expiring += 2 * bool(queue.lane.pools)
        assert sum(len(queue.entries) for queue in lanes._queues.values()) == len(lanes.by_hash)
        assert len(lanes._index) == watched + expiring
        slashing = {entry.receipt.cptx_hash: entry for entry in lanes.by_hash.values() if entry.is_double_spend}
        assert lanes._double_spends == slashing
        assert len(lanes.fees) <= 2 * len(lanes.by_hash) + 64
        ranks = [(entry.fee, -entry.arrival) for entry in lanes.by_hash.values()]
        cheapest = lanes.fees.cheapest()
        assert (cheapest and (cheapest.fee, -cheapest.arrival)) == min(ranks, default=None)


def _outcome(act: Callable[[AnyTransaction], object], transaction: AnyTransaction) -> object:
    """What comes of it, or the reason of the refusal."""
    try:
        return act(transaction)
    except Refusal as refusal:
        return refusal.reason


@pytest.mark.parametrize("seed", range(12))
def test_a_mempool_holds_what_the_protocol_says(seed: int) -> None:
    fuzz = Fuzz(seed)
    for step in range(STEPS):
        try:
            fuzz.step()
        except AssertionError as error:
            error.add_note(f"seed {seed}, step {step}")
            raise

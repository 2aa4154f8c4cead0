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
from ledger.records import Account, Target, account_key, target_key
from tests.model.signing import address_of
from tests.model.small_chain import ALICE_KEY, AUTHORITY_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY
from tests.unit.consensus.naive_mempool import NaiveMempool
from tests.unit.consensus.world import START, World, contents, funded

if TYPE_CHECKING:
    from collections.abc import Callable

    from ledger.executed import ExecutedBlock
    from ledger.transaction import AnyTransaction

PEOPLE = (ALICE_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY, AUTHORITY_KEY)
CREATORS = (ALICE_KEY, BOB_KEY)
FEES = (10, 10, 11, 12, 15, 22, 50, 400)
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
        self.greedy = self.random.random() < 0.5
        self.pools: list[tuple[bytes, AnyTransaction]] = []
        self.sent: list[tuple[bytes, AnyTransaction]] = []

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

    def make(self) -> AnyTransaction:
        kind = self.random.choices(("transfer", "create", "pay", "again"), (8, 3, 25, 1))[0]
        pools = [(key, pool) for key, pool in self.pools if self._is_known(pool) or self.random.random() < 0.02]
        if kind == "create" or (kind == "pay" and not pools):
            return self._create()
        if kind == "pay":
            return self._pay(*self.random.choice(pools))
        if kind == "again" and self.sent:
            key, transaction = self.random.choice(self.sent[-10:])
            return self.world.again(key, transaction, self.random.randrange(2, 100))
        return self._transfer()

    def _is_known(self, pool: AnyTransaction) -> bool:
        return self.mempool.get(pool.hash) is not None or self.world.store.view().location(pool.hash) is not None

    def _nonce(self, key: bytes) -> int:
        account = account_key(address_of(key))
        record = self.world.store.state().get(account)
        committed = Account.decode(record).nonce if record else 0
        following = self.mempool.next_position(account) or committed
        return max(0, self.random.choice((*[following] * 6, following - 1, following + 1, committed, committed - 1)))

    def _transfer(self) -> AnyTransaction:
        key, to = self.random.choice(PEOPLE), self.random.choice(PEOPLE)
        amount, fee = self.random.choice((0, 1, 1, 1, 30, 900, 2_400)), self.random.choice((*FEES, 9))
        return self._note(key, self.world.transfer(key, self._nonce(key), fee, to=address_of(to), amount=amount))

    def _create(self) -> AnyTransaction:
        key = self.random.choice(CREATORS)
        deposit = self.random.choice((40, 300, 400))
        creation = self.world.create(
            self._nonce(key),
            self.random.choice(FEES),
            key=key,
            deposit=deposit,
            collateral=deposit + self.random.choice((0, 1, 1, 1, 60, 60, 500)),
            duration=self.random.choice((2, 5, 15, 30)),
        )
        self.pools = [*self.pools[-3:], (key, creation)]
        return self._note(key, creation)

    def _pay(self, creator: bytes, creation: AnyTransaction) -> AnyTransaction:
        key = self.random.choice(PEOPLE)
        place = target_key(creation.hash, address_of(key))
        record = self.world.store.state().get(place)
        committed = Target.decode(record).seq if record else 0
        following = self.mempool.next_position(place) or committed + 1
        seq = max(1, self.random.choice((*[following] * 6, following - 1, following - 1, following + 1, 1)))
        deposit = creation.fields.deposit
        small, large = (seq, 12 * seq), (deposit // 3 + seq, deposit // 2 + seq)
        usual = large if self.greedy else small
        amount = self.random.choice(
            (0, *usual * 4, *small, *large, deposit, self.random.choice((deposit + 1, 12 * seq)))
        )
        fee = self.random.choice((*FEES, 10**6))
        if self.random.random() < 0.05:
            creator = self.random.choice(PEOPLE)
        return self._note(key, self.world.pay(key, creation.hash, amount, seq, fee, creator=creator))

    def _note(self, key: bytes, transaction: AnyTransaction) -> AnyTransaction:
        self.sent.append((key, transaction))
        return transaction

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
            assert all(key in lanes._index.watching(watch) for watch in queue.lane.watches)
            watched += len(queue.lane.watches)
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

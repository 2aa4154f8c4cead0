"""Random transactions of five people and a few pools: most are valid, and every rule gets broken now and then."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from ledger.errors import Refusal
from ledger.records import Account, Target, account_key, target_key
from tests.model.signing import address_of
from tests.model.small_chain import ALICE_KEY, AUTHORITY_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY
from tests.unit.consensus.world import START, World, funded

if TYPE_CHECKING:
    from ledger.transaction import AnyTransaction

PEOPLE = (ALICE_KEY, BOB_KEY, CAROL_KEY, DAVE_KEY, AUTHORITY_KEY)
CREATORS = (ALICE_KEY, BOB_KEY)
FEES = (10, 10, 11, 12, 15, 22, 50, 400)


class Traffic:
    """Makes transactions that fit what a world has committed and pending."""

    def __init__(self, world: World, chooser: random.Random) -> None:
        self.world = world
        self.random = chooser
        self.greedy = chooser.random() < 0.5
        self.pools: list[tuple[bytes, AnyTransaction]] = []
        self.sent: list[tuple[bytes, AnyTransaction]] = []

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

    def submit(self, count: int) -> None:
        """Offer so many to the mempool; what it refuses is forgotten."""
        for _ in range(count):
            transaction = self.make()
            try:
                self.world.mempool.add(transaction)
            except Refusal:
                continue

    def _is_known(self, pool: AnyTransaction) -> bool:
        return self.world.mempool.get(pool.hash) is not None or self.world.store.view().location(pool.hash) is not None

    def _nonce(self, key: bytes) -> int:
        account = account_key(address_of(key))
        record = self.world.store.state().get(account)
        committed = Account.decode(record).nonce if record else 0
        following = self.world.mempool.next_position(account) or committed
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
            resource=bytes([self.random.randrange(3)]) * 32,
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
        following = self.world.mempool.next_position(place) or committed + 1
        seq = max(1, self.random.choice((*[following] * 6, following - 1, following - 1, following + 1, 1)))
        deposit = creation.fields.deposit
        small, large = (seq, 12 * seq), (deposit // 3 + seq, deposit // 2 + seq)
        usual = large if self.greedy else small
        rare = self.random.choice((deposit + 1, 12 * seq))
        amount = self.random.choice((0, *usual * 9, *small, *large, deposit, rare))
        fee = self.random.choice((*FEES, 10**6))
        if self.random.random() < 0.05:
            creator = self.random.choice(PEOPLE)
        return self._note(key, self.world.pay(key, creation.hash, amount, seq, fee, creator=creator))

    def _note(self, key: bytes, transaction: AnyTransaction) -> AnyTransaction:
        self.sent.append((key, transaction))
        return transaction


def busy_world(seed: int, blocks: int) -> World:
    """A chain of at least so many blocks with pools in every state; some blocks are empty and share a commit."""
    world = World(alloc=funded(*map(address_of, PEOPLE[:3]), amount=10**6))
    live(world, random.Random(seed), blocks)
    return world


def live(world: World, chooser: random.Random, blocks: int) -> None:
    """Go on for at least so many blocks."""
    traffic = Traffic(world, chooser)
    end = world.height + blocks
    while world.height < end:
        traffic.submit(chooser.randrange(5, 20))
        world.mine_pending()
        if chooser.random() < 0.2:
            world.follow(world.authority.produce_empty(chooser.randrange(1, 4), START + world.height))

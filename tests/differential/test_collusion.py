"""Theorem IV.1, played out: no coalition gains by over-signing, whoever else is in it.

A small game against the real ledger, searched to its end. The coalition is the creator, a colluding payee and the
authority, which orders and inserts transactions, takes every fee and may be a payee itself. Two honest payees hold
what the creator has signed for them, and publish all of it before the pool expires. The coalition moves as it likes:
it lets the next honest settlement pass, or inserts one of its own, of any amount and fee.

Assumptions of the paper: a settlement that was broadcast gets into a block; the deposit covers the value of the
resource, so that what the creator enjoys is worth no more than the deposit, however often it was promised.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from crypto.hashing import keccak256
from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.records import Account, Pool, PoolStatus, account_key, pool_key
from ledger.state import State
from ledger.transaction import Context, Transaction
from ledger.transition import BlockExecution, apply_transaction
from tests.model.small_chain import AUTHORITY
from tests.workbench import Records, make_genesis
from txtypes.create_pool import CREATE_POOL, CreatePoolFields
from txtypes.service_payment import SERVICE_PAYMENT, ServicePaymentFields

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATOR, COLLUDER, FIRST, SECOND = (bytes([number]) * 20 for number in range(1, 5))
COALITION = (CREATOR, COLLUDER, AUTHORITY)
FEE, REWARD, FUNDS, LIFE = 1, 2, 200, 5
GENESIS = make_genesis(
    minFee=hex(FEE),
    reward=hex(REWARD),
    alloc={"0x" + who.hex(): hex(FUNDS) for who in (CREATOR, COLLUDER, AUTHORITY, FIRST, SECOND)},
)
NEVER = -(10**9)


class Payment(NamedTuple):
    """A payment that its target publishes for a fee."""

    target: bytes
    amount: int
    seq: int
    fee: int


class Best(NamedTuple):
    """The most that the coalition can have won in the end."""

    anyhow: int
    """Not counting the fees of honest settlements: they are the price of a block, whoever seals it."""
    slashed: int
    """Where the pool was slashed on the way, and with every fee."""


class Position(NamedTuple):
    """A state of the ledger and the honest payments that are still to come, each payee's in their order."""

    records: tuple[tuple[bytes, bytes], ...]
    honest: tuple[tuple[Payment, ...], ...]


class Game:
    """One pool; what was found about a position is kept for all plays that come to it."""

    def __init__(self, deposit: int, collateral: int, *, censoring: bool = False) -> None:
        self.deposit = deposit
        self.collateral = collateral
        self.censoring = censoring
        start = Records(GENESIS.allocations())
        self.stake = wealth(start)
        fields = CreatePoolFields(bytes(32), deposit, collateral, LIFE, FEE, 0)
        creation = Transaction(CREATE_POOL, b"pool", keccak256(b"pool"), fields, (CREATOR,))
        state = State(start)
        self.pool = apply_transaction(state, creation, Context(1, GENESIS)).cptx_hash
        self.start = start.after(state.changes())
        self.best = cache(self.search)

    def play(self, honest: tuple[tuple[Payment, ...], ...], value: int) -> Best:
        """The best that the coalition can do, that enjoys this value, when these payments are published."""
        best = self.best(Position(tuple(sorted(self.start.all.items())), honest))
        return Best(best.anyhow + value, best.slashed + value)

    def search(self, position: Position) -> Best:
        records = Records(dict(position.records))
        best = Best(NEVER, NEVER)
        if self.censoring or not any(position.honest):
            best = self.ending(records)
        for payment, rest in self.moves(records, position.honest):
            is_honest = rest != position.honest
            outcome = self.publish(records, payment)
            if outcome is None:
                # Refused: an honest payment is lost, another one was no move at all.
                if is_honest:
                    best = better(best, self.best(Position(position.records, rest)))
                continue
            after, receipt = outcome
            found = self.best(Position(tuple(sorted(after.all.items())), rest))
            price = receipt.fee if is_honest and receipt.outcome is Outcome.SETTLED else 0
            best = better(best, Best(found.anyhow - price, found.slashed))
        return best

    def moves(
        self, records: Records, honest: tuple[tuple[Payment, ...], ...]
    ) -> Iterator[tuple[Payment, tuple[tuple[Payment, ...], ...]]]:
        """The next honest payment of either payee, or any of the coalition's own."""
        for at, queue in enumerate(honest):
            if queue:
                yield queue[0], (*honest[:at], queue[1:], *honest[at + 1 :])
        if Pool.decode(records.all[pool_key(self.pool)]).status is not PoolStatus.OPEN:
            return
        for target in (COLLUDER, AUTHORITY):
            had = State(records).target(self.pool, target)
            amounts = (*range(had.paid + 1, self.deposit + 2), 10 * (self.deposit + self.collateral))
            for amount, fee in product(amounts, (FEE, self.collateral, FUNDS // 2)):
                yield Payment(target, amount, had.seq + 1, fee), honest

    def publish(self, records: Records, payment: Payment) -> tuple[Records, Receipt] | None:
        """Apply a settlement for real; None where it is refused."""
        fields = ServicePaymentFields(payment.target, payment.amount, self.pool, payment.seq, payment.fee)
        transaction = Transaction(SERVICE_PAYMENT, b"", bytes(32), fields, (CREATOR, payment.target))
        state = State(records)
        try:
            receipt = apply_transaction(state, transaction, Context(2, GENESIS))
        except Refusal:
            return None
        if receipt.outcome is Outcome.SLASHED:
            assert receipt.burned >= self.deposit + 1
            assert receipt.burned + receipt.reward == self.collateral
        return records.after(state.changes()), receipt

    def ending(self, records: Records) -> Best:
        """Let the pool expire and count."""
        slashed = Pool.decode(records.all[pool_key(self.pool)]).status is PoolStatus.SLASHED
        expiry = BlockExecution(records, 1 + LIFE, GENESIS).finish()
        # The fee of the creation goes round within the coalition.
        won = wealth(records.after(expiry.changes)) - self.stake
        return Best(won, won if slashed else NEVER)


def better(one: Best, other: Best) -> Best:
    return Best(max(one.anyhow, other.anyhow), max(one.slashed, other.slashed))


def wealth(records: Records) -> int:
    """What the coalition has outside of pools."""
    found = (records.get(account_key(who)) for who in COALITION)
    return sum(Account.decode(record).balance for record in found if record)


def promises(target: bytes, deposit: int) -> Iterator[tuple[Payment, ...]]:
    """All that the creator may have signed for one honest payee: nothing, one payment, or one after another."""
    for count in (0, 1, 2):
        for amounts in combinations(range(1, deposit + 1), count):
            yield tuple(Payment(target, amount, seq, FEE) for seq, amount in enumerate(amounts, 1))


def promised(queue: tuple[Payment, ...]) -> int:
    return queue[-1].amount if queue else 0


def plays(deposit: int, collateral: int) -> Iterator[tuple[int, Best]]:
    """(sum promised, best) for everything that two honest payees can have been promised, up to swapping them."""
    game = Game(deposit, collateral)
    for first in promises(FIRST, deposit):
        for second in promises(SECOND, deposit):
            total = promised(first) + promised(second)
            if promised(first) <= promised(second):
                yield total, game.play((first, second), min(total, deposit))


@pytest.mark.parametrize(
    ("deposit", "collateral"),
    # From the least collateral, over what the reward can just use, to more than that.
    [(1, 2), (1, 3), (1, 5), (1, 6), (2, 3), (2, 4), (2, 6), (2, 9), (3, 4), (3, 12)],
)
def test_no_coalition_gains(deposit: int, collateral: int) -> None:
    for total, best in plays(deposit, collateral):
        assert best.anyhow <= 0
        assert best.slashed <= -1
        if total <= deposit:
            assert best.anyhow == 0, "honest conduct costs the value and nothing more"
        else:
            assert best.anyhow == best.slashed, "over-signing is always found out"


# The same search finds the gains that there are where an assumption of the paper does not hold.


def over_signed(deposit: int) -> tuple[tuple[Payment, ...], ...]:
    return (Payment(FIRST, deposit, 1, FEE),), (Payment(SECOND, deposit, 1, FEE),)


def test_leaving_out_settlements_would_win() -> None:
    assert Game(3, 4, censoring=True).play(over_signed(3), value=3).anyhow == 3


@pytest.mark.parametrize("collateral", [4, 7, 12])
def test_copies_that_are_all_worth_something_would_win(collateral: int) -> None:
    """Whatever the collateral: a friend's report burns no more of it than deposit + 1."""
    assert Game(3, collateral).play(over_signed(3), value=6).slashed == 6 - (3 + 1)


def test_search_knows_the_price_of_honest_conduct() -> None:
    honest = ((Payment(FIRST, 1, 1, FEE), Payment(FIRST, 2, 2, FEE)), (Payment(SECOND, 1, 1, FEE),))
    game = Game(3, 12)
    assert game.play(honest, value=3).anyhow == 0
    assert game.play(honest, value=0).anyhow == -3

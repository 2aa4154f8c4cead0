"""Random double spends with large amounts and many payees: who ends with what.

`POOLCHAIN_SCENARIOS` says how many pools live and die here.
"""

from __future__ import annotations

import os
import random

import pytest

from crypto.hashing import keccak256
from ledger import supply
from ledger.errors import Refusal
from ledger.receipt import Outcome
from ledger.records import Account, Pool, PoolStatus, Target, account_key, pool_key, target_key
from ledger.state import State
from ledger.transaction import Context, Transaction
from ledger.transition import BlockExecution, apply_transaction
from tests.model.small_chain import AUTHORITY
from tests.workbench import Records, make_genesis
from txtypes.create_pool import CREATE_POOL, CreatePoolFields
from txtypes.service_payment import SERVICE_PAYMENT, ServicePaymentFields

SCENARIOS = int(os.environ.get("POOLCHAIN_SCENARIOS", "2000"))
PARTS = 4
TOKEN = 10**18
FEE, REWARD, LIFE = 10**12, TOKEN, 10
CREATOR = b"\xc0" * 20
PAYEES = [bytes([number]) * 20 for number in range(1, 7)]
GENESIS = make_genesis(
    minFee=hex(FEE),
    reward=hex(REWARD),
    alloc={"0x" + CREATOR.hex(): hex(10**9 * TOKEN), **{"0x" + who.hex(): hex(TOKEN) for who in PAYEES}},
)


class Scenario:
    """One pool, signed over and over; some payees are the creator's friends, and so is the authority."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)
        self.friends = {CREATOR, AUTHORITY, *self.chance.sample(PAYEES, self.chance.randrange(len(PAYEES) + 1))}
        self.deposit = self.chance.choice((1, 2, 1000, TOKEN, self.chance.randrange(1, 1000 * TOKEN)))
        more = (1, 2, 1 + REWARD + 10 * FEE, self.deposit, self.chance.randrange(1, 3 * self.deposit + 2))
        self.collateral = self.deposit + self.chance.choice(more)
        self.start = Records(GENESIS.allocations())
        fields = CreatePoolFields(bytes(32), self.deposit, self.collateral, LIFE, FEE, 0)
        state = State(self.start)
        creation = Transaction(CREATE_POOL, b"", keccak256(b"pool"), fields, (CREATOR,))
        self.pool = apply_transaction(state, creation, Context(1, GENESIS)).cptx_hash
        self.records = self.start.after(state.changes())
        self.signed = dict.fromkeys(PAYEES, 0)
        self.slashed = False

    def play(self) -> None:
        """Settle some promises in some order, then let the pool expire."""
        for _ in range(self.chance.randrange(1, 12)):
            target = self.chance.choice(PAYEES)
            had = State(self.records).target(self.pool, target)
            step = self.chance.choice((1, self.deposit // 5 + 1, self.deposit, self.deposit + 1, 2**90))
            fee = self.chance.choice((FEE, 2 * FEE, TOKEN // 2, 2**100))
            self.settle(ServicePaymentFields(target, had.paid + step, self.pool, had.seq + 1, fee))
        expiry = BlockExecution(self.records, 1 + LIFE, GENESIS).finish()
        self.records = self.records.after(expiry.changes)

    def settle(self, fields: ServicePaymentFields) -> None:
        state = State(self.records)
        self.signed[fields.target] = max(self.signed[fields.target], fields.amount)
        transaction = Transaction(SERVICE_PAYMENT, b"", bytes(32), fields, (CREATOR, fields.target))
        try:
            receipt = apply_transaction(state, transaction, Context(2, GENESIS))
        except Refusal as refusal:
            possible = {"POOL_SLASHED"} if self.slashed else {"INSUFFICIENT_BALANCE"}
            assert {refusal.reason} == possible  # noqa: PT017
            return
        assert not self.slashed
        self.slashed = receipt.outcome is Outcome.SLASHED
        before = self.balance(fields.target)
        self.records = self.records.after(state.changes())
        if self.slashed:
            assert self.balance(fields.target) >= before
            assert receipt.burned > self.deposit

    def balance(self, who: bytes, records: Records | None = None) -> int:
        record = (records or self.records).get(account_key(who))
        return Account.decode(record).balance if record else 0

    def check(self) -> None:
        """The outcome of a pool that is closed, one way or the other."""
        counted = supply.count(self.records.all.items())
        supply.check(counted, GENESIS)
        pool = Pool.decode(self.records.all[pool_key(self.pool)])
        assert pool.status is (PoolStatus.SLASHED if self.slashed else PoolStatus.EXPIRED)
        assert counted.locked == 0
        total = 0
        for who in PAYEES:
            record = self.records.get(target_key(self.pool, who))
            paid = Target.decode(record).paid if record else 0
            assert paid <= self.signed[who]
            total += paid
        assert total == pool.spent <= self.deposit
        won = sum(self.balance(who) - self.balance(who, self.start) for who in self.friends)
        strangers = sum(self.balance(who) - self.balance(who, self.start) for who in set(PAYEES) - self.friends)
        assert won + strangers == -counted.burned
        if self.slashed:
            assert self.deposit < counted.burned <= self.collateral
        else:
            assert counted.burned == 0


@pytest.mark.parametrize("part", range(PARTS))
def test_scenarios(part: int) -> None:
    slashed = 0
    for number in range(SCENARIOS // PARTS):
        seed = f"{part} {number}"
        scenario = Scenario(seed)
        try:
            scenario.play()
            scenario.check()
        except AssertionError as error:
            raise AssertionError(f"seed '{seed}'") from error
        slashed += scenario.slashed
    assert slashed > SCENARIOS // PARTS // 3

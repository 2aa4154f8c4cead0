"""What must hold after every step, whatever is sent: supply, pools, sequences, nonces, roots.

Hypothesis draws transactions, valid ones and near misses, damaged bytes, repetitions and block boundaries; after each
of them everything is counted anew from all records and the root of the real state tree is compared with the root of
these records.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger import supply
from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.records import Account, Pool, PoolStatus, Target, account_key, decode_burned, pool_key, tree_key
from ledger.state_tree import StateTree, TreeUpdate
from ledger.supply import Supply
from ledger.tree_build import build_pages
from tests.model import signing
from tests.workbench import LARGEST, Records, Workbench

if TYPE_CHECKING:
    from ledger.transaction import AnyTransaction

KEYS = [signing.key_of(number) for number in range(50, 55)]
PEOPLE = [signing.address_of(key) for key in KEYS]
AUTHORITY = PEOPLE[0]
FUNDS = 3000

number = st.integers(0, 5)
person = st.integers(0, len(PEOPLE) - 1)
# Mostly right, now and then beside it.
slip = st.sampled_from((0,) * 14 + (1, -1))
fee_over = st.sampled_from((0,) * 9 + (1, 5, 60, 61, -1, LARGEST))
rich = st.sampled_from((1, 2, 3, 1, 2, 3, 0, 4))


class Slash(NamedTuple):
    """How the collateral of a slashed pool was divided."""

    burned: int
    reward: int


class LedgerMachine(RuleBasedStateMachine):
    """One chain under attack."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Workbench(
            1,
            authority="0x" + AUTHORITY.hex(),
            alloc={"0x" + who.hex(): hex(FUNDS) for who in PEOPLE[1:-1]},
            minFee="0x3",
            reward="0x7",
            minDuration="0x1",
            maxDuration="0x6",
        )
        self.pages: dict[bytes, bytes] = {}
        items = sorted((tree_key(key), record) for key, record in self.bench.records.all.items())
        self.tree = StateTree(self.pages.get, build_pages(items, self.pages.__setitem__), 0)
        self.supply = Supply(self.bench.genesis.supply, 0, 0)
        self.sent: list[bytes] = []
        self.nonces = dict.fromkeys(PEOPLE, 0)
        self.pools: list[bytes] = []
        self.slashes: dict[bytes, Slash] = {}
        self.returned: dict[bytes, int] = {}
        self.seen = self.bench.now()

    # Steps

    def submit(self, raw: bytes) -> None:
        """Send a transaction; a refusal leaves no trace, an acceptance exactly the receipt's."""
        self.sent.append(raw)
        bench = self.bench
        before, receipts, root = bench.now(), bench.result().receipts, self.tree_update().root
        try:
            transaction = bench.decode(raw)
            receipt = bench.execution.apply(transaction)
        except Refusal:
            assert dict(bench.now().all) == dict(before.all)
            assert bench.result().receipts == receipts
            assert self.tree_update().root == root
            return
        assert bench.result().receipts == (*receipts, receipt)
        self.note(transaction, receipt, before)

    def note(self, transaction: AnyTransaction, receipt: Receipt, before: Records) -> None:
        """Keep what an accepted transaction says it did, and see that the balances say so, too."""
        gains = dict.fromkeys(PEOPLE, 0)
        gains[AUTHORITY] += receipt.fee
        fields, sender = transaction.fields, transaction.sender
        gains[sender] -= receipt.fee
        if receipt.outcome in (Outcome.TRANSFERRED, Outcome.CREATED):
            self.nonces[sender] += 1
        match receipt.outcome:
            case Outcome.TRANSFERRED:
                gains[sender] -= fields.amount
                gains[fields.to] += fields.amount
            case Outcome.CREATED:
                assert fields.collateral > fields.deposit > 0
                gains[sender] -= fields.deposit + fields.collateral
                self.pools.append(receipt.cptx_hash)
            case Outcome.SETTLED:
                gains[sender] += receipt.paid
                assert (receipt.burned, receipt.reward) == (0, 0)
            case Outcome.SLASHED:
                gains[sender] += receipt.paid + receipt.reward
                assert gains[sender] >= 0
                assert receipt.cptx_hash not in self.slashes
                assert receipt.burned > self.bench.pool(receipt.cptx_hash).deposit
                self.slashes[receipt.cptx_hash] = Slash(receipt.burned, receipt.reward)
        after = self.bench.now()
        for who, gain in gains.items():
            assert balance(after, who) == balance(before, who) + gain
        assert burned(after) == burned(before) + receipt.burned

    def tree_update(self) -> TreeUpdate:
        """The real tree after what this block has changed so far."""
        changes = self.bench.result().changes
        return self.tree.update({tree_key(key): record for key, record in changes.items()})

    @rule(
        sender=rich,
        to=person,
        amount=st.integers(0, 60),
        everything=st.sampled_from((False,) * 5 + (True,)),
        over=fee_over,
        nonce=slip,
    )
    def transfer(self, sender: int, to: int, amount: int, everything: bool, over: int, nonce: int) -> None:
        fee = fee_of(over)
        account = self.bench.account(PEOPLE[sender])
        if everything:
            amount = max(account.balance - fee + amount % 3 - 1, 0)
        nonce = max(account.nonce + nonce, 0)
        self.submit(signing.transfer(KEYS[sender], self.bench.signing, PEOPLE[to], amount, fee, nonce))

    @rule(
        creator=rich,
        deposit=st.sampled_from((20, 1, 2, 3, 7, 30, 40, 100, 0)),
        more=st.sampled_from((11, 1, 2, 8, 9, 10, 12, 40, 41, 0)),
        duration=st.sampled_from((6, 3, 4, 5, 6, 1, 2, 0, 7)),
        over=fee_over,
        nonce=slip,
    )
    def create(self, creator: int, deposit: int, more: int, duration: int, over: int, nonce: int) -> None:
        fee = fee_of(over)
        nonce = max(self.bench.account(PEOPLE[creator]).nonce + nonce, 0)
        self.submit(
            signing.create_pool(
                KEYS[creator], self.bench.signing, bytes(32), deposit, deposit + more, duration, fee, nonce
            )
        )

    @initialize(durations=st.lists(st.sampled_from((6, 5, 2)), min_size=3, max_size=3))
    def begin(self, durations: list[int]) -> None:
        """Everybody with money has a pool."""
        for key, duration in zip(KEYS[1:], durations, strict=False):
            self.submit(signing.create_pool(key, self.bench.signing, bytes(32), 50, 61, duration, 3, 0))

    @rule(which=number, payee=person, due=st.sampled_from((3, 4, 5, 9, 12, 15, 1, 0)), over=fee_over)
    def settle(self, which: int, payee: int, due: int, over: int) -> None:
        self.publish(which, payee, due, over)

    @rule(which=number, payee=person, beside=st.sampled_from((0, 1, -1)), over=fee_over)
    def settle_the_rest(self, which: int, payee: int, beside: int, over: int) -> None:
        remaining = self.bench.pool(self.some_pool(which)).remaining
        self.publish(which, payee, max(remaining + beside, 0), over)

    @rule(which=number, payee=person, over=fee_over)
    def over_sign(self, which: int, payee: int, over: int) -> None:
        self.publish(which, payee, LARGEST, over)

    @rule(
        which=number,
        payee=person,
        slip=st.sampled_from((1, -1, 0)),
        signers=st.sampled_from(("right", "swapped", "payee twice", "creator twice")),
    )
    def settle_wrongly(self, which: int, payee: int, slip: int, signers: str) -> None:
        self.publish(which, payee, 5, 0, slip, signers)

    def publish(self, which: int, payee: int, due: int, over: int, slip: int = 0, signers: str = "right") -> None:
        """Submit a payment of `due` more than the payee has had."""
        name = self.some_pool(which)
        pool, record = self.bench.pool(name), self.bench.target(name, PEOPLE[payee])
        if PEOPLE[payee] == pool.creator and which < 5:
            payee = (payee + 1) % len(PEOPLE)
            record = self.bench.target(name, PEOPLE[payee])
        creator = KEYS[PEOPLE.index(pool.creator)]
        first, second = {
            "right": (creator, KEYS[payee]),
            "swapped": (KEYS[payee], creator),
            "payee twice": (KEYS[payee], KEYS[payee]),
            "creator twice": (creator, creator),
        }[signers]
        amount = min(record.paid + due, LARGEST)
        words = signing.payment_words(PEOPLE[payee], amount, name, max(record.seq + 1 + slip, 0))
        by_first = signing.sign_payment(first, self.bench.signing, words)
        self.submit(signing.settle(second, self.bench.signing, words, by_first, fee_of(over)))

    def some_pool(self, which: int) -> bytes:
        """An open pool mostly."""
        live = [name for name in self.pools if self.bench.pool(name).status is PoolStatus.OPEN]
        return live[-1 - which % len(live)] if live and which < 5 else self.pools[-1 - which % len(self.pools)]

    @precondition(lambda self: self.sent)
    @rule(
        how=st.sampled_from(("repeat", "flip", "flip", "garbage")),
        which=st.integers(0, 7),
        at=st.integers(0, 290),
        bit=st.integers(0, 7),
        garbage=st.binary(max_size=8),
    )
    def bend(self, how: str, which: int, at: int, bit: int, garbage: bytes) -> None:
        """What is damaged may be somebody else's transaction, who has nothing: it is refused in every case."""
        raw = bytearray(self.sent[-1 - which % len(self.sent)])
        if how == "flip" and raw:
            raw[at % len(raw)] ^= 1 << bit
        elif how == "garbage":
            raw[at % 300 :] = garbage
        receipts, known = self.bench.result().receipts, bytes(raw) in self.sent
        self.submit(bytes(raw))
        assert self.bench.result().receipts == receipts or known

    @rule(heights=st.sampled_from((1, 1, 1, 1, 2, 7)))
    def next_block(self, heights: int) -> None:
        """Commit the block to the tree, carry the supply along, begin another block and see who is paid back."""
        bench, result, update = self.bench, self.bench.result(), self.tree_update()
        for key, page in update.pages.items():
            if page is None:
                del self.pages[key]
            else:
                self.pages[key] = page
        self.tree.adopt(update)
        self.supply = supply.advance(self.supply, result.before, result.changes)
        before = bench.now()
        closed = bench.next_block(bench.height + heights)
        assert len(closed) <= 2
        refunds = dict.fromkeys(PEOPLE, 0)
        for name in closed:
            pool = bench.pool(name)
            assert name not in self.returned
            self.returned[name] = pool.remaining + pool.collateral
            refunds[pool.creator] += self.returned[name]
        for who, refund in refunds.items():
            assert balance(bench.now(), who) == balance(before, who) + refund
        due = [name for name in self.pools if bench.pool(name).status is PoolStatus.OPEN]
        assert len(closed) == 2 or all(bench.pool(name).expires_at > bench.height for name in due)

    # What holds after every step

    @invariant()
    def supply_is_what_it_was(self) -> None:
        counted = supply.count(self.bench.now().all.items())
        assert counted.total == self.bench.genesis.supply
        result = self.bench.result()
        assert supply.advance(self.supply, result.before, result.changes) == counted

    @invariant()
    def tree_has_the_root_of_all_records(self) -> None:
        assert self.tree.root == self.bench.records.root()
        assert self.tree_update().root == self.bench.now().root()

    @invariant()
    def pools_are_balanced(self) -> None:
        now = self.bench.now()
        paid = dict.fromkeys(self.pools, 0)
        for key, record in now.all.items():
            if key[:1] == b"t":
                paid[key[1:33]] += Target.decode(record).paid
        for name in self.pools:
            pool = Pool.decode(now.all[pool_key(name)])
            assert pool.collateral > pool.deposit
            assert paid[name] == pool.spent <= pool.deposit
            held = pool.deposit + pool.collateral
            match pool.status:
                case PoolStatus.OPEN:
                    assert pool.deposit == paid[name] + pool.remaining
                    assert pool.locked == held - paid[name]
                case PoolStatus.EXPIRED:
                    assert held == paid[name] + self.returned[name]
                    assert self.returned[name] == pool.remaining + pool.collateral
                case PoolStatus.SLASHED:
                    assert held == paid[name] + self.slashes[name].burned + self.slashes[name].reward
            assert (name in self.slashes) == (pool.status is PoolStatus.SLASHED)
            assert (name in self.returned) == (pool.status is PoolStatus.EXPIRED)

    @invariant()
    def nothing_goes_backwards(self) -> None:
        """Against the former step: sequences, totals, closed pools, the terms of pools, nonces, what was burned."""
        now, seen = self.bench.now(), self.seen
        for key, record in seen.all.items():
            match key[:1]:
                case b"p":
                    old, new = Pool.decode(record), Pool.decode(now.all[key])
                    assert replace(new, spent=old.spent, status=old.status) == old
                    assert old.spent <= new.spent
                    assert old.status is PoolStatus.OPEN or new == old
                case b"t":
                    was, become = Target.decode(record), Target.decode(now.all[key])
                    assert was.seq <= become.seq <= was.seq + 1
                    assert was.paid <= become.paid
                    assert (was.seq == become.seq) <= (was.paid == become.paid)
        assert burned(seen) <= burned(now)
        assert {who: account(now, who).nonce for who in PEOPLE} == self.nonces
        self.seen = now


def fee_of(over: int) -> int:
    """The minimum fee and so much more."""
    return min(3 + over, LARGEST)


def account(records: Records, who: bytes) -> Account:
    record = records.get(account_key(who))
    return Account.decode(record) if record else Account(0, 0)


def balance(records: Records, who: bytes) -> int:
    return account(records, who).balance


def burned(records: Records) -> int:
    return decode_burned(records.get(b"b"))


TestLedger = LedgerMachine.TestCase
TestLedger.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

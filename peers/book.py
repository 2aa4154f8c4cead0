"""A cacher's book on one pool: what was promised to it, what the chain has paid, what it may still accept.

Pure: no clock, no disk, no network. Amounts are totals over the life of the pool, in base units. *Unsettled* is the
newest promise minus what the newest committed state says was paid, so a settlement in flight counts in full: until it
is committed it is worth nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ledger.records import Pool, PoolStatus, Target

from .payment import Payment, Promise


class Declined(Exception):
    """A payment was not accepted; nothing changed. `reason` is one of docs/peers.md, section 4."""

    def __init__(self, reason: str, expected: str, given: object = "") -> None:
        """Say what was wrong with it."""
        super().__init__(f"{reason}: expected {expected}, given {given}")
        self.reason = reason
        self.expected = expected
        self.given = str(given)


@dataclass(frozen=True, slots=True)
class Caps:
    """How much a cacher lets stand unsettled in one pool."""

    unsettled_max: int
    """Absolute, in base units."""
    share_of_deposit: tuple[int, int] = (1, 2)
    """Numerator and denominator: by default half, so that n payees of about equal shares settle once each."""
    least: int = 0
    """The first payment: a cap below it would sell nothing from a small pool."""

    def limit(self, pool: Pool) -> int:
        """Return the most that may stand unsettled in a pool, in base units."""
        numerator, denominator = self.share_of_deposit
        return max(self.least, min(self.unsettled_max, pool.deposit * numerator // denominator))


class Book(NamedTuple):
    """One (pool, target) as the target sees it. Changes make new books."""

    cptx_hash: bytes
    target: bytes
    pool: Pool
    """The pool's record in the newest committed state."""
    record: Target
    """The target's own record in the newest committed state: settlements and their total."""
    height: int = 0
    """Of the block after which the two records were proven."""
    best: Payment | None = None
    """The newest payment, which replaces all older ones."""
    settling: Payment | None = None
    """The payment that a signed Settlement publishes, until that is committed."""
    settling_fee: int = 0
    """What that Settlement offers to the authority, in base units."""
    evidence: Payment | None = None
    """A payment beyond what remained, for which nothing was delivered: it proves the creator's double spend."""
    delivered: int = 0
    """The total price of what was delivered, `paid` included: what the next payment builds on."""

    @property
    def promised(self) -> int:
        """The total of the newest promise, at least what was paid already."""
        return max(self.best.promise.amount if self.best else 0, self.record.paid)

    @property
    def unsettled(self) -> int:
        """What would be lost if nothing were settled any more."""
        return self.promised - self.record.paid

    @property
    def next_seq(self) -> int:
        """The only tgtSeq that is accepted now: from the moment a Settlement is signed, the one behind it."""
        return (self.settling.promise.tgt_seq if self.settling else self.record.seq) + 1

    @property
    def is_open(self) -> bool:
        """Whether the pool can still pay, as far as the newest state says."""
        return self.pool.status is PoolStatus.OPEN

    @property
    def blocks_left(self) -> int:
        """How many blocks after `height` can still hold a settlement."""
        return max(0, self.pool.expires_at - self.height - 1)

    @property
    def publishable(self) -> Payment | None:
        """The payment that could be published now: none while another settlement is under way."""
        if self.settling is not None or not self.is_open:
            return None
        if (
            self.evidence is not None
            and self.evidence.promise.tgt_seq == self.next_seq
            and self._overspends(self.evidence)
        ):
            return self.evidence
        return self.best if self.best is not None and self.best.promise.tgt_seq == self.next_seq else None

    @property
    def proves_double_spend(self) -> bool:
        """Whether publishing would slash the pool: less remains than was promised."""
        return self.publishable is not None and self._overspends(self.publishable)

    def gain(self, fee: int, reward: int) -> int:
        """Return what the target would have from publishing now at this fee: negative if it would pay to do so.

        `reward` is the genesis reward; what a double spend pays is protocol.md's rule for the slash.
        """
        payment = self.publishable
        if payment is None:
            return 0
        if self._overspends(payment):
            rewarded = min(fee + reward, self.pool.collateral - self.pool.deposit - 1)
            return max(0, self.pool.remaining + rewarded - fee)
        return payment.promise.amount - self.record.paid - fee

    def fee_worth(self, reward: int) -> int:
        """Return the most that is worth offering for the settlement under way, in base units.

        A quarter of what it brings: what comes after it brings nothing to it, and the fee is paid out of it. For a
        double spend the slash pays more of a fee back than it takes, up to a sum (protocol.md's rule).
        """
        if self.settling is None:
            return 0
        due = self.settling.promise.amount - self.record.paid
        if due <= self.pool.remaining:
            return due // 4
        rewarded = self.pool.collateral - self.pool.deposit - 1
        return max((self.pool.remaining + rewarded) // 4, min(rewarded - reward, self.pool.remaining + rewarded - 1))

    def least_amount(self, price: int, first_amount: int) -> int:
        """Return the least total that pays for one more thing of this price."""
        first = self.record.paid + first_amount if self.best is None else 0
        return max(self.delivered + price, first)

    def accept(self, payment: Payment, signer: bytes, caps: Caps) -> Book:
        """Take a payment by `signer` into the book; raises Declined."""
        promise = payment.promise
        self._expect_ours(promise, signer)
        if self.best is not None and payment == self.best:
            return self
        if promise.tgt_seq != self.next_seq:
            raise Declined("WRONG_SEQUENCE", f"tgtSeq {self.next_seq}", promise.tgt_seq)
        if promise.amount < self.promised:
            raise Declined("PAYMENT_REQUIRED", f"a total of at least {self.promised}", promise.amount)
        due = promise.amount - self.record.paid
        if due > self.pool.remaining:
            raise Declined("DEPOSIT_DRAINED", f"at most {self.pool.remaining} above what was paid", due)
        if due > caps.limit(self.pool):
            raise Declined("CAP_REACHED", f"at most {caps.limit(self.pool)} unsettled", due)
        return self._replace(best=payment)

    def witness(self, payment: Payment, signer: bytes) -> Book:
        """Keep a payment that was declined because less remains: it is worth what remains and a reward.

        A creator that keeps its own sum never signs one, whatever the order of settlements. Raises Declined.
        """
        self._expect_ours(payment.promise, signer)
        if payment.promise.tgt_seq != self.next_seq or not self._overspends(payment):
            return self
        return self._replace(evidence=payment)

    def deliver(self, price: int) -> Book:
        """Note that something of this price was handed out."""
        return self._replace(delivered=self.delivered + price) if price else self

    def begin_settlement(self, fee: int) -> Book:
        """Note that a Settlement is about to be signed: its tgtSeq is spent from now on."""
        payment = self.publishable
        if payment is None:
            raise ValueError("nothing to settle, or a settlement is under way")
        return self._replace(settling=payment, settling_fee=fee)

    def offer(self, fee: int) -> Book:
        """Offer another fee for the settlement under way: the same payment in another Settlement."""
        return self._replace(settling_fee=fee)

    def follow(self, pool: Pool, record: Target, height: int) -> Book:
        """Go on to a newer committed state; an older one changes nothing."""
        if height < self.height:
            return self
        is_open = pool.status is PoolStatus.OPEN
        under_way = is_open and self.settling is not None and record.seq < self.settling.promise.tgt_seq
        return self._replace(
            pool=pool,
            record=record,
            height=height,
            settling=self.settling if under_way else None,
            settling_fee=self.settling_fee if under_way else 0,
            delivered=max(self.delivered, record.paid),
        )

    def _overspends(self, payment: Payment) -> bool:
        return payment.promise.amount - self.record.paid > self.pool.remaining

    def _expect_ours(self, promise: Promise, signer: bytes) -> None:
        if promise.cptx_hash != self.cptx_hash or promise.target != self.target:
            raise Declined("BAD_PAYMENT", "a payment from this pool to this cacher", f"0x{promise.target.hex()}")
        if signer != self.pool.creator:
            raise Declined("BAD_PAYMENT", f"a payment signed by 0x{self.pool.creator.hex()}", f"0x{signer.hex()}")
        if self.pool.status is not PoolStatus.OPEN:
            raise Declined("POOL_CLOSED", "an open pool", self.pool.status.name.lower())


@dataclass(frozen=True, slots=True)
class SettlePolicy:
    """When a cacher settles without being asked.

    Payees of about equal shares settle once each: early only at the cap, else when a viewer has gone quiet or time
    runs out.
    """

    fee: int
    """The fee of one settlement, in base units: nothing that is worth less is ever settled."""
    reward: int
    """The genesis reward for a double spend, in base units."""
    worth_factor: int = 20
    """Settle what has gone quiet only when it is at least this many times the fee."""
    quiet_seconds: float = 30.0
    """Without a payment for so long, a viewer has gone quiet."""
    margin_blocks: int = 50
    """With no more blocks left than this, everything that is worth its fee is settled."""

    def reason(self, book: Book, caps: Caps, moment: Moment) -> str | None:
        """Return why the book should be settled now, or None."""
        left = book.pool.expires_at - moment.height - 1
        if left <= 0 or book.gain(self.fee, self.reward) <= 0:
            return None
        quiet = moment.quiet_seconds >= self.quiet_seconds and book.unsettled >= self.worth_factor * self.fee
        reasons = (
            (book.proves_double_spend, "the creator has promised more than the deposit"),
            (left <= self.margin_blocks, f"{left} blocks are left"),
            (moment.is_closing, "shutting down"),
            (book.unsettled + moment.price > caps.limit(book.pool), "the cap is near"),
            (book.pool.remaining < book.unsettled + moment.price, "the pool runs low"),
            (quiet, "the viewer has gone quiet"),
        )
        return next((reason for holds, reason in reasons if holds), None)


class Moment(NamedTuple):
    """What a decision to settle depends on besides the book."""

    height: int
    """Of the newest block."""
    price: int
    """Of one more chunk, in base units."""
    quiet_seconds: float
    """Since the last payment."""
    is_closing: bool = False
    """Whether the cacher shuts down."""

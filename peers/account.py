"""What a viewer owes one peer: the next total, the credit that is left, what it stands to lose. Pure.

`promised` is the highest total signed. Of it, `credit` has bought nothing yet, and `on_the_way` chunks are paid for and
not here. Both together are what the peer could run away with; they never exceed one chunk's price, or firstAmount.
"""

from __future__ import annotations

from dataclasses import dataclass


class AsksTooMuch(Exception):
    """A peer wants more than keeps the loss within its bound."""


@dataclass(slots=True)
class Account:
    """Amounts in base units, totals over the life of the pool."""

    price: int
    first_amount: int
    promised: int
    tgt_seq: int
    is_first: bool
    """Whether this peer has never had a payment from this pool."""
    is_credit_known: bool = True
    """False after an interruption: then the payment that the peer has is offered first, and it says what is missing."""
    lost_before: int = 0
    """What an earlier purchase from this pool has lost to this peer: it is not paid a second time for that."""
    credit: int = 0
    on_the_way: int = 0
    bought: int = 0
    """Chunks that arrived and verified."""

    @property
    def bound(self) -> int:
        """The most that may be promised and not received."""
        return max(self.price, self.first_amount)

    @property
    def chunks_max(self) -> int:
        """The most chunks that can be on the way at once."""
        return self.bound // self.price if self.price else 1

    @property
    def exposure(self) -> int:
        """What would be lost if the peer gave nothing more."""
        return self.credit + self.on_the_way * self.price

    @property
    def lost_now(self) -> int:
        """What would be lost of what this purchase has paid: nothing while only what was paid before is offered."""
        return self.exposure if self.is_credit_known else 0

    @property
    def debt(self) -> int:
        """What this peer has had and not given, in all purchases from this pool."""
        return self.lost_before + self.lost_now

    @property
    def is_exhausted(self) -> bool:
        """Whether it has had so much for nothing that no chunk can be paid for any more."""
        return self.is_credit_known and not self.on_the_way and not self.has_room()

    def has_room(self) -> bool:
        """Tell whether one more chunk can be on the way without exceeding the bound."""
        if self.is_first or not self.is_credit_known:
            return self.on_the_way == 0
        return self.credit >= self.price or (self.on_the_way + 1) * self.price + self.lost_before <= self.bound

    def order(self) -> int:
        """Put one more chunk on the way and return the total to be promised for it."""
        if not self.is_credit_known:
            self.on_the_way += 1
            return self.promised
        needed = max(0, self.price - self.credit)
        total = self.promised + max(needed, self.first_amount if self.is_first else 0)
        self.credit += total - self.promised - self.price
        self.promised, self.on_the_way = total, self.on_the_way + 1
        self.is_first = False
        return total

    def meet(self, demanded: int) -> int:
        """Return the total to be promised instead, after the peer has asked for this one; raises AsksTooMuch.

        What was promised already is simply sent again.
        """
        extra = demanded - self.promised
        if not self.is_credit_known:
            if extra > max(0, self.bound - self.lost_before):
                raise AsksTooMuch(f"asks for {extra} more for one chunk of {self.price}")
            self.credit = max(0, extra - self.price)
            # What it asks less than a price for, it gives back of what it has had.
            self.lost_before = max(0, self.lost_before - max(0, self.price - extra))
            self.promised = max(self.promised, demanded)
            self.is_credit_known = True
            return self.promised
        if extra > 0:
            if self.exposure + self.lost_before + extra > self.bound:
                raise AsksTooMuch(f"asks for {extra} beyond what was paid for chunks of {self.price}")
            self.credit += extra
            self.promised = demanded
        return self.promised

    def cancel(self) -> None:
        """Take back an order that was refused: its price is credit again."""
        if self.on_the_way:
            self.on_the_way -= 1
            self.credit += self.price if self.is_credit_known else 0

    def arrived(self) -> None:
        """Note that a chunk is here."""
        self.bought += 1
        if not self.is_credit_known:
            self.lost_before = max(0, self.lost_before - self.price)
        if self.on_the_way:
            self.on_the_way -= 1

"""The protocol's arithmetic once more, written for the demonstration alone from section 5.

Deliberately shares no code with the node: what the two agree on was computed twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

REWARDED_FEES: Final = 10


@dataclass(frozen=True, slots=True)
class Effect:
    """What a receipt has to say. Amounts in base units."""

    outcome: str
    fee: int
    paid: int = 0
    reward: int = 0
    burned: int = 0


@dataclass(slots=True)
class PoolBook:
    """One pool as it has to be."""

    creator: str
    deposit: int
    collateral: int
    status: str = "open"
    spent: int = 0
    paid: dict[str, int] = field(default_factory=dict)
    settlements: dict[str, int] = field(default_factory=dict)

    @property
    def remaining(self) -> int:
        """What the deposit still covers."""
        return self.deposit - self.spent


@dataclass(slots=True)
class Books:
    """Everybody's balance as it has to be; people are known by their names."""

    min_fee: int
    reward: int
    balances: dict[str, int]
    burned: int = 0

    def default_collateral(self, deposit: int) -> int:
        """Return the collateral that makes reporting a double spend pay."""
        return deposit + 1 + self.reward + REWARDED_FEES * self.min_fee

    def create(self, creator: str, deposit: int, collateral: int) -> tuple[PoolBook, Effect]:
        """Lock deposit and collateral, take the fee."""
        self.balances[creator] -= deposit + collateral + self.min_fee
        return PoolBook(creator, deposit, collateral), Effect("created", self.min_fee)

    def settle(self, pool: PoolBook, target: str, amount: int) -> Effect:
        """Pay what is due to the target, or slash the pool where the deposit does not cover it."""
        due = amount - pool.paid.get(target, 0)
        if due <= pool.remaining:
            effect = Effect("settled", self.min_fee, paid=due)
        else:
            reward = min(self.min_fee + self.reward, pool.collateral - pool.deposit - 1)
            fee = min(self.min_fee, pool.remaining + reward)
            effect = Effect("slashed", fee, pool.remaining, reward, pool.collateral - reward)
            pool.status = "slashed"
        pool.spent += effect.paid
        pool.paid[target] = pool.paid.get(target, 0) + effect.paid
        pool.settlements[target] = pool.settlements.get(target, 0) + 1
        self.balances[target] += effect.paid + effect.reward - effect.fee
        self.burned += effect.burned
        return effect

    def expire(self, pool: PoolBook) -> int:
        """Give the creator back what is left and the collateral; return how much that is."""
        pool.status = "expired"
        refund = pool.remaining + pool.collateral
        self.balances[pool.creator] += refund
        return refund

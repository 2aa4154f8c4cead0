"""A chain with open pools, what its payees are going to settle, and whether all of it has happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from ledger.records import Account, Pool, Target, pool_key, target_key
from ledger.transaction import AnyTransaction
from storage.chain_view import ChainView

from .bench_chain import AUTHORITY, commit, make_chain, open_made, signed_by
from .checks import expect, expect_account, need
from .signed import FEE, PlannedPool, PlannedSettlement, key, sign_pools, sign_settlements

DUE: Final = 10**15
"""What every settlement pays, in base units."""
_CREATORS_MAX: Final = 100
_FIRST_TARGET: Final = 1_000_000
_POOLS_IN_BLOCK: Final = 5_000
_DURATION: Final = 10**6


@dataclass(frozen=True, slots=True)
class Market:
    """So many pools, each with its own payees, each of whom settles so often."""

    pools: int
    targets: int
    """Of each pool."""
    settlements: int = 1
    """Of each target, with tgtSeq from 1 on."""

    @property
    def total(self) -> int:
        """The number of settlements."""
        return self.pools * self.targets * self.settlements

    def creator(self, pool: int) -> int:
        """Return the number of the creator's key."""
        return pool % _CREATORS_MAX

    def target(self, pool: int, target: int) -> int:
        """Return the number of a payee's key."""
        return _FIRST_TARGET + pool * self.targets + target


@dataclass(frozen=True, slots=True)
class OpenMarket:
    """A market whose pools are in a chain."""

    market: Market
    domain: Domain
    pools: Sequence[bytes]
    """Their ids."""

    def sign(self) -> list[list[bytes]]:
        """Return the raw settlements of each pool, by tgtSeq and then by target."""
        raws = sign_settlements(self.domain, self._plans())
        size = self.market.targets * self.market.settlements
        return [raws[at : at + size] for at in range(0, len(raws), size)]

    def transactions(self) -> list[AnyTransaction]:
        """Return the same in one row, ready for a block."""
        plans = self._plans()
        raws = sign_settlements(self.domain, plans)
        return [
            signed_by(raw, key(plan.creator).address, key(plan.target).address)
            for raw, plan in zip(raws, plans, strict=True)
        ]

    def _plans(self) -> list[PlannedSettlement]:
        market = self.market
        return [
            PlannedSettlement(market.creator(pool), market.target(pool, target), self.pools[pool], seq, seq * DUE)
            for pool in range(market.pools)
            for seq in range(1, market.settlements + 1)
            for target in range(market.targets)
        ]

    def check(self, view: ChainView) -> None:
        """Raise Wrong unless every pool, target record, balance and the fees are what the settlements make them."""
        market = self.market
        paid = market.settlements * DUE
        payee = Account(paid - market.settlements * FEE, 0)
        for number, cptx_hash in enumerate(self.pools):
            pool = Pool.decode(need(view, pool_key(cptx_hash)))
            expect(f"spent of pool {number}", market.targets * paid, pool.spent)
            for target in range(market.targets):
                address = key(market.target(number, target)).address
                record = Target.decode(need(view, target_key(cptx_hash, address)))
                expect(f"target record {number}/{target}", Target(market.settlements, paid), record)
                expect_account(view, address, payee)
        expect_account(view, AUTHORITY.address, Account((market.pools + market.total) * FEE, 0))


def make_market(folder: Path, market: Market) -> OpenMarket:
    """Make a chain in `folder`/devnet in which all pools of a market are open."""
    make_chain(folder, range(min(market.pools, _CREATORS_MAX)))
    deposit = market.targets * market.settlements * DUE
    plans = [
        PlannedPool(market.creator(pool), pool // _CREATORS_MAX, deposit, _DURATION) for pool in range(market.pools)
    ]
    with open_made(folder) as opened:
        raws = sign_pools(opened.domain, plans)
        made = [signed_by(raw, key(plan.creator).address) for raw, plan in zip(raws, plans, strict=True)]
        commit(opened, made, _POOLS_IN_BLOCK)
        return OpenMarket(market, opened.domain, [keccak256(raw) for raw in raws])


def check_market(folder: Path, opened: OpenMarket) -> None:
    """Look at what a node that has stopped has written in `folder`/devnet; raises Wrong."""
    with open_made(folder) as chain:
        opened.check(chain.store.view())

"""A chain with open pools, what its payees are going to settle, and whether all of it has happened.

Pools are made by the node's own authority without HTTP: their making is not what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from ledger.genesis import Genesis
from ledger.records import Account, Pool, Target, account_key, pool_key, target_key
from poolchain.data_directory import DataDirectory, create
from poolchain.devnet import TOKEN, devnet_genesis, devnet_keys
from poolchain.opening import OpenChain, open_chain
from storage.chain_view import ChainView
from txtypes.table import decode

from .signed import FEE, PlannedPool, PlannedSettlement, key, sign_pools, sign_settlements

DUE: Final = 10**15
"""What every settlement pays, in base units."""
FUNDS: Final = 10**6 * TOKEN
"""Of every funded account at genesis."""
_CREATORS_MAX: Final = 100
_FIRST_TARGET: Final = 1_000_000
_POOLS_IN_BLOCK: Final = 5_000
_DURATION: Final = 10**6


class Wrong(Exception):
    """The node has not done what it was asked to; the argument says what it should hold and holds."""


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
        market = self.market
        plans = [
            PlannedSettlement(market.creator(pool), market.target(pool, target), self.pools[pool], seq, seq * DUE)
            for pool in range(market.pools)
            for seq in range(1, market.settlements + 1)
            for target in range(market.targets)
        ]
        raws = sign_settlements(self.domain, plans)
        size = market.targets * market.settlements
        return [raws[at : at + size] for at in range(0, len(raws), size)]

    def check(self, view: ChainView) -> None:
        """Raise Wrong unless every pool, target record, balance and the fees are what the settlements make them."""
        market = self.market
        paid = market.settlements * DUE
        for number, cptx_hash in enumerate(self.pools):
            pool = Pool.decode(_need(view, pool_key(cptx_hash)))
            _expect(f"spent of pool {number}", market.targets * paid, pool.spent)
            for target in range(market.targets):
                address = key(market.target(number, target)).address
                record = Target.decode(_need(view, target_key(cptx_hash, address)))
                _expect(f"target record {number}/{target}", Target(market.settlements, paid), record)
                _expect("balance of a target", paid - market.settlements * FEE, _balance(view, address))
        fees = (market.pools + market.total) * FEE
        _expect("fees", fees, _balance(view, devnet_keys().authority.address))


def bench_genesis(funded: Sequence[int]) -> Genesis:
    """Return the devnet's genesis with more funded accounts."""
    genesis = devnet_genesis(devnet_keys())
    alloc = {**genesis.alloc, **{key(number).address: FUNDS for number in funded}}
    return replace(genesis, alloc=alloc)


def make_market(path: Path, market: Market) -> OpenMarket:
    """Make a data directory of a chain in which all pools of a market are open."""
    directory = create(path, bench_genesis(range(min(market.pools, _CREATORS_MAX))))
    with open_bench_chain(directory) as opened:
        domain = opened.domain
        deposit = market.targets * market.settlements * DUE
        plans = [
            PlannedPool(market.creator(pool), pool // _CREATORS_MAX, deposit, _DURATION) for pool in range(market.pools)
        ]
        raws = sign_pools(domain, plans)
        commit(opened, raws)
    return OpenMarket(market, domain, [keccak256(raw) for raw in raws])


def commit(opened: OpenChain, raws: Sequence[bytes]) -> None:
    """Make blocks of transactions; raises Wrong if one is left out."""
    authority = opened.authority(devnet_keys().authority)
    for at in range(0, len(raws), _POOLS_IN_BLOCK):
        candidates = [decode(raw, opened.domain) for raw in raws[at : at + _POOLS_IN_BLOCK]]
        built = authority.produce(candidates, opened.genesis.timestamp)
        _expect("transactions in a block", len(candidates), len(built.executed.transactions))


def open_bench_chain(directory: DataDirectory) -> AbstractContextManager[OpenChain]:
    """Open a devnet's chain with the key that everybody knows."""
    return open_chain(directory, devnet_keys().authority)


def check_stored(path: Path, markets: Sequence[OpenMarket]) -> None:
    """Open the directory of a node that has stopped and check what it holds; raises Wrong."""
    with open_bench_chain(DataDirectory(path)) as opened:
        for market in markets:
            market.check(opened.store.view())


def spread_over(lanes: int, pools: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
    """Return the settlements of all pools on so many lanes, those of one pool in their order on one of them."""
    return [[raw for pool in pools[lane::lanes] for raw in pool] for lane in range(lanes)]


def _need(view: ChainView, state_key: bytes) -> bytes:
    record = view.get(state_key)
    if record is None:
        raise Wrong(f"there is no record of 0x{state_key.hex()}")
    return record


def _balance(view: ChainView, address: bytes) -> int:
    return Account.decode(_need(view, account_key(address))).balance


def _expect(what: str, expected: object, found: object) -> None:
    if expected != found:
        raise Wrong(f"{what}: expected {expected}, found {found}")

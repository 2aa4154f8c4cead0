"""A small chain without a disk: the real ledger over a dictionary, driven by the model's signing helpers.

The genesis is the reference model's small chain (minimum fee 10, reward 100, durations 2 to 50, two expiries in a
block), so that one raw transaction can be handed to both. Every acceptance is followed by a full count of the supply,
every refusal by a comparison of the state root, which is computed from all records anew.
"""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from crypto.hashing import keccak256
from ledger import supply
from ledger.errors import Refusal
from ledger.genesis import Genesis, parse_genesis
from ledger.records import Account, Pool, PoolStatus, Target, tree_key
from ledger.state import State
from ledger.transition import BlockExecution, BlockResult
from ledger.tree_build import compute_root
from tests.model import signing
from tests.model.small_chain import ALICE, ALICE_KEY, RESOURCE
from tests.model.small_chain import genesis as genesis_members
from txtypes.table import decode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.receipt import Receipt
    from ledger.transaction import AnyTransaction

MIN_FEE = 10
REWARD = 100
LARGEST = 2**128 - 1


def make_genesis(**changes: object) -> Genesis:
    """The small chain's genesis, or one that differs in a few members (JSON names and forms)."""
    return parse_genesis(json.dumps(genesis_members(**changes)).encode())


class Records:
    """A StateReader over a fixed set of records."""

    def __init__(self, records: Mapping[bytes, bytes]) -> None:
        self.all = MappingProxyType(dict(records))

    def get(self, key: bytes) -> bytes | None:
        return self.all.get(key)

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        pools = ((key[1:], Pool.decode(record)) for key, record in self.all.items() if key[:1] == b"p")
        due = [(p.expires_at, name) for name, p in pools if p.status is PoolStatus.OPEN and p.expires_at <= height]
        return [name for _, name in sorted(due)[:limit]]

    def after(self, changes: Mapping[bytes, bytes | None]) -> Records:
        merged = {**self.all, **changes}
        return Records({key: record for key, record in merged.items() if record is not None})

    def root(self) -> bytes:
        return compute_root(sorted((tree_key(key), record) for key, record in self.all.items()))


class Workbench:
    """One block under construction over committed records."""

    def __init__(self, height: int = 1, /, **changes: object) -> None:
        self.genesis = make_genesis(**changes)
        self.records = Records(self.genesis.allocations())
        self.genesis_hash = self.genesis.header(self.records.root()).hash()
        self.domain = self.genesis.domain(self.genesis_hash)
        self.signing = signing.Domain(self.genesis.chain_id, self.genesis_hash)
        self.height = height
        self.execution = BlockExecution(self.records, height, self.genesis)

    def decode(self, raw: bytes) -> AnyTransaction:
        return decode(raw, self.domain)

    def result(self) -> BlockResult:
        return self.execution.finish()

    def now(self) -> Records:
        """All records after what was applied so far."""
        return self.records.after(self.result().changes)

    def next_block(self, height: int | None = None) -> list[bytes]:
        """Commit the block under construction, begin another one; return the ids of the pools it closed."""
        self.records = self.now()
        self.height = self.height + 1 if height is None else height
        self.execution = BlockExecution(self.records, self.height, self.genesis)
        self.check_supply()
        return list(self.result().expired)

    def check_supply(self) -> None:
        supply.check(supply.count(self.now().all.items()), self.genesis)

    # What the state holds

    def account(self, address: bytes) -> Account:
        return State(self.now()).account(address)

    def balance(self, address: bytes) -> int:
        return self.account(address).balance

    def pool(self, cptx_hash: bytes) -> Pool:
        found = State(self.now()).pool(cptx_hash)
        assert found is not None
        return found

    def target(self, cptx_hash: bytes, address: bytes) -> Target:
        return State(self.now()).target(cptx_hash, address)

    @property
    def burned(self) -> int:
        return State(self.now()).burned

    # What is done to it

    def accept(self, raw: bytes) -> Receipt:
        receipt = self.execution.apply(self.decode(raw))
        assert receipt.transaction_hash == keccak256(raw)
        self.check_supply()
        return receipt

    def refuse(self, raw: bytes, reason: str) -> None:
        """The bytes or what they ask for are refused for this reason, and the state root stays what it was."""
        before, receipts = self.now().root(), self.result().receipts
        with pytest.raises(Refusal) as caught:
            self.execution.apply(self.decode(raw))
        assert caught.value.reason == reason, f"expected {reason}, found {caught.value}"
        assert caught.value.expected
        assert (self.now().root(), self.result().receipts) == (before, receipts)

    # Transactions

    def transfer(self, key: bytes, to: bytes, amount: int, *, fee: int = MIN_FEE, nonce: int | None = None) -> bytes:
        nonce = self.account(signing.address_of(key)).nonce if nonce is None else nonce
        return signing.transfer(key, self.signing, to, amount, fee, nonce)

    def create(
        self,
        deposit: int = 1000,
        collateral: int = 1500,
        duration: int = 10,
        *,
        fee: int = MIN_FEE,
        nonce: int | None = None,
        key: bytes = ALICE_KEY,
    ) -> bytes:
        nonce = self.account(signing.address_of(key)).nonce if nonce is None else nonce
        return signing.create_pool(key, self.signing, RESOURCE, deposit, collateral, duration, fee, nonce)

    def new_pool(self, deposit: int = 1000, collateral: int = 1500, duration: int = 10) -> bytes:
        """Create a pool of Alice's and return its id."""
        return self.accept(self.create(deposit, collateral, duration)).cptx_hash

    def payment(
        self, key: bytes, pool: bytes, amount: int, *, seq: int = 1, fee: int = MIN_FEE, creator: bytes = ALICE_KEY
    ) -> bytes:
        """A payment out of Alice's pool to the owner of `key`, who publishes it."""
        return signing.service_payment(creator, key, self.signing, amount, pool, seq, fee)

    def fund(self, address: bytes, amount: int) -> None:
        """Transfer out of Alice's large balance."""
        assert self.account(ALICE).balance > amount
        self.accept(self.transfer(ALICE_KEY, address, amount))

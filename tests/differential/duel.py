"""The node's ledger and the reference model, fed with the same bytes, and every difference between them."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from dataclasses import astuple
from typing import TYPE_CHECKING, NamedTuple

import pytest

from consensus.chain import Chain
from consensus.seal import make_seal
from crypto.signature import SigningKey
from ledger.block import Block
from ledger.errors import Refusal
from ledger.genesis import parse_genesis
from ledger.records import Account, Pool, Target, decode_burned
from ledger.supply import Supply
from storage.chain_store import create_chain
from storage.memory import MemoryKeyValue
from tests.model.encoding import ModelRefusal, block_hash, encode_receipt, merkle_root, receipts_root
from tests.model.reference import Model
from tests.model.small_chain import genesis as genesis_members
from txtypes.table import decode

from .traffic import Profile, Traffic, hash_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.transaction import AnyTransaction
    from tests.model.encoding import Header
    from tests.model.reference import Pool as ModelPool

TRANSACTIONS = int(os.environ.get("POOLCHAIN_DIFFERENTIAL_TRANSACTIONS", "100000"))
"""How many are compared over all profiles; the files share them evenly."""
FILES = 4
CHAIN_TRANSACTIONS = 2_500
"""About how many each chain lives for; a seed makes one chain."""
SEEDS = range(max(TRANSACTIONS // FILES // CHAIN_TRANSACTIONS, 1))
CACHE_BYTES = 1 << 20

RULES = frozenset(
    {
        "MALFORMED", "BAD_SIGNATURE", "ALREADY_COMMITTED", "FEE_TOO_LOW", "ZERO_AMOUNT", "BAD_NONCE", "NONCE_GAP",
        "INSUFFICIENT_BALANCE", "COLLATERAL_TOO_LOW", "BAD_DURATION", "POOL_UNKNOWN", "POOL_SLASHED", "POOL_EXPIRED",
        "SELF_PAYMENT", "NOT_CREATOR", "NOT_TARGET", "BAD_SEQUENCE", "AMOUNT_NOT_INCREASED",
    }
)  # fmt: skip
"""Every reason of protocol sections 5 and 7 that a submission can meet outside the mempool."""


OUTCOMES = ("transferred", "created", "settled", "slashed")


class Answer(NamedTuple):
    """What one side makes of one transaction."""

    refused: str
    """The reason; empty where it was accepted."""
    receipt: bytes
    """The receipt's bytes; empty where it was refused."""


class Duel:
    """One chain of each."""

    def __init__(self, profile: Profile, seed: int, users: int = 6) -> None:
        self.seed = f"{profile.name} {seed}"
        self.chance = random.Random(self.seed)
        self.traffic = Traffic(profile, users, self.chance)
        members = genesis_members(**profile.genesis, alloc=self.traffic.alloc())
        members["authority"] = "0x" + self.traffic.authority.hex()
        genesis = parse_genesis(json.dumps(members).encode())
        self.store = create_chain(MemoryKeyValue(), genesis)
        tip = self.store.tip()
        self.model = Model(members, tip.header.state_root)
        self.domain = genesis.domain(tip.hash)
        self.chain = Chain(self.store, genesis, self.domain, CACHE_BYTES)
        self.traffic.separator = self.model.separator
        self.sealer = SigningKey(self.traffic.secrets[0])
        self.hashes = [self.model.genesis_hash]
        self.answers: Counter[str] = Counter()
        self.compare_state()

    def play(self, transactions: int) -> Counter[str]:
        """Run about so many transactions, block by block; return how often each answer was given."""
        while self.answers.total() < transactions:
            self.play_block(self.chance.choice((0, 1, 5, 20, 50, 100)))
        return self.answers

    def play_block(self, count: int) -> None:
        """Make, judge and commit one block on both sides, then compare all there is."""
        closed = self.model.begin_block(self.model.height + 1)
        raws, theirs = [], []
        for _ in range(count):
            raw = self.traffic.draw(self.model)
            raws.append(raw)
            theirs.append(self.ask_model(raw))
        ours, block = self.ask_node(raws)
        for raw, our, their in zip(raws, ours, theirs, strict=True):
            self.answers[their.refused or OUTCOMES[their.receipt[63]]] += 1
            if our != their:
                self.fail(f"transaction 0x{raw.hex()}\nledger: {show(our)}\nmodel:  {show(their)}")
        self.compare_block(block, closed, [answer for answer in theirs if not answer.refused])
        self.compare_state()

    def ask_model(self, raw: bytes) -> Answer:
        try:
            return Answer("", encode_receipt(self.model.apply(raw)))
        except ModelRefusal as refusal:
            return Answer(refusal.reason, b"")

    def ask_node(self, raws: Sequence[bytes]) -> tuple[list[Answer], Block]:
        """Decode, build, sometimes check as an importer would, seal and commit."""
        decoded = [self.decode(raw) for raw in raws]
        candidates = [found for found in decoded if not isinstance(found, Refusal)]
        built = self.chain.build(self.chain.tip, candidates, self.chance.randrange(2**32))
        refusals = {id(transaction): refusal for transaction, refusal in built.skipped}
        receipts = iter(built.executed.result.receipts)
        included: set[bytes] = set()
        answers = []
        for found in decoded:
            if isinstance(found, Refusal):
                answers.append(Answer(found.reason, b""))
            elif (refusal := refusals.get(id(found))) is not None:
                # The mempool tells by the hash alone; to the ledger a repetition is just a broken rule.
                answers.append(Answer("ALREADY_COMMITTED" if found.hash in included else refusal.reason, b""))
            else:
                included.add(found.hash)
                answers.append(Answer("", next(receipts).encode()))
        sealed = built.executed.sealed(make_seal(self.sealer, built.executed.tip.hash, self.domain))
        if self.chance.random() < 0.1:
            again = Block.decode(sealed.block.encode())
            if self.chain.check_sealed(self.chain.tip, again, self.decode_all).result != sealed.result:
                self.fail(f"block {sealed.tip.header.height} comes to something else when it is imported")
        self.chain.commit(self.chain.prepare([sealed]), [sealed.block])
        return answers, sealed.block

    def decode(self, raw: bytes) -> AnyTransaction | Refusal:
        try:
            found = decode(raw, self.domain)
        except Refusal as refusal:
            return refusal
        if self.store.view().location(found.hash) is not None:
            return Refusal("ALREADY_COMMITTED", "a transaction that is not in a block yet")
        return found

    def decode_all(self, raws: Sequence[bytes]) -> list[AnyTransaction]:
        return [decode(raw, self.domain) for raw in raws]

    def compare_block(self, block: Block, closed: list[bytes], accepted: list[Answer]) -> None:
        header, height = block.header, self.model.height
        view = self.store.view()
        stored = [receipt.encode() for receipt in view.receipts(height)]
        self.equal("receipts", stored, [answer.receipt for answer in accepted])
        self.equal("expired pools", list(view.expired(height)), closed)
        self.equal("raw transactions", [hash_of(raw) for raw in block.transactions], [r[:32] for r in stored])
        expected: Header = {
            "chainId": self.model.chain_id,
            "height": height,
            "timestamp": header.timestamp,
            "parentHash": self.hashes[-1],
            "txRoot": merkle_root(block.transactions),
            "txCount": len(accepted),
            "receiptsRoot": merkle_root(stored) if stored else receipts_root([]),
            "stateRoot": header.state_root,
            "historyRoot": merkle_root(self.hashes),
            "authority": self.model.authority,
        }
        self.equal("block hash", header.hash(), block_hash(expected))
        self.hashes.append(block_hash(expected))

    def compare_state(self) -> None:
        """Every record, the supply, and the equation of every pool that was closed."""
        accounts, pools, targets, burned = {}, {}, {}, 0
        for key, record in self.store.view().records():
            match key[:1]:
                case b"a":
                    accounts[key[1:]] = astuple(Account.decode(record))
                case b"p":
                    pools[key[1:]] = Pool.decode(record)
                case b"t":
                    targets[key[1:33], key[33:]] = astuple(Target.decode(record))
                case _:
                    burned = decode_burned(record)
        model = self.model
        self.equal("accounts", accounts, model.accounts)
        self.equal("pools", pools.keys(), model.pools.keys())
        for name, pool in pools.items():
            self.equal(f"pool 0x{name.hex()}", pool_of(pool), model.pools[name])
        self.equal("targets", targets, model.targets)
        self.equal("burned", burned, model.burned)
        held = sum(pool.locked for pool in pools.values())
        expected = Supply(sum(balance for balance, _ in model.accounts.values()), held, model.burned)
        self.equal("supply", self.chain.tip.supply, expected)
        self.equal("supply equation", model.supply_equation_holds(), True)

    def finish(self) -> None:
        """What costs too much after every block."""
        for name in self.model.pools:
            self.equal(f"equation of pool 0x{name.hex()}", self.model.pool_equation_holds(name), True)

    def equal(self, what: str, ours: object, theirs: object) -> None:
        if ours != theirs:
            self.fail(f"{what}\nledger: {ours}\nmodel:  {theirs}")

    def fail(self, what: str) -> None:
        pytest.fail(f"seed '{self.seed}', block {self.model.height}: {what}", pytrace=False)


def pool_of(pool: Pool) -> ModelPool:
    """A pool of the ledger in the model's form."""
    return {
        "creator": pool.creator,
        "resourceId": pool.resource_id,
        "deposit": pool.deposit,
        "collateral": pool.collateral,
        "spent": pool.spent,
        "createdAt": pool.created_at,
        "expiresAt": pool.expires_at,
        "status": pool.status.name.lower(),
    }


def show(answer: Answer) -> str:
    """An answer for people."""
    return answer.refused or f"receipt 0x{answer.receipt.hex()}"


def check_coverage(profile: Profile, unreachable: frozenset[str] = frozenset()) -> None:
    """Raise unless one chain of the profile meets every rule and every outcome, and two to six in ten are refused."""
    answers = compare(profile, 0)
    assert set(answers) == RULES - unreachable | {*OUTCOMES}
    assert 0.2 < sum(answers[reason] for reason in RULES) / answers.total() < 0.6, answers


def compare(profile: Profile, seed: int) -> Counter[str]:
    """One chain of a profile from block 0 to its end."""
    duel = Duel(profile, seed)
    answers = duel.play(CHAIN_TRANSACTIONS)
    duel.finish()
    return answers

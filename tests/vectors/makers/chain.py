"""One chain with every outcome, told block by block: what enters it, and what is refused at which place."""

from __future__ import annotations

import json
from typing import NamedTuple

from tests.model import signing
from tests.model.encoding import block_hash, encode_header, keccak
from tests.model.signing import Domain, key_of
from tests.model.small_chain import (
    ALICE,
    ALICE_KEY,
    AUTHORITY,
    BOB,
    BOB_KEY,
    CAROL,
    CAROL_KEY,
    DAVE_KEY,
    RESOURCE,
)
from tests.model.small_chain import genesis as small_genesis

from .bad_blocks import bad_blocks
from .form import VectorFile, dice, paragraphs, text, valid
from .ledger import Attempt, Keeper

ERIN_KEY, FRANK_KEY = key_of(5), key_of(8)
ERIN, FRANK = map(signing.address_of, (ERIN_KEY, FRANK_KEY))
FEE = 10


class Terms(NamedTuple):
    """What a CreatePool says besides who and for what."""

    deposit: int = 1000
    collateral: int = 1500
    duration: int = 10
    fee: int = FEE


class Story:
    """Makes the transactions of one chain."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.domain = keeper.domain
        self.ahead: dict[bytes, int] = {}
        """Transactions of each sender since the last block."""

    def transfer(self, key: bytes, to: bytes, amount: int, fee: int = FEE, nonce: int | None = None) -> bytes:
        return signing.transfer(key, self.domain, to, amount, fee, self.next(key) if nonce is None else nonce)

    def create(self, key: bytes, terms: Terms, nonce: int | None = None) -> bytes:
        numbers = (*terms, self.next(key) if nonce is None else nonce)
        return signing.create_pool(key, self.domain, RESOURCE, *numbers)

    def pay(self, keys: tuple[bytes, bytes], pool: bytes, amount: int, seq: int = 1, fee: int = FEE) -> bytes:
        """`keys` are the creator's and the target's."""
        return signing.service_payment(*keys, self.domain, amount, pool, seq, fee)

    def mixed(self, keys: tuple[bytes, bytes], target: bytes, pool: bytes, amount: int, seq: int = 1) -> bytes:
        """A payment to `target` with signatures of any keys."""
        words = signing.payment_words(target, amount, pool, seq)
        return signing.settle(keys[1], self.domain, words, signing.sign_payment(keys[0], self.domain, words), FEE)

    def next(self, key: bytes) -> int:
        """The nonce after those already drawn for the block being written."""
        nonce = self.keeper.nonce(key) + self.ahead.get(key, 0)
        self.ahead[key] = self.ahead.get(key, 0) + 1
        return nonce

    def block(self, name: str, seconds: int, *steps: bytes | Attempt) -> None:
        self.keeper.block(f"block {self.keeper.height}: {name}", seconds, *steps)
        self.ahead.clear()


def chain_files() -> list[VectorFile]:
    members = small_genesis(
        extra=text(dice("chain").randbytes(32)), maxBlockTransactions="0x5", maxBlockBytes=hex(1300)
    )
    keeper = Keeper(members)
    genesis = {
        "headerBytes": text(encode_header(keeper.headers[0])),
        "genesisHash": text(block_hash(keeper.headers[0])),
    }
    keeper.cases.append(valid("genesis", "the genesis", {"file": json.dumps(members)}, genesis))
    tell(Story(keeper))
    return [
        VectorFile(
            "chain",
            "A chain from its genesis on: blocks with every outcome, transactions and blocks that must be refused.",
            paragraphs(
                """
                The cases follow each other. kind genesis: begin here. kind block: the next block;
                input.transactions are applied to the state after the block before, after the expiries; every root
                of input.headerBytes follows. expected.expired are the ids of the pools it closes, in order;
                receipts and receiptBytes one for each transaction; changes the records that differ after the block
                (recordBytes null: absent now); supply where all tokens are after it.

                kind refusedTransaction: input.raw at the height input.height, after the expiries and after the
                first input.index transactions of that block (the next block case). error is the first failure in
                the order of sections 7 and 5; nothing may change. ALREADY_COMMITTED is known by the hash.

                kind refusedBlock: in the place of the block case of that height, which comes later in the file.
                Each has one fault and the authority's seal (unless the seal is the fault).

                Secret keys: 1 Alice, 2 Bob, 3 Carol, 4 Dave, 5 Erin, 6 the authority, 8 Frank.
                """
            ),
            keeper.cases,
        )
    ]


def tell(story: Story) -> None:
    keeper = story.keeper
    first = story.create(ALICE_KEY, Terms(), nonce=1)
    opening(story, first)
    bad_blocks(keeper, [])
    story.block("empty", 0)
    pool = keccak(first)
    short = settlements(story, pool)
    carol_again = story.pay((ALICE_KEY, CAROL_KEY), pool, 500, seq=2)
    entries = [carol_again, story.transfer(ALICE_KEY, ALICE, 7), story.transfer(DAVE_KEY, ERIN, 180)]
    bad_blocks(keeper, entries)
    story.block("a later settlement, a transfer to oneself, an account emptied", 1, *entries)
    double_spend(story, pool, short)
    bad_blocks(keeper, [])
    expiry(story, pool, short)
    many_pools(story)
    ending(story)


def opening(story: Story, create: bytes) -> None:
    one = story.transfer(ALICE_KEY, BOB, 1000, nonce=0)
    unknown = bytes(range(32))
    foreign = Domain(story.domain.chain_id, keccak(b"another genesis"))
    poor = story.transfer(CAROL_KEY, BOB, 1, nonce=0)
    elsewhere = signing.transfer(ALICE_KEY, foreign, BOB, 1, FEE, 0)

    def bad_terms(**changes: int) -> bytes:
        return story.create(ALICE_KEY, Terms()._replace(**changes), nonce=1)

    story.block(
        "a transfer and a pool",
        5,
        Attempt("no transaction", b"\x01", "MALFORMED", "a Transfer has 194 bytes"),
        Attempt("bad signature", one[:-1] + b"\x00", "BAD_SIGNATURE", "v is 27 or 28"),
        Attempt("low fee", story.transfer(ALICE_KEY, BOB, 1, 9, 0), "FEE_TOO_LOW", "the minimum is 10"),
        Attempt("low fee before all else", story.transfer(CAROL_KEY, BOB, 0, 0, 9), "FEE_TOO_LOW", "it comes first"),
        Attempt("amount 0", story.transfer(ALICE_KEY, BOB, 0, FEE, 0), "ZERO_AMOUNT", "an amount is above 0"),
        Attempt("amount 0 before nonce", story.transfer(CAROL_KEY, BOB, 0, FEE, 9), "ZERO_AMOUNT", "it comes first"),
        Attempt("future nonce", story.transfer(ALICE_KEY, BOB, 1, FEE, 1), "NONCE_GAP", "the next nonce is 0"),
        Attempt("no money", poor, "INSUFFICIENT_BALANCE", "Carol has nothing"),
        Attempt("signed for another chain", elsewhere, "INSUFFICIENT_BALANCE", "the recovered sender is nobody"),
        one,
        Attempt("the same again", one, "ALREADY_COMMITTED", "it is in this block"),
        Attempt("used nonce", story.transfer(ALICE_KEY, BOB, 2, FEE, 0), "BAD_NONCE", "the next nonce is 1"),
        Attempt("deposit 0", bad_terms(deposit=0), "ZERO_AMOUNT", "a deposit is above 0"),
        Attempt("equal collateral", bad_terms(collateral=1000), "COLLATERAL_TOO_LOW", "it is above the deposit"),
        Attempt("no collateral", bad_terms(collateral=0), "COLLATERAL_TOO_LOW", "it is above the deposit"),
        Attempt("too short", bad_terms(duration=1), "BAD_DURATION", "2 to 50 blocks"),
        Attempt("too long", bad_terms(duration=51), "BAD_DURATION", "2 to 50 blocks"),
        Attempt("far too long", bad_terms(duration=2**64 - 1), "BAD_DURATION", "2 to 50 blocks"),
        Attempt("pool of a rich man", bad_terms(collateral=10**6), "INSUFFICIENT_BALANCE", "it is above the balance"),
        Attempt("sums that wrap", bad_terms(collateral=2**128 - 1), "INSUFFICIENT_BALANCE", "sums have no limit"),
        Attempt("no pool", story.pay((ALICE_KEY, BOB_KEY), unknown, 1), "POOL_UNKNOWN", "there is no pool yet"),
        create,
    )


def settlements(story: Story, pool: bytes) -> bytes:
    """Payments out of the first pool, and a short pool of Bob's; return its raw CreatePool."""
    carol = story.pay((ALICE_KEY, CAROL_KEY), pool, 300)
    short = story.create(BOB_KEY, Terms(500, 700, 3))
    both = (ALICE_KEY, CAROL_KEY)
    moved = story.pay(both, keccak(pool), 300)
    foreign = signing.service_payment(*both, Domain(1, story.domain.genesis_hash), 300, pool, 1, FEE)
    raised = carol[:225] + bytes([FEE + 1]) + carol[226:]
    story.block(
        "two settlements, a pool and a settlement from it",
        1,
        Attempt("to the creator", story.pay((ALICE_KEY, ALICE_KEY), pool, 1), "SELF_PAYMENT", "Alice is the creator"),
        Attempt(
            "to the creator, by others",
            story.mixed((BOB_KEY, BOB_KEY), ALICE, pool, 1),
            "SELF_PAYMENT",
            "it comes first",
        ),
        Attempt("not the creator's", story.mixed((BOB_KEY, CAROL_KEY), CAROL, pool, 1), "NOT_CREATOR", "Bob signed it"),
        Attempt(
            "signatures of nobody", story.mixed((BOB_KEY, BOB_KEY), CAROL, pool, 1), "NOT_CREATOR", "it comes first"
        ),
        Attempt(
            "not the target's", story.mixed((ALICE_KEY, BOB_KEY), CAROL, pool, 1), "NOT_TARGET", "Bob published it"
        ),
        Attempt(
            "published by the creator",
            story.mixed((ALICE_KEY, ALICE_KEY), CAROL, pool, 1),
            "NOT_TARGET",
            "only the target can",
        ),
        Attempt("fee raised by others", raised, "NOT_TARGET", "the target signs the fee"),
        Attempt("of another chain", foreign, "NOT_CREATOR", "the recovered creator is nobody"),
        Attempt("for another pool", moved, "POOL_UNKNOWN", "there is no such pool"),
        Attempt("sequence 0", story.pay(both, pool, 300, 0), "BAD_SEQUENCE", "the first tgtSeq is 1"),
        Attempt("sequence 2", story.pay(both, pool, 300, 2), "BAD_SEQUENCE", "the first tgtSeq is 1"),
        Attempt("sequence before amount", story.pay(both, pool, 0, 2**64 - 1), "BAD_SEQUENCE", "it comes first"),
        Attempt("nothing paid", story.pay(both, pool, 0), "AMOUNT_NOT_INCREASED", "an amount is above what was paid"),
        Attempt("less than its fee", story.pay(both, pool, 9), "INSUFFICIENT_BALANCE", "9 do not cover a fee of 10"),
        carol,
        Attempt("the same again", carol, "ALREADY_COMMITTED", "it is in this block"),
        Attempt(
            "published again with another fee", story.pay(both, pool, 300, 1, 11), "BAD_SEQUENCE", "tgtSeq 1 is used"
        ),
        Attempt("no more than before", story.pay(both, pool, 300, 2), "AMOUNT_NOT_INCREASED", "300 were paid"),
        Attempt("less than before", story.pay(both, pool, 299, 2), "AMOUNT_NOT_INCREASED", "300 were paid"),
        story.pay((ALICE_KEY, BOB_KEY), pool, 200),
        short,
        story.pay((BOB_KEY, DAVE_KEY), keccak(short), 100),
        Attempt("pool again", short, "ALREADY_COMMITTED", "it is in this block"),
    )
    return short


def double_spend(story: Story, pool: bytes, short: bytes) -> None:
    both = (ALICE_KEY, DAVE_KEY)
    story.block(
        "a double spend; the last height of a short pool",
        0,
        Attempt("old sequence, though over-signed", story.pay(both, pool, 400, 0), "BAD_SEQUENCE", "it comes first"),
        story.pay(both, pool, 400),
        Attempt("slashed", story.pay((ALICE_KEY, CAROL_KEY), pool, 700, 3), "POOL_SLASHED", "the pool was slashed"),
        Attempt(
            "slashed before all else", story.pay((BOB_KEY, ALICE_KEY), pool, 0, 9), "POOL_SLASHED", "it comes first"
        ),
        story.transfer(ALICE_KEY, AUTHORITY, 5),
        story.pay((BOB_KEY, CAROL_KEY), keccak(short), 50),
    )


def expiry(story: Story, slashed: bytes, short: bytes) -> None:
    name = keccak(short)
    refund = 500 - 150 + 700
    everything = story.keeper.model.balance(BOB) + refund - FEE
    story.block(
        "a pool expires and its refund is spent at once",
        60,
        Attempt("expired", story.pay((BOB_KEY, CAROL_KEY), name, 60, 2), "POOL_EXPIRED", "it expired at this height"),
        Attempt(
            "expired, over-signed", story.pay((BOB_KEY, ERIN_KEY), name, 9999), "POOL_EXPIRED", "no slash after the end"
        ),
        Attempt(
            "expired before all else", story.pay((ALICE_KEY, BOB_KEY), name, 0, 7), "POOL_EXPIRED", "it comes first"
        ),
        Attempt("still slashed", story.pay((ALICE_KEY, ERIN_KEY), slashed, 1), "POOL_SLASHED", "a slashed pool stays"),
        Attempt("pool again", short, "ALREADY_COMMITTED", "it is in block 3"),
        Attempt(
            "one too many", story.transfer(BOB_KEY, CAROL, everything + 1, nonce=1), "INSUFFICIENT_BALANCE", "by one"
        ),
        story.transfer(BOB_KEY, CAROL, everything),
    )


def many_pools(story: Story) -> None:
    """Three pools that end at one height, of which a block closes two; one more is slashed before."""
    creates = [story.create(ALICE_KEY, Terms(100, collateral, 2)) for collateral in (101, 150, 200, 101)]
    names = [keccak(raw) for raw in creates]
    story.block("four pools of two blocks", 1, *creates)
    carol, last = (ALICE_KEY, CAROL_KEY), names[3]
    story.block(
        "a deposit paid out to the last unit, and a double spend of nothing",
        1,
        story.pay(carol, last, 100),
        story.pay(carol, names[1], 100),
        story.pay((ALICE_KEY, BOB_KEY), last, 1),
        Attempt("slashed", story.pay(carol, last, 101, 2), "POOL_SLASHED", "the pool was slashed"),
    )
    waiting = max(names[:3])
    bad_blocks(story.keeper, [story.transfer(ALICE_KEY, BOB, 1, nonce=story.keeper.nonce(ALICE_KEY))])
    story.block(
        "two of three pools expire",
        1,
        Attempt(
            "waits with status open",
            story.pay((ALICE_KEY, BOB_KEY), waiting, 10),
            "POOL_EXPIRED",
            "its end was reached",
        ),
        story.transfer(ALICE_KEY, BOB, 1),
    )
    story.block("the third pool expires", 2**32)


def ending(story: Story) -> None:
    long = story.create(ALICE_KEY, Terms(1000, 1200, 50))
    thin = story.create(BOB_KEY, Terms(10, 90, 50)) if story.keeper.model.balance(BOB) > 110 else b""
    story.block("pools that outlive the file", 1, *filter(None, (long, thin)))
    name = keccak(long)
    story.block(
        "an empty account settles, and a fee above all that a slash brings",
        1,
        story.pay((ALICE_KEY, FRANK_KEY), name, 10),
        Attempt(
            "fee above all that a settlement brings",
            story.pay((ALICE_KEY, ERIN_KEY), name, 500, 1, 10**4),
            "INSUFFICIENT_BALANCE",
            "no slash, no discount",
        ),
        story.pay((ALICE_KEY, ERIN_KEY), name, 2**128 - 1, 1, 2**128 - 1),
        Attempt(
            "after the evidence", story.pay((ALICE_KEY, FRANK_KEY), name, 20, 2), "POOL_SLASHED", "the pool was slashed"
        ),
    )
    assert FRANK not in story.keeper.model.accounts
    story.block("empty, long after", 10**6)

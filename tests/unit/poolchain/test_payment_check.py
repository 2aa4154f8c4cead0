"""What a payment is worth against the state of its pool: every verdict, in the order of the chain's own checks."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from poolchain.chain_client import ChainClient, ChainFacts, PoolFacts, TargetFacts
from poolchain.payment_check import Worth, weigh
from poolchain.payment_file import Payment, SignedPayment, make_payment
from tests.model.signing import key_of

ALICE, BOB = SigningKey(key_of(1)), SigningKey(key_of(2))
POOL = bytes([0xCD] * 32)
MIN_FEE, REWARD = 10, 100
FACTS = ChainFacts(
    domain=Domain.of(20487, bytes(range(32))),
    authority=bytes(20),
    height=50,
    sealing="on-transaction",
    min_fee=MIN_FEE,
    reward=REWARD,
    block_interval=1,
    supply={},
)
OPEN = PoolFacts(POOL, ALICE.address, 1000, 1500, 400, created_at=40, expires_at=60, status="open")
RECORD = TargetFacts(seq=2, paid=300)


class Chain:
    """A node that knows one pool and one target."""

    def __init__(self, pool: PoolFacts, record: TargetFacts) -> None:
        self._pool, self._record = pool, record

    def pool(self, _: bytes) -> PoolFacts:
        return self._pool

    def target(self, *_: bytes) -> TargetFacts:
        return self._record


def _payment(amount: int = 800, seq: int = 3, target: SigningKey = BOB, by: SigningKey = ALICE) -> SignedPayment:
    return make_payment(Payment(target.address, amount, POOL, seq), by, FACTS.domain)


def _weigh(signed: SignedPayment, pool: PoolFacts = OPEN, record: TargetFacts = RECORD, *, height: int = 50) -> Worth:
    client = cast("ChainClient", Chain(pool, record))
    return weigh(client, replace(FACTS, height=height), signed, MIN_FEE)


def test_good_payment_is_worth_what_is_due() -> None:
    worth = _weigh(_payment(800))
    assert (worth.verdict, worth.due, worth.remaining, worth.gain, worth.blocks_left) == ("GOOD", 500, 600, 500, 9)


def test_all_that_remains_is_still_good() -> None:
    assert _weigh(_payment(900)).verdict == "GOOD"


def test_overspent_payment_is_worth_what_remains_and_the_reward() -> None:
    worth = _weigh(_payment(901))
    assert (worth.verdict, worth.due, worth.gain) == ("OVERSPENT", 601, 600 + MIN_FEE + REWARD)
    poor = _weigh(_payment(901), replace(OPEN, collateral=1001))
    assert (poor.verdict, poor.gain) == ("OVERSPENT", 600)


def test_later_number_waits_for_earlier_settlements() -> None:
    worth = _weigh(_payment(seq=5))
    assert worth.verdict == "GOOD"
    assert "it can be settled after number 3 to 4" in worth.explanation


@pytest.mark.parametrize(("height", "verdict", "blocks"), [(58, "GOOD", 1), (59, "POOL_EXPIRED", 0)])
def test_last_block_in_which_it_can_be_settled(height: int, verdict: str, blocks: int) -> None:
    worth = _weigh(_payment(), height=height)
    assert (worth.verdict, worth.blocks_left) == (verdict, blocks)


@pytest.mark.parametrize(
    ("signed", "pool", "verdict"),
    [
        (_payment(), replace(OPEN, status="slashed"), "POOL_SLASHED"),
        (_payment(), replace(OPEN, status="expired"), "POOL_EXPIRED"),
        (_payment(target=ALICE), OPEN, "SELF_PAYMENT"),
        (_payment(by=BOB), OPEN, "NOT_CREATOR"),
        (_payment(seq=2), OPEN, "BAD_SEQUENCE"),
        (_payment(300), OPEN, "AMOUNT_NOT_INCREASED"),
        (replace(_payment(), chain_id=1), OPEN, "WRONG_CHAIN"),
        (replace(_payment(), genesis_hash=bytes(32)), OPEN, "WRONG_CHAIN"),
    ],
)
def test_payment_that_would_be_refused_is_worth_nothing(signed: SignedPayment, pool: PoolFacts, verdict: str) -> None:
    worth = _weigh(signed, pool)
    assert (worth.verdict, worth.gain, worth.blocks_left) == (verdict, 0, 0)
    assert worth.explanation

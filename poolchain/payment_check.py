"""What a payment is worth on the chain right now (protocol section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crypto.address import checksum_address

from .chain_client import ChainClient, ChainFacts, PoolFacts, TargetFacts
from .payment_file import Payment, SignedPayment
from .units import format_tokens, tokens_text

GOOD: Final = "GOOD"
OVERSPENT: Final = "OVERSPENT"


@dataclass(frozen=True, slots=True)
class Worth:
    """A payment against the state after the head. Amounts in base units."""

    verdict: str
    """GOOD, OVERSPENT (it would slash), or why it would be refused."""
    explanation: str
    due: int = 0
    """What it promises above what was paid already."""
    remaining: int = 0
    gain: int = 0
    """What the target would get for it, before the fee: `due`, or what remains and the reward."""
    blocks_left: int = 0
    """Blocks in which it can still be settled."""


def weigh(client: ChainClient, facts: ChainFacts, signed: SignedPayment, fee: int) -> Worth:
    """Compare a payment with the chain; `fee` is that of the settlement. Raises Failure for a bad signature."""
    signer = signed.signer()
    if (signed.chain_id, signed.genesis_hash) != (facts.domain.chain_id, facts.domain.genesis_hash):
        return Worth("WRONG_CHAIN", "it was made for another chain and is worth nothing on this one")
    payment = signed.payment
    pool = client.pool(payment.cptx_hash)
    record = client.target(payment.cptx_hash, payment.target)
    return _refusal(payment, signer, pool, record, facts) or _value(payment, pool, record, facts, fee=fee)


def _refusal(payment: Payment, signer: bytes, pool: PoolFacts, record: TargetFacts, facts: ChainFacts) -> Worth | None:
    """Return the first rule that the settlement would break, in the order of the chain's own checks."""
    expected = record.seq + 1
    checks = (
        (pool.status == "slashed", "POOL_SLASHED", "its pool was slashed"),
        (
            pool.status == "expired" or facts.height + 1 >= pool.expires_at,
            "POOL_EXPIRED",
            f"its pool could be settled before block {pool.expires_at} only, and the head is {facts.height}",
        ),
        (payment.target == pool.creator, "SELF_PAYMENT", "it pays the pool's own creator"),
        (
            signer != pool.creator,
            "NOT_CREATOR",
            f"it is signed by {checksum_address(signer)} and the pool is {checksum_address(pool.creator)}'s",
        ),
        (
            payment.tgt_seq < expected,
            "BAD_SEQUENCE",
            f"number {payment.tgt_seq} was settled already: the next one is {expected}",
        ),
        (
            payment.amount <= record.paid,
            "AMOUNT_NOT_INCREASED",
            f"its total of {tokens_text(payment.amount)} was paid already ({format_tokens(record.paid)})",
        ),
    )
    for broken, reason, explanation in checks:
        if broken:
            return Worth(reason, explanation, remaining=pool.remaining)
    return None


def _value(payment: Payment, pool: PoolFacts, record: TargetFacts, facts: ChainFacts, *, fee: int) -> Worth:
    due = payment.amount - record.paid
    blocks_left = pool.expires_at - 1 - facts.height
    if due > pool.remaining:
        reward = slash_reward(fee, facts.reward, pool)
        gain = pool.remaining + reward
        explanation = (
            f"the creator has promised more than the deposit: settling it slashes the pool, pays the remaining "
            f"{format_tokens(pool.remaining)} and a reward of {tokens_text(reward)}, and burns "
            f"{format_tokens(pool.collateral - reward)}"
        )
        return Worth(OVERSPENT, explanation, due, pool.remaining, gain, blocks_left)
    expected = record.seq + 1
    explanation = (
        "it can be settled now"
        if payment.tgt_seq == expected
        else f"it can be settled after number {expected} to {payment.tgt_seq - 1}"
    )
    return Worth(GOOD, explanation, due, pool.remaining, due, blocks_left)


def slash_reward(fee: int, reward: int, pool: PoolFacts) -> int:
    """Return what a target gets out of the collateral for proving a double spend."""
    return min(fee + reward, pool.collateral - pool.deposit - 1)

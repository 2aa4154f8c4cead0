"""Receipts: what a transaction did, seven words each, committed to by the receiptsRoot (protocol section 5)."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from crypto.hashing import ZERO_HASH
from crypto.words import AMOUNT_LIMIT, WORD_BYTES, decode_uint, encode_uint, split_words

RECEIPT_BYTES: Final = 7 * WORD_BYTES


class Outcome(IntEnum):
    """What an included transaction came to; inclusion means success."""

    TRANSFERRED = 0
    CREATED = 1
    SETTLED = 2
    SLASHED = 3


class Receipt(NamedTuple):
    """The effect of one transaction; amounts in base units."""

    transaction_hash: bytes
    outcome: Outcome
    fee: int
    """The fee taken, which in a slash may be less than the fee stated."""
    cptx_hash: bytes = ZERO_HASH
    """The pool concerned; the transaction's own hash for CreatePool, zero for Transfer."""
    paid: int = 0
    """What the target got out of the deposit."""
    burned: int = 0
    reward: int = 0
    """What the target got out of the collateral."""

    def encode(self) -> bytes:
        """Return the 224 bytes that are a leaf of the receipts tree."""
        transaction_hash, outcome, fee, cptx_hash, paid, burned, reward = self
        return b"".join(
            (
                transaction_hash,
                encode_uint(outcome),
                encode_uint(fee),
                cptx_hash,
                encode_uint(paid),
                encode_uint(burned) if burned else ZERO_HASH,
                encode_uint(reward) if reward else ZERO_HASH,
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Receipt:
        """Return the receipt of 224 bytes; raises ValueError."""
        if len(data) != RECEIPT_BYTES:
            raise ValueError(f"expected {RECEIPT_BYTES} bytes, given {len(data)}")
        words = split_words(data)
        return cls(
            words[0],
            Outcome(decode_uint(words[1], AMOUNT_LIMIT)),
            decode_uint(words[2], AMOUNT_LIMIT),
            words[3],
            *(decode_uint(word, AMOUNT_LIMIT) for word in words[4:]),
        )

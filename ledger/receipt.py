"""Receipts: what a transaction did, seven words each, committed to by the receiptsRoot (protocol section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from crypto.hashing import ZERO_HASH
from crypto.words import AMOUNT_LIMIT, WORD_BYTES, decode_uint, encode_uint, split_words

RECEIPT_BYTES: Final = 7 * WORD_BYTES


class Outcome(IntEnum):
    """What an included transaction came to; inclusion means success."""

    TRANSFERRED = 0
    CREATED = 1
    SETTLED = 2
    SLASHED = 3


@dataclass(init=False, slots=True)
class Receipt:
    """The effect of one transaction; amounts in base units."""

    transaction_hash: bytes
    outcome: Outcome
    fee: int
    """The fee taken, which in a slash may be less than the fee stated."""
    cptx_hash: bytes
    """The pool concerned; the transaction's own hash for CreatePool, zero for Transfer."""
    paid: int
    """What the target got out of the deposit."""
    burned: int
    reward: int
    """What the target got out of the collateral."""

    def __init__(  # noqa: PLR0917 - the members, in their order
        self,
        transaction_hash: bytes,
        outcome: Outcome,
        fee: int,
        cptx_hash: bytes = ZERO_HASH,
        paid: int = 0,
        burned: int = 0,
        reward: int = 0,
    ) -> None:
        """Take the members."""
        self.transaction_hash = transaction_hash
        self.outcome = outcome
        self.fee = fee
        self.cptx_hash = cptx_hash
        self.paid = paid
        self.burned = burned
        self.reward = reward

    def encode(self) -> bytes:
        """Return the 224 bytes that are a leaf of the receipts tree."""
        return b"".join(
            (
                self.transaction_hash,
                encode_uint(self.outcome),
                encode_uint(self.fee),
                self.cptx_hash,
                encode_uint(self.paid),
                encode_uint(self.burned) if self.burned else ZERO_HASH,
                encode_uint(self.reward) if self.reward else ZERO_HASH,
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

"""What a verifier finds out about a raw transaction."""

from __future__ import annotations

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from ledger.errors import Refusal
from txtypes.table import kind_of, signers_of

Verified = tuple[bytes, tuple[bytes, ...]]
"""Transaction hash and signers; whoever asks takes the fields from the bytes, which is less than sending them."""
Refused = tuple[str, str, str]
"""Reason, expected, given."""


def verify(raw: bytes, domain: Domain) -> Verified | Refused:
    """Return the hash of raw bytes and who signed them, or why nobody did; whether they are well formed is not seen."""
    try:
        return keccak256(raw), signers_of(kind_of(raw), raw, domain)
    except Refusal as refusal:
        return refusal.reason, refusal.expected, refusal.given

"""The two hash functions of the chain (protocol section 1).

Keccak-256 names things (transactions, blocks, addresses); SHA-256 builds every Merkle tree.
"""

from __future__ import annotations

from hashlib import sha256 as _sha256
from typing import Final

from sha3 import keccak_256 as _keccak_256

HASH_BYTES: Final = 32
ZERO_HASH: Final = bytes(HASH_BYTES)


def keccak256(data: bytes) -> bytes:
    """Return the 32-byte Keccak-256 of `data` (Ethereum's, not NIST SHA3-256)."""
    digest: bytes = _keccak_256(data).digest()
    return digest


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of `data`."""
    return _sha256(data).digest()

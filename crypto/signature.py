"""Recoverable secp256k1 signatures in exactly one form (protocol section 1).

65 bytes `r || s || v` with 1 <= r < n, 1 <= s <= (n - 1) / 2 and v 27 or 28. libsecp256k1 recovers a key from the
mirrored signature (s -> n - s) as well, so the bound on s is ours to check: without it anybody could give a
transaction a second hash.
"""

from __future__ import annotations

from typing import Final

from coincurve import PrivateKey, PublicKey

from .address import address_of_public_key

SIGNATURE_BYTES: Final = 65
SECRET_BYTES: Final = 32
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ORDER_BYTES = CURVE_ORDER.to_bytes(32, "big")
_HALF_ORDER_BYTES = ((CURVE_ORDER - 1) // 2).to_bytes(32, "big")
_ZERO = bytes(32)
_RECOVERY_ID = {27: b"\x00", 28: b"\x01"}


class InvalidSignature(ValueError):
    """A signature is not in canonical form or no key can be recovered from it."""


def check_canonical(signature: bytes) -> None:
    """Raise InvalidSignature unless `signature` has the one accepted form."""
    if len(signature) != SIGNATURE_BYTES:
        raise InvalidSignature(f"expected {SIGNATURE_BYTES} bytes, given {len(signature)}")
    if not _ZERO < signature[:32] < _ORDER_BYTES:
        raise InvalidSignature("expected 1 <= r < n")
    if not _ZERO < signature[32:64] <= _HALF_ORDER_BYTES:
        raise InvalidSignature("expected 1 <= s <= (n - 1) / 2")
    if signature[64] not in _RECOVERY_ID:
        raise InvalidSignature(f"expected v 27 or 28, given {signature[64]}")


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that signed the 32-byte `digest`; raises InvalidSignature."""
    check_canonical(signature)
    compact = signature[:64] + _RECOVERY_ID[signature[64]]
    try:
        key = PublicKey.from_signature_and_message(compact, digest, hasher=None)
    except ValueError as error:
        raise InvalidSignature("no public key can be recovered") from error
    return address_of_public_key(key.format(compressed=False)[1:])


class SigningKey:
    """A secp256k1 private key that signs digests deterministically (RFC 6979) with a low s."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        """Take a 32-byte secret; raises ValueError for another length, zero, or a value >= n."""
        if len(secret) != SECRET_BYTES or not _ZERO < secret < _ORDER_BYTES:
            raise ValueError("expected a private key of 32 bytes between 1 and n - 1")
        self._key = PrivateKey(secret)
        self.address = address_of_public_key(self._key.public_key.format(compressed=False)[1:])

    @property
    def secret(self) -> bytes:
        """The 32 secret bytes, for key files only."""
        return self._key.secret

    @property
    def compressed_public_key(self) -> bytes:
        """The 33 bytes that BIP-32 derives from."""
        return self._key.public_key.format(compressed=True)

    def sign(self, digest: bytes) -> bytes:
        """Return the canonical 65-byte signature of the 32-byte `digest`."""
        compact = self._key.sign_recoverable(digest, hasher=None)
        return compact[:64] + bytes([27 + compact[64]])

    def __repr__(self) -> str:
        """Show the address, never the secret."""
        return f"SigningKey(address=0x{self.address.hex()})"

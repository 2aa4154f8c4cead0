"""Recoverable secp256k1 signatures in exactly one form (protocol section 1).

65 bytes `r || s || v` with 1 <= r < n, 1 <= s <= (n - 1) / 2 and v 27 or 28. libsecp256k1 recovers a key from the
mirrored signature (s -> n - s) as well, so the bound on s is ours to check: without it anybody could give a
transaction a second hash.
"""

from __future__ import annotations

from typing import Any, Final

from coincurve import PrivateKey
from coincurve._libsecp256k1 import ffi, lib
from coincurve.context import GLOBAL_CONTEXT

from .address import address_of_public_key
from .hashing import HASH_BYTES

SIGNATURE_BYTES: Final = 65
SECRET_BYTES: Final = 32
CURVE_ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_ORDER_BYTES: Final = CURVE_ORDER.to_bytes(32, "big")
_HALF_ORDER_BYTES: Final = ((CURVE_ORDER - 1) // 2).to_bytes(32, "big")
_ZERO: Final = bytes(32)
_FIRST_V: Final = 27
_PUBLIC_KEY_BYTES: Final = 65
_CONTEXT: Final[Any] = GLOBAL_CONTEXT.ctx
_UNCOMPRESSED: Final[Any] = lib.SECP256K1_EC_UNCOMPRESSED
_parse: Final[Any] = lib.secp256k1_ecdsa_recoverable_signature_parse_compact
_recover: Final[Any] = lib.secp256k1_ecdsa_recover
_serialize: Final[Any] = lib.secp256k1_ec_pubkey_serialize


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
    if not _FIRST_V <= signature[64] <= _FIRST_V + 1:
        raise InvalidSignature(f"expected v 27 or 28, given {signature[64]}")


class _Buffers:
    """What one recovery needs of libsecp256k1's own memory."""

    __slots__ = ("length", "public_key", "serialized", "signature", "view")

    def __init__(self) -> None:
        self.signature: Any = ffi.new("secp256k1_ecdsa_recoverable_signature *")
        self.public_key: Any = ffi.new("secp256k1_pubkey *")
        self.serialized: Any = ffi.new("unsigned char[]", _PUBLIC_KEY_BYTES)
        self.length: Any = ffi.new("size_t *", _PUBLIC_KEY_BYTES)
        self.view: Any = ffi.buffer(self.serialized)


_free_buffers: Final[list[_Buffers]] = []
"""Those that no thread is using. coincurve's objects make theirs anew for every call, which takes 3 us and more."""


def recover(digest: bytes, signature: bytes) -> bytes:
    """Return the 20-byte address that signed the 32-byte `digest`; raises InvalidSignature."""
    check_canonical(signature)
    if len(digest) != HASH_BYTES:
        raise ValueError(f"expected a digest of {HASH_BYTES} bytes, given {len(digest)}")
    try:
        buffers = _free_buffers.pop()
    except IndexError:
        buffers = _Buffers()
    try:
        _parse(_CONTEXT, buffers.signature, signature, signature[64] - _FIRST_V)
        if not _recover(_CONTEXT, buffers.public_key, buffers.signature, digest):
            raise InvalidSignature("no public key can be recovered")
        _serialize(_CONTEXT, buffers.serialized, buffers.length, buffers.public_key, _UNCOMPRESSED)
        return address_of_public_key(buffers.view[1:])
    finally:
        _free_buffers.append(buffers)


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

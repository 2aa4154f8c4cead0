"""Addresses: the last 20 bytes of the Keccak-256 of a public key, shown with the EIP-55 checksum."""

from __future__ import annotations

import re
from typing import Final

from .hashing import keccak256

ADDRESS_BYTES: Final = 20
ZERO_ADDRESS: Final = bytes(ADDRESS_BYTES)
_TEXT: Final = re.compile(r"0x[0-9a-fA-F]{40}\Z", re.ASCII)


def address_of_public_key(public_key: bytes) -> bytes:
    """Return the address of a 64-byte uncompressed secp256k1 public key (without the 04 prefix)."""
    return keccak256(public_key)[12:]


def checksum_address(address: bytes) -> str:
    """Return the 20-byte `address` as text with the checksum of EIP-55."""
    text = address.hex()
    nibbles = keccak256(text.encode()).hex()
    cased = (c.upper() if int(n, 16) >= 8 else c for c, n in zip(text, nibbles, strict=False))
    return "0x" + "".join(cased)


def parse_address(text: str) -> bytes:
    """Return the 20 bytes of an address given in lower case or with a right EIP-55 checksum.

    Raises ValueError, saying what was expected, for everything else.
    """
    if not _TEXT.match(text):
        raise ValueError("expected 0x and 40 hexadecimal digits")
    address = bytes.fromhex(text[2:])
    if text[2:] != text[2:].lower() and text != checksum_address(address):
        raise ValueError(f"wrong checksum: expected {checksum_address(address)}")
    return address

"""Keys from a mnemonic: BIP-39 seed, BIP-32 derivation along m/44'/60'/0'/0/i (BIP-44), as all Ethereum wallets do.

Only what the devnet needs: the phrase is taken as it is, without a word list. The tests compare with eth-account.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from typing import Final

from crypto.signature import CURVE_ORDER, SigningKey

HARDENED: Final = 1 << 31
ETHEREUM_PATH: Final = (44 | HARDENED, 60 | HARDENED, 0 | HARDENED, 0)


def derive_keys(mnemonic: str, count: int) -> list[SigningKey]:
    """Return the first `count` keys of a mnemonic without a passphrase."""
    node = _master(_seed(mnemonic))
    for index in ETHEREUM_PATH:
        node = _child(node, index)
    return [SigningKey(_child(node, index)[0]) for index in range(count)]


def _seed(mnemonic: str) -> bytes:
    phrase = unicodedata.normalize("NFKD", mnemonic).encode()
    return hashlib.pbkdf2_hmac("sha512", phrase, b"mnemonic", 2048)


def _master(seed: bytes) -> tuple[bytes, bytes]:
    """Return (secret, chain code) of the root."""
    digest = hmac.digest(b"Bitcoin seed", seed, "sha512")
    return digest[:32], digest[32:]


def _child(parent: tuple[bytes, bytes], index: int) -> tuple[bytes, bytes]:
    """Return (secret, chain code) of a child; BIP-32's exceptions for invalid keys have probability 2^-127."""
    secret, chain_code = parent
    public = SigningKey(secret).compressed_public_key
    data = (b"\x00" + secret if index & HARDENED else public) + index.to_bytes(4, "big")
    digest = hmac.digest(chain_code, data, "sha512")
    child = (int.from_bytes(digest[:32], "big") + int.from_bytes(secret, "big")) % CURVE_ORDER
    return child.to_bytes(32, "big"), digest[32:]

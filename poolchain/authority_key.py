"""The authority's key file: an encrypted web3 keystore, readable by its owner only."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from crypto.signature import SigningKey

from .keyfile_library import load_keyfile_library


class BadKeyFile(Exception):
    """The key file cannot be used; the argument is one sentence for the operator."""


def read_authority_file(path: Path, authority: bytes) -> bytes:
    """Return the bytes of the authority's keystore file; raises BadKeyFile for what cannot be it, as far as it shows.

    Without the password that is: a keystore, and not one that says to be another account's. Raises OSError.
    """
    data = path.read_bytes()
    try:
        document = json.loads(data)
        stated = str(document.get("address", authority.hex())).lower().removeprefix("0x")
    except (ValueError, RecursionError, AttributeError) as error:
        raise BadKeyFile(f"{path} is not a keystore file") from error
    if "crypto" not in document:
        raise BadKeyFile(f"{path} is not a keystore file: it has no member crypto")
    if stated != authority.hex():
        raise BadKeyFile(f"{path}: expected the key of the genesis's authority 0x{authority.hex()}, given 0x{stated}'s")
    return data


def load_authority(path: Path, password: str, authority: bytes) -> SigningKey:
    """Return the authority's key; raises BadKeyFile, also for another's."""
    if not path.exists():
        raise BadKeyFile(
            f"{path} is missing: this node cannot seal. Copy the authority's keystore file there (mode 0600), "
            "if no other copy of this chain will ever seal again"
        )
    key = load_key(path, password)
    if key.address != authority:
        raise BadKeyFile(f"{path}: expected the key of 0x{authority.hex()}, given that of 0x{key.address.hex()}")
    return key


def load_key(path: Path, password: str) -> SigningKey:
    """Return the key of a keystore file; raises BadKeyFile."""
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise BadKeyFile(f"{path} must be a regular file")
        if status.st_mode & 0o077:
            raise BadKeyFile(f"{path} can be read by others: expected mode 0600, given {status.st_mode & 0o777:04o}")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise BadKeyFile(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadKeyFile(f"{path} is not a keystore file: {error}") from error
    try:
        return SigningKey(bytes(load_keyfile_library().decode_keyfile_json(document, password.encode())))
    except (ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise BadKeyFile(f"{path} cannot be opened with this password: {error}") from error

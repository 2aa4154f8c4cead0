"""The authority's key file: an encrypted web3 keystore, readable by its owner only."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from crypto.signature import SigningKey

from .keyfile_library import load_keyfile_library


class BadKeyFile(Exception):
    """The key file cannot be used; the argument is one sentence for the operator."""


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

"""Accounts of this user: one encrypted web3 secret-storage file each, named 0x<address>.json.

They are in POOLCHAIN_HOME/keystore (0700, files 0600), and geth, cast and web3.py read them too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from crypto.address import checksum_address
from crypto.signature import SECRET_BYTES, SigningKey

from .authority_key import BadKeyFile, load_key
from .failure import Failure, Unavailable
from .home import home
from .keyfile_library import load_keyfile_library
from .private_files import is_private, make_private_directory, write_new

SCRYPT_N: Final = 1 << 18
"""Work of one guess at the password: about half a second and 256 MiB."""
SCRYPT_N_LIGHT: Final = 1 << 12
"""For tests and toys: a few milliseconds."""
KEY_FILE_BYTES_MAX: Final = 64 * 1024


class Keystore:
    """The accounts in one directory."""

    def __init__(self, directory: Path | None = None) -> None:
        """Take a directory that need not exist; without one, the user's."""
        self.directory = directory or home() / "keystore"

    def path(self, address: bytes) -> Path:
        """Return where the account of an address is, or would be."""
        return self.directory / f"0x{address.hex()}.json"

    def addresses(self) -> list[bytes]:
        """Return the accounts there are, in the order of their addresses."""
        found = []
        for path in sorted(self.directory.glob("0x*.json")):
            try:
                address = bytes.fromhex(path.stem[2:])
            except ValueError:
                continue
            if len(address) == 20:
                found.append(address)
        return found

    def add(self, key: SigningKey, password: str, *, light: bool = False) -> Path:
        """Write an account and read it back once; raises Failure when it exists already, OSError."""
        make_private_directory(self.directory)
        if not is_private(self.directory):
            raise Unavailable(
                f"{self.directory} is open to others: run 'chmod 700 {self.directory}'.", reason="NOT_PRIVATE"
            )
        path = self.path(key.address)
        if path.exists():
            raise _exists(key.address, path)
        try:
            write_new(path, encrypt(key, password, SCRYPT_N_LIGHT if light else SCRYPT_N))
        except FileExistsError as error:
            raise _exists(key.address, path) from error
        if self.load(key.address, password).address != key.address:
            raise Unavailable(f"{path} does not hold what was written: check the disk.", reason="STORAGE_FAILED")
        return path

    def expect(self, address: bytes) -> None:
        """Raise Failure for an account that is not there, before anybody is asked for its password."""
        if not self.path(address).exists():
            raise Failure(
                f"{checksum_address(address)} is not in {self.directory}; 'poolchain account list' shows what is.",
                reason="ACCOUNT_UNKNOWN",
            )

    def load(self, address: bytes, password: str) -> SigningKey:
        """Decrypt an account; raises Failure for one that is not there, does not open, or is another's."""
        self.expect(address)
        path = self.path(address)
        key = open_keystore_file(path, password)
        if key.address != address:
            raise Failure(f"{path} holds the key of {checksum_address(key.address)}.", reason="BAD_KEY_FILE")
        return key


def encrypt(key: SigningKey, password: str, scrypt_n: int) -> bytes:
    """Return the web3 secret-storage file of a key."""
    document = load_keyfile_library().create_keyfile_json(
        key.secret, password.encode(), kdf="scrypt", iterations=scrypt_n
    )
    # geth writes it so, and some tools compare the text.
    document["address"] = key.address.hex()
    return json.dumps(document, indent=2).encode() + b"\n"


def open_keystore_file(path: Path, password: str) -> SigningKey:
    """Decrypt one file; raises Failure."""
    try:
        return load_key(path, password)
    except BadKeyFile as error:
        raise Failure(f"{error}.", reason="BAD_KEY_FILE") from error


def read_raw_key(path: Path) -> SigningKey:
    """Return the key of a file with 64 hex digits, which only its owner may read; raises Failure."""
    if not is_private(path):
        raise Failure(f"{path} can be read by others: run 'chmod 600 {path}'.", reason="NOT_PRIVATE")
    key = parse_raw_key(read_key_file(path))
    if key is None:
        raise Failure(f"{path}: expected a private key as 64 hex digits.", reason="BAD_KEY_FILE")
    return key


def read_key_file(path: Path) -> str:
    """Return the text of a key file; raises Failure for one that cannot be one."""
    with path.open("rb") as file:
        data = file.read(KEY_FILE_BYTES_MAX + 1)
    if len(data) > KEY_FILE_BYTES_MAX or not data.isascii():
        raise Failure(f"{path} is not a key file.", reason="BAD_KEY_FILE")
    return data.decode()


def parse_raw_key(text: str) -> SigningKey | None:
    """Return the key of 64 hex digits, with or without 0x; None for anything else. The text is never repeated."""
    try:
        return SigningKey(bytes.fromhex(text.strip().removeprefix("0x"))) if len(text) < 4 * SECRET_BYTES else None
    except ValueError:
        return None


def _exists(address: bytes, path: Path) -> Failure:
    return Failure(f"{checksum_address(address)} is there already, in {path}.", reason="ACCOUNT_EXISTS")

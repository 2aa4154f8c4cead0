"""Whose key signs: --from an account of the keystore or of the devnet, or --key-file."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from crypto.address import parse_address
from crypto.signature import SigningKey
from poolchain.chain_client import ChainFacts
from poolchain.console import note
from poolchain.devnet import devnet_keys
from poolchain.failure import BadArgument
from poolchain.keystore import Keystore, read_raw_key

from .arguments import devnet_account
from .password import password_option, read_password


@dataclass(frozen=True, slots=True)
class Signer:
    """The choice made on the command line; nothing is opened before `key`."""

    account: str | None
    key_file: Path | None
    password_file: Path | None

    def key(self, facts: ChainFacts) -> SigningKey:
        """Return the key, asking for a password where it needs one; raises Failure."""
        if self.key_file is not None:
            return read_raw_key(self.key_file)
        text = self.account or ""
        devnet_key = devnet_account(text)
        if devnet_key is not None:
            if facts.authority != devnet_keys().authority.address:
                note(f"Warning: this chain is not a devnet, and everybody has the key of {text}.")
            return devnet_key
        try:
            address = parse_address(text)
        except ValueError as error:
            raise BadArgument(f"--from {text}: {error}, or devnet:N.", reason="USAGE", given=text) from error
        keystore = Keystore()
        keystore.expect(address)
        return keystore.load(address, read_password(self.password_file))


def signer_options(command: Any) -> Any:
    """Add --from, --key-file and --password-file, which become the parameter `signer`."""

    @click.option(
        "--from", "account", metavar="ACCOUNT", help="Signing account: an address in the keystore, or devnet:N."
    )
    @click.option(
        "--key-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Signing key: a file of 64 hex digits, mode 0600.",
    )
    @password_option
    @functools.wraps(command)
    def with_signer(*, account: str | None, key_file: Path | None, password_file: Path | None, **others: Any) -> Any:
        if (account is None) == (key_file is None):
            raise click.UsageError("Say who signs: --from ADDRESS, --from devnet:N, or --key-file FILE.")
        return command(signer=Signer(account, key_file, password_file), **others)

    return with_signer

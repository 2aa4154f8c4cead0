"""The commands `account new`, `list`, `import` and `show`."""

from __future__ import annotations

from pathlib import Path

import click

from crypto.address import checksum_address
from crypto.signature import SECRET_BYTES, SigningKey
from poolchain.chain_client import ChainClient
from poolchain.console import aligned, emit, examples, json_option, note
from poolchain.keystore import Keystore, open_keystore_file, parse_raw_key, read_key_file
from poolchain.private_files import is_private
from poolchain.units import tokens_text

from .arguments import address_value, rpc_option
from .password import password_option, read_password


@click.group(
    "account", epilog=examples("poolchain account new", "poolchain account list", "poolchain account show devnet:0")
)
def account_group() -> None:
    """Make, list, import and look at accounts.

    Keys are kept encrypted in ~/.poolchain/keystore ($POOLCHAIN_HOME/keystore), in the format that geth, cast and
    web3.py read.
    """


def _light_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option("--light", is_flag=True, help="Weaker encryption that opens at once: for tests.")(command)


@account_group.command(
    "new", epilog=examples("poolchain account new", "poolchain account new --password-file secret.txt --json")
)
@password_option
@_light_option
@json_option
def new_command(*, password_file: Path | None, light: bool) -> None:
    """Make a key and keep it encrypted with a password."""
    import secrets  # noqa: PLC0415  # only here

    _keep(SigningKey(secrets.token_bytes(SECRET_BYTES)), read_password(password_file, new=True), light=light)


@account_group.command(
    "import",
    epilog=examples("poolchain account import key.hex", "poolchain account import UTC--2026-11-23T08-00-00Z--a1b2"),
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@password_option
@_light_option
@json_option
def import_command(*, file: Path, password_file: Path | None, light: bool) -> None:
    """Take a key from FILE: 64 hex digits, or a keystore file, whose password it keeps."""
    key = parse_raw_key(read_key_file(file))
    if key is not None and not is_private(file):
        note(f"Warning: {file} holds the key itself and can be read by others; delete it, or 'chmod 600' it.")
    password = read_password(password_file, new=key is not None)
    _keep(key or open_keystore_file(file, password), password, light=light)


@account_group.command("list", epilog=examples("poolchain account list"))
@json_option
def list_command() -> None:
    """Show the accounts in the keystore."""
    keystore = Keystore()
    found = [checksum_address(address) for address in keystore.addresses()]
    document = {"keystore": str(keystore.directory), "accounts": found}
    emit(document, "\n".join(found) or f"No accounts in {keystore.directory}: make one with 'poolchain account new'.")


@account_group.command("show", epilog=examples("poolchain account show devnet:0"))
@click.argument("address", type=address_value)
@rpc_option
@json_option
def show_command(*, address: bytes, client: ChainClient) -> None:
    """Show the balance and the next nonce of ADDRESS, which may be devnet:N."""
    account = client.account(address)
    text = checksum_address(address)
    emit(
        {"address": text, "balance": hex(account.balance), "nonce": hex(account.nonce)},
        aligned([("Address", text), ("Balance", tokens_text(account.balance)), ("Nonce", str(account.nonce))]),
    )


def _keep(key: SigningKey, password: str, *, light: bool) -> None:
    path = Keystore().add(key, password, light=light)
    address = checksum_address(key.address)
    emit({"address": address, "file": str(path)}, aligned([("Address", address), ("File", str(path))]))

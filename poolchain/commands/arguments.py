"""What the commands that talk to a node take: its URL, addresses, hashes, amounts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from crypto.address import parse_address
from crypto.signature import SigningKey
from poolchain.chain_client import ChainClient, hex_text
from poolchain.devnet import ACCOUNTS, devnet_keys
from poolchain.units import BadUnits, parse_tokens

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_RPC: Final = "http://127.0.0.1:8545"
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)
_HEIGHT = re.compile(r"[0-9]{1,19}", re.ASCII)
_DEVNET_ACCOUNT = re.compile(r"devnet:([0-9])", re.ASCII)


def devnet_account(text: str) -> SigningKey | None:
    """Return the key of `devnet:0` to `devnet:9`, None for other texts; raises click.BadParameter for devnet:10."""
    if not text.startswith("devnet:"):
        return None
    found = _DEVNET_ACCOUNT.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"the devnet's accounts are devnet:0 to devnet:{ACCOUNTS - 1}, given {text}.")
    return devnet_keys().accounts[int(found[1])]


def address_value(text: str) -> bytes:
    """Read an address, or `devnet:N`."""
    key = devnet_account(text)
    if key is not None:
        return key.address
    try:
        return parse_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{text} is not an address: {error}.") from error


def hash_value(text: str) -> bytes:
    """Read a 32-byte hash."""
    if not _HASH.fullmatch(text):
        raise click.BadParameter(f"expected 0x and 64 lower-case hexadecimal digits, given {text}.")
    return bytes.fromhex(text[2:])


def block_value(text: str) -> str:
    """Read a height in decimal, a hash, `latest` or `earliest`, as the RPC takes it."""
    if text in {"latest", "earliest"}:
        return text
    return hex(int(text)) if _HEIGHT.fullmatch(text) else hex_text(hash_value(text))


def tokens_value(text: str) -> int:
    """Read an amount of tokens as base units."""
    try:
        return parse_tokens(text)
    except BadUnits as error:
        raise click.BadParameter(f"{error}.") from error


def _connect(context: click.Context, _parameter: click.Parameter, value: str) -> ChainClient:
    client = ChainClient(value)
    context.call_on_close(client.rpc.close)
    return client


def rpc_option(command: Any) -> Any:
    """Add --rpc, which becomes the parameter `client`."""
    return click.option(
        "--rpc",
        "client",
        envvar="POOLCHAIN_RPC",
        default=DEFAULT_RPC,
        show_default=True,
        show_envvar=True,
        metavar="URL",
        callback=_connect,
        help="The node.",
    )(command)


def fee_option(command: Any) -> Any:
    """Add --fee, in base units or None."""
    return click.option(
        "--fee", type=tokens_value, metavar="TOKENS", help="Fee.  [default: the least that the chain takes]"
    )(command)


def nonce_option(command: Any) -> Any:
    """Add --nonce, None for the next one."""
    return click.option(
        "--nonce", type=click.IntRange(0), help="Nonce, to replace a pending transaction.  [default: the next]"
    )(command)


def file_argument(command: Any) -> Any:
    """Add FILE, which is read: `-` is standard input."""
    return click.argument("file", type=click.File("rb"))(command)


def out_option(name: str, text: str) -> Callable[[F], F]:
    """Return what adds an option with a file to be written."""
    return click.option(name, type=click.Path(path_type=Path, dir_okay=False), help=text)

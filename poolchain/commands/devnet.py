"""The command `devnet`: a local chain with funded accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click

from crypto.address import checksum_address
from ledger.genesis import Genesis
from poolchain.block_maker import ON_TRANSACTION
from poolchain.console import examples
from poolchain.data_directory import DataDirectory, create, replace
from poolchain.devnet import BALANCE_TOKENS, CHAIN_ID, MNEMONIC, TOKEN, DevnetKeys, devnet_genesis, devnet_keys
from poolchain.failure import BadArgument
from poolchain.memory import memory_of
from poolchain.opening import OpenChain, open_chain, stated_genesis
from poolchain.running import NodeSettings
from rpc.ports import Sealing

from .options import (
    DEVNET_DIRECTORY,
    Listen,
    SealMode,
    directory_option,
    json_option,
    listen_options,
    memory_option,
    problems,
)
from .serving import describe, run_in_foreground

KEY_WARNING: Final = "These keys are public: everybody has them. Never send anything of value to these addresses."


@click.command(
    "devnet",
    epilog=examples("poolchain devnet", "poolchain devnet --port 0 --json", "poolchain devnet --reset --seal 2"),
)
@listen_options
@directory_option(DEVNET_DIRECTORY)
@click.option("--chain-id", type=click.IntRange(1), help=f"Chain id of a new devnet.  [default: {CHAIN_ID}]")
@click.option("--reset", is_flag=True, help="Begin another chain; payments of the former one are worth nothing on it.")
@click.option("--seal", "sealing", type=SealMode(), default=ON_TRANSACTION, show_default=True, help="When blocks come.")
@memory_option
@json_option
def devnet_command(
    *,
    listen: Listen,
    data_dir: Path,
    chain_id: int | None,
    reset: bool,
    sealing: Sealing,
    memory_mib: int,
    as_json: bool,
) -> None:
    """Run a local chain with ten funded accounts whose keys everybody knows.

    The chain is kept in the data directory and goes on where it stopped, also after a kill.
    """
    with problems():
        keys = devnet_keys()
        directory = DataDirectory(data_dir)
        if directory.exists():
            _expect_devnet(stated_genesis(directory), keys, None if reset else chain_id)
            if reset:
                _reset_devnet(directory, keys, chain_id)
        else:
            create(data_dir, devnet_genesis(keys, chain_id or CHAIN_ID))
        with open_chain(directory, keys.authority, memory_of(memory_mib)) as opened:
            banner = _json_banner if as_json else _banner
            settings = NodeSettings(listen.host, listen.port, sealing, pages=listen.pages, faucet_key=keys.faucet)
            run_in_foreground(opened, keys.authority, settings, lambda url: banner(url, opened, keys, sealing))


def _reset_devnet(directory: DataDirectory, keys: DevnetKeys, chain_id: int | None) -> None:
    former, kept_id = _identity(directory, keys)
    replace(directory, devnet_genesis(keys, chain_id or kept_id, extra=former))


def _identity(directory: DataDirectory, keys: DevnetKeys) -> tuple[bytes, int]:
    """Return genesis hash and chain id of a whole chain that nothing else runs on."""
    with open_chain(directory, keys.authority) as opened:
        return opened.domain.genesis_hash, opened.genesis.chain_id


def _expect_devnet(genesis: Genesis, keys: DevnetKeys, chain_id: int | None) -> None:
    if genesis.authority != keys.authority.address:
        raise BadArgument("this data directory is not a devnet's; run 'poolchain start' on it", reason="NOT_A_DEVNET")
    if chain_id not in (None, genesis.chain_id):
        raise BadArgument(
            f"this devnet has chain id {genesis.chain_id}: add --reset to begin another, or choose another --data-dir",
            reason="WRONG_CHAIN",
        )


def _json_banner(url: str, opened: OpenChain, keys: DevnetKeys, sealing: Sealing) -> None:
    accounts = [
        {
            "address": checksum_address(key.address),
            "privateKey": "0x" + key.secret.hex(),
            "balance": hex(BALANCE_TOKENS * TOKEN),
        }
        for key in keys.accounts
    ]
    banner = describe(url, opened) | {
        "sealing": sealing,
        "mnemonic": MNEMONIC,
        "accounts": accounts,
        "warning": KEY_WARNING,
    }
    click.echo(json.dumps(banner))


def _banner(url: str, opened: OpenChain, keys: DevnetKeys, sealing: Sealing) -> None:
    click.echo(f"Poolchain devnet: {BALANCE_TOKENS:,} tokens at genesis for each of these accounts\n")
    for index, key in enumerate(keys.accounts):
        click.echo(f"({index}) {checksum_address(key.address)}  0x{key.secret.hex()}")
    click.echo(f"\nMnemonic     {MNEMONIC}\nPath         m/44'/60'/0'/0/(index)")
    click.echo(f"WARNING      {KEY_WARNING}\n")
    click.echo(f"Chain id     {opened.genesis.chain_id}\nGenesis      0x{opened.domain.genesis_hash.hex()}")
    click.echo(f"Authority    {checksum_address(opened.genesis.authority)}\nSealing      {sealing}")
    head = opened.chain.tip.header.height
    recovered = f" ({opened.recovered_blocks} finished after a crash)" if opened.recovered_blocks else ""
    click.echo(f"Head         block {head}{recovered}\n\nListening on {url}")

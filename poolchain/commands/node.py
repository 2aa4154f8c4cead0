"""The commands `init` and `start`: a chain with an authority of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ledger.errors import InvalidGenesis
from ledger.genesis import Genesis, parse_genesis
from poolchain.authority_key import load_authority, read_authority_file
from poolchain.console import examples
from poolchain.data_directory import DataDirectory, create
from poolchain.failure import Failure
from poolchain.memory import memory_of
from poolchain.opening import open_chain, stated_genesis
from poolchain.running import NodeSettings

from .options import (
    NODE_DIRECTORY,
    Listen,
    directory_option,
    json_option,
    listen_options,
    memory_option,
    problems,
)
from .password import password_option, read_password
from .serving import describe, run_in_foreground


@click.command(
    "init",
    epilog=examples(
        "poolchain account new", "poolchain init --genesis genesis.json --key ~/.poolchain/keystore/0x….json"
    ),
)
@directory_option(NODE_DIRECTORY)
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="The chain's genesis file (docs/protocol.md, section 6).",
)
@click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Keystore file of the authority's account; without it the directory can verify but not seal.",
)
@json_option
def init_command(*, data_dir: Path, genesis_file: Path, key_file: Path | None, as_json: bool) -> None:
    """Make the data directory of a chain from its genesis file."""
    with problems():
        genesis = _genesis_in(genesis_file)
        create(data_dir, genesis, read_authority_file(key_file, genesis.authority) if key_file else None)
        with open_chain(DataDirectory(data_dir), None) as opened:
            genesis_hash = "0x" + opened.domain.genesis_hash.hex()
    answer = {"dataDir": str(data_dir), "genesisHash": genesis_hash, "chainId": hex(genesis.chain_id)}
    click.echo(json.dumps(answer) if as_json else f"Chain {genesis.chain_id} begins with {genesis_hash} in {data_dir}.")


def _genesis_in(path: Path) -> Genesis:
    try:
        return parse_genesis(path.read_bytes())
    except InvalidGenesis as error:
        raise Failure(f"{path}: {error}", reason="BAD_FILE") from error


@click.command("start", epilog=examples("poolchain start --password-file secret.txt"))
@listen_options
@directory_option(NODE_DIRECTORY)
@password_option
@memory_option
@json_option
def start_command(
    *, listen: Listen, data_dir: Path, password_file: Path | None, memory_mib: int, as_json: bool
) -> None:
    """Run the authority of a chain made by `poolchain init`, sealing at the genesis block interval."""
    with problems():
        directory = DataDirectory(data_dir)
        authority = stated_genesis(directory).authority
        key = load_authority(directory.key, read_password(password_file), authority)
        with open_chain(directory, key, memory_of(memory_mib)) as opened:
            settings = NodeSettings(listen.host, listen.port, opened.genesis.block_interval, pages=listen.pages)

            def announce(url: str) -> None:
                status = describe(url, opened)
                click.echo(
                    json.dumps(status) if as_json else "\n".join(f"{name:16} {value}" for name, value in status.items())
                )

            run_in_foreground(opened, key, settings, announce)

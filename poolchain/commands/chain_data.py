"""The commands `export`, `import` and `verify`, on the data directory of a node that is not running."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import click

from consensus.recovery import import_block
from ledger.block import Block
from ledger.errors import InvalidBlock
from ledger.genesis import Genesis
from poolchain import event_loop
from poolchain.ahead import decoded_ahead
from poolchain.chain_file import read_blocks, read_genesis, write_chain
from poolchain.console import examples
from poolchain.data_directory import DataDirectory, create
from poolchain.devnet import devnet_keys
from poolchain.failure import BadArgument, Failure, Unavailable
from poolchain.home import home
from poolchain.integrity import NotOneChain
from poolchain.opening import OpenChain, open_chain, stated_genesis
from poolchain.private_files import replaced
from poolchain.replay import verify_chain

from .options import DEVNET_DIRECTORY, NODE_DIRECTORY, directory_option, json_option, only_chain, problems


@click.command("export", epilog=examples("poolchain export chain.jsonl"))
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@directory_option(None)
@json_option
def export_command(*, file: str, data_dir: Path | None, as_json: bool) -> None:
    """Write a stopped node's whole chain to FILE (- for standard output).

    A file that is there is replaced when the new one is complete and on the disk.
    """
    with problems(), _open(data_dir or only_chain()) as opened, _written(file) as target:
        view = opened.store.view()
        blocks = (view.block_bytes(height) for height in range(1, view.height + 1))
        count = write_chain(target, opened.genesis, blocks)
    # The chain itself may be what is written to standard output.
    click.echo(json.dumps({"blocks": count}) if as_json else f"Wrote {count} blocks.", err=file == "-")


@contextmanager
def _written(name: str) -> Iterator[TextIO]:
    """Give the file of this name to write into, or standard output; raises Failure where it cannot be written."""
    path = Path(name).resolve()
    try:
        if name == "-":
            yield sys.stdout
            sys.stdout.flush()
        elif path.exists() and not path.is_file():  # a device, a pipe
            with path.open("w") as file:
                yield file
        else:
            with replaced(path) as complete:
                text = TextIOWrapper(complete, "ascii")
                yield text
                text.detach()  # flushes, and leaves the file open
    except OSError as error:
        where = "standard output" if name == "-" else name
        raise Unavailable(f"{where} cannot be written: {error.strerror or error}.", reason="STORAGE_FAILED") from error


@click.command("import", epilog=examples("poolchain import chain.jsonl --data-dir copy"))
@click.argument("file", type=click.File("r"))
@directory_option(None)
@json_option
def import_command(*, file: Any, data_dir: Path | None, as_json: bool) -> None:
    """Execute the blocks of FILE behind a stopped node's head; every rule, root and seal is checked.

    Blocks that the chain has already are skipped. A data directory that does not exist is made from the file's genesis;
    where none is named it is a devnet's or a node's, as the file's authority says.
    """
    with problems():
        genesis = read_genesis(file)
        data_dir = data_dir or home() / (DEVNET_DIRECTORY if _is_devnets(genesis) else NODE_DIRECTORY)
        if not DataDirectory(data_dir).exists():
            create(data_dir, genesis)
        with _open(data_dir) as opened:
            if opened.genesis != genesis:
                raise BadArgument(f"the file is of another chain than {data_dir}", reason="WRONG_CHAIN")
            count = event_loop.run(_import_blocks(opened, file))
            height = opened.chain.tip.header.height
    answer = {"imported": count, "height": hex(height)}
    click.echo(json.dumps(answer) if as_json else f"Imported {count} blocks; the head is {height}.")


@click.command("verify", epilog=examples("poolchain verify --data-dir ~/.poolchain/devnet"))
@directory_option(None)
@json_option
def verify_command(*, data_dir: Path | None, as_json: bool) -> None:
    """Execute a stopped node's chain again from genesis and compare everything that is stored."""
    with problems(), _open(data_dir := data_dir or only_chain()) as opened:
        view = opened.store.view()
        with click.progressbar(length=view.height, label="Verifying", hidden=as_json) as bar:
            try:
                event_loop.run(verify_chain(view, opened.genesis, data_dir, lambda _done, _total: bar.update(1)))
            except NotOneChain as error:
                raise Failure(str(error), reason="DAMAGED_CHAIN") from error
        head = view.tip()
    answer = {"valid": True, "height": hex(view.height), "head": "0x" + head.hash.hex()}
    click.echo(
        json.dumps(answer)
        if as_json
        else f"All {view.height} blocks are valid and all that is stored follows from them."
    )


def _open(data_dir: Path) -> AbstractContextManager[OpenChain]:
    """Open a chain, a devnet's with its public key: a block that a crash left signed can be finished then."""
    directory = DataDirectory(data_dir)
    return open_chain(directory, devnet_keys().authority if _is_devnets(stated_genesis(directory)) else None)


def _is_devnets(genesis: Genesis) -> bool:
    """Tell whether everybody has the authority's key."""
    return genesis.authority == devnet_keys().authority.address


async def _import_blocks(opened: OpenChain, file: Any) -> int:
    """Execute the blocks of a file that the chain does not have; return their number."""
    count = 0
    async with aclosing(decoded_ahead(_new_blocks(opened, file), opened.domain)) as blocks:
        async for block, decode in blocks:
            try:
                # Beside the event loop, which goes on handing out signatures.
                await asyncio.to_thread(import_block, opened.chain, opened.record, block, decode)
            except InvalidBlock as error:
                raise Failure(f"block {block.header.height} is not valid: {error}", reason=error.reason) from error
            count += 1
    return count


def _new_blocks(opened: OpenChain, file: Any) -> Iterator[Block]:
    """Yield the blocks of a file behind the chain's head."""
    head = opened.chain.tip.header.height
    for block in read_blocks(file):
        if block.header.height > head:
            yield block
        elif opened.store.view().height_of(block.header.hash()) is None:
            raise Failure(f"block {block.header.height} of the file is not the one of this chain", reason="WRONG_BLOCK")

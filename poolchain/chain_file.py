"""Chains as files: one JSON line with the genesis, then one line of 0x-hex for every block from height 1."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final, TextIO

from ledger.block import Block, MalformedBlock
from ledger.errors import InvalidGenesis
from ledger.genesis import Genesis, parse_genesis

FORMAT: Final = 1


class BadChainFile(Exception):
    """The file is not an exported chain; the argument says where and why."""


def write_chain(file: TextIO, genesis: Genesis, blocks: Iterable[bytes]) -> int:
    """Write a chain; return the number of blocks."""
    file.write(json.dumps({"poolchainExport": FORMAT, "genesis": genesis.to_json()}, sort_keys=True) + "\n")
    count = 0
    for data in blocks:
        file.write(f"0x{data.hex()}\n")
        count += 1
    return count


def read_genesis(file: TextIO) -> Genesis:
    """Return the genesis of the first line; raises BadChainFile."""
    try:
        head = json.loads(file.readline())
        if not isinstance(head, dict) or head.get("poolchainExport") != FORMAT:
            raise BadChainFile(f"line 1: expected an object with poolchainExport {FORMAT}")
        return parse_genesis(json.dumps(head.get("genesis")).encode())
    except (ValueError, RecursionError, InvalidGenesis) as error:
        raise BadChainFile(f"line 1: {error}") from error


def read_blocks(file: TextIO) -> Iterator[Block]:
    """Yield the blocks behind the first line; raises BadChainFile."""
    for number, line in enumerate(file, start=2):
        text = line.rstrip("\n")
        try:
            if not text.startswith("0x"):
                raise BadChainFile(f"line {number}: expected 0x-hex")
            yield Block.decode(bytes.fromhex(text[2:]))
        except (ValueError, MalformedBlock) as error:
            raise BadChainFile(f"line {number}: {error}") from error

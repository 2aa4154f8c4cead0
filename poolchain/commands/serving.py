"""Runs a node in the foreground for the commands `devnet` and `start`."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from crypto.address import checksum_address
from crypto.signature import SigningKey
from poolchain import event_loop
from poolchain.opening import OpenChain
from poolchain.running import NodeSettings, run_node

_OBJECTS_BETWEEN_COLLECTIONS: Final = 20_000
_SWITCH_SECONDS: Final = 0.001


def run_in_foreground(
    opened: OpenChain, key: SigningKey, settings: NodeSettings, announce: Callable[[str], None]
) -> None:
    """Serve until a signal; `announce` gets the URL once the node answers. POOLCHAIN_LOG sets the log level."""
    logging.basicConfig(
        level=os.environ.get("POOLCHAIN_LOG", "WARNING").upper(), format="%(levelname)s %(name)s %(message)s"
    )

    def started(host: str, port: int) -> None:
        announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")

    # What is imported stays: the collector need not look at it again. Blocks and the mempool make many objects and no
    # cycles, so it need not look often either.
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    # A proof reads the database forty times, and asks for the interpreter's lock after each while a block is executed.
    sys.setswitchinterval(_SWITCH_SECONDS)
    event_loop.run(run_node(opened, key, settings, started))


def describe(url: str, opened: OpenChain) -> dict[str, Any]:
    """Return what a script needs to know of a node that has just started."""
    return {
        "rpc": url,
        "chainId": hex(opened.genesis.chain_id),
        "genesisHash": "0x" + opened.domain.genesis_hash.hex(),
        "authority": checksum_address(opened.genesis.authority),
        "height": hex(opened.chain.tip.header.height),
        "recoveredBlocks": opened.recovered_blocks,
    }

"""Runs a node in the foreground for the commands `devnet` and `start`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crypto.address import checksum_address
from crypto.signature import SigningKey
from poolchain import event_loop
from poolchain.console import log_to_stderr
from poolchain.opening import OpenChain
from poolchain.running import NodeSettings, run_node


def run_in_foreground(
    opened: OpenChain, key: SigningKey, settings: NodeSettings, announce: Callable[[str], None]
) -> None:
    """Serve until a signal; `announce` gets the URL once the node answers. POOLCHAIN_LOG sets the log level."""
    log_to_stderr("WARNING")

    def started(host: str, port: int) -> None:
        announce(f"http://{f'[{host}]' if ':' in host else host}:{port}")

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

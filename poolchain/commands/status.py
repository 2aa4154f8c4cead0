"""The command `status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from poolchain.chain_client import ChainClient, number
from poolchain.console import aligned, emit, examples, json_option
from poolchain.units import format_seconds, format_tokens

from .arguments import rpc_option


@click.command(
    "status",
    epilog=examples(
        "poolchain status",
        "poolchain status --rpc http://127.0.0.1:8546",
        "poolchain status --json | jq -r .genesisHash",
    ),
)
@rpc_option
@json_option
def status_command(*, client: ChainClient) -> None:
    """Show what chain a node has, how far it is, and where all tokens are."""
    status = client.rpc.call("chain_status")
    emit(status, _describe(status))


def _describe(status: dict[str, Any]) -> str:
    head, supply, parameters = status["head"], status["supply"], status["parameters"]
    moment = datetime.fromtimestamp(number(head["timestamp"]), UTC)
    sealing = status["sealing"]
    return aligned(
        [
            ("Chain id", str(number(status["chainId"]))),
            ("Genesis", status["genesisHash"]),
            ("Authority", status["authority"]),
            ("Head", f"block {number(head['height'])} of {moment:%Y-%m-%d %H:%M:%S} UTC"),
            ("", head["hash"]),
            ("Pending", f"{number(status['pending'])} transactions"),
            ("Sealing", f"every {format_seconds(number(sealing))}" if sealing.startswith("0x") else sealing),
            ("Least fee", f"{_tokens(parameters['minFee'])} tokens"),
            ("Reward", f"{_tokens(parameters['reward'])} tokens to whoever proves a double spend"),
            ("Supply", f"{_tokens(supply['genesis'])} tokens at genesis, of which"),
            ("  balances", _tokens(supply["balances"])),
            ("  locked", f"{_tokens(supply['locked'])} in open pools"),
            ("  burned", _tokens(supply["burned"])),
            ("Version", status["clientVersion"]),
        ]
    )


def _tokens(quantity: str) -> str:
    return format_tokens(number(quantity))

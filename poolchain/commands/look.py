"""The commands `block` and `tx`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from poolchain.chain_client import ChainClient, hex_text, number
from poolchain.console import aligned, emit, examples, json_option
from poolchain.units import tokens_text

from .arguments import block_value, hash_value, rpc_option
from .sending import describe_receipt

_AMOUNTS = frozenset({"amount", "deposit", "collateral", "fee"})


@click.command("block", epilog=examples("poolchain block", "poolchain block 12", "poolchain block 12 --full --json"))
@click.argument("block", type=block_value, default="latest")
@click.option("--full", is_flag=True, help="Show the transactions themselves, not only their hashes.")
@rpc_option
@json_option
def block_command(*, block: str, full: bool, client: ChainClient) -> None:
    """Show BLOCK: a height, a hash, latest or earliest."""
    found = client.rpc.call("chain_getBlock", block=block, full=full)
    header = found["header"]
    moment = datetime.fromtimestamp(number(header["timestamp"]), UTC)
    lines = aligned(
        [
            ("Height", str(number(header["height"]))),
            ("Hash", found["hash"]),
            ("Parent", header["parentHash"]),
            ("Time", f"{moment:%Y-%m-%d %H:%M:%S} UTC"),
            ("Authority", header["authority"]),
            ("State root", header["stateRoot"]),
            ("Transactions", str(number(header["txCount"]))),
        ]
    )
    rows = [f"\n{_describe(transaction)}" if full else f"  {transaction}" for transaction in found["transactions"]]
    emit(found, "\n".join([lines, *rows]))


@click.command("tx", epilog=examples("poolchain tx 0x5d0c2a7c6a2b1f6f8a7a0e8f5b3c4d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c"))
@click.argument("transaction_hash", metavar="HASH", type=hash_value)
@rpc_option
@json_option
def tx_command(*, transaction_hash: bytes, client: ChainClient) -> None:
    """Show the transaction with HASH: pending, committed with its receipt, or dropped with the reason."""
    found = client.rpc.call("chain_getTransaction", hash=hex_text(transaction_hash))
    emit(found, _describe(found))


def _describe(transaction: dict[str, Any]) -> str:
    rows = [("Type", transaction["type"]), ("From", transaction["from"]), ("Status", transaction["status"])]
    rows += [(name, _field(name, value)) for name, value in transaction["fields"].items()]
    if (dropped := transaction.get("dropReason")) is not None:
        rows.append(("Reason", f"{dropped['reason']}: expected {dropped['expected']}, given {dropped['given']}"))
    receipt = transaction["receipt"]
    if receipt is not None:
        return describe_receipt(receipt, rows)
    return aligned([("Transaction", transaction["hash"]), *rows])


def _field(name: str, value: str) -> str:
    if name in _AMOUNTS:
        return tokens_text(number(value))
    is_number = value.startswith("0x") and len(value) <= 18
    return str(number(value)) if is_number else value

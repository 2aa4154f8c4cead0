"""The commands `pool create`, `show` and `list`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from crypto.address import checksum_address
from crypto.hashing import keccak256
from poolchain.chain_client import ChainClient, ChainFacts, hex_text, number, read_pool
from poolchain.console import aligned, emit, examples, json_option, table
from poolchain.units import BadUnits, format_duration, format_tokens, parse_duration, tokens_text

from .arguments import address_value, fee_option, hash_value, nonce_option, out_option, rpc_option, tokens_value
from .sending import Delivery, deliver, delivery_options, report, sign_with_nonce
from .signer import Signer, signer_options

REWARDED_FEES: Final = 10
"""By default the collateral rewards a report with ten minimum fees besides the genesis reward."""


@click.group("pool", epilog=examples("poolchain pool create --help", "poolchain pool list --status open"))
def pool_group() -> None:
    """Create a micropayment pool, look at pools."""


@pool_group.command(
    "create",
    epilog=examples(
        "poolchain pool create --from devnet:0 --resource-name concert --deposit 10 --duration 1h",
        "poolchain pool create --from devnet:0 --resource 0x… --deposit 10 --duration '500 blocks' --dry-run",
    ),
)
@signer_options
@click.option(
    "--resource", type=hash_value, metavar="HASH", help="Id of the content: the RFC 9162 root over its chunks."
)
@click.option("--resource-name", metavar="NAME", help="Name of a live stream, whose Keccak-256 is the id.")
@click.option("--deposit", type=tokens_value, metavar="TOKENS", required=True, help="What can be paid out of the pool.")
@click.option(
    "--collateral",
    type=tokens_value,
    metavar="TOKENS",
    help="What is burned if you promise more than the deposit.  [default: deposit + reward + 10 fees + 1 base unit]",
)
@click.option(
    "--duration", required=True, metavar="TIME", help="How long it can be settled: 90s, 30m, 1h, 2d, or '500 blocks'."
)
@out_option("--proof", "File for the proof that the pool was created.")
@fee_option
@nonce_option
@delivery_options
@rpc_option
@json_option
def create_command(
    *,
    signer: Signer,
    resource: bytes | None,
    resource_name: str | None,
    proof: Path | None,
    delivery: Delivery,
    client: ChainClient,
    **terms: Any,
) -> None:
    """Lock a deposit and a collateral, out of which payments can be signed until the time is over.

    The transaction's hash is the pool's id. What nobody settled, and the collateral, come back by themselves.
    """
    if (resource is None) == (resource_name is None):
        raise click.UsageError("Say what is paid for: --resource HASH or --resource-name NAME.")
    if resource_name == "":
        raise click.UsageError("--resource-name must not be empty.")
    facts = client.facts()
    resource_id = keccak256((resource_name or "").encode()) if resource is None else resource
    fields = {"resourceId": resource_id, **_terms(facts, **terms)}
    raw = sign_with_nonce(client, facts, "CreatePool", fields, signer.key(facts))
    answer = deliver(client, facts, raw, delivery)
    if proof is not None and answer["proof"] is not None:
        proof.write_text(json.dumps(answer["proof"], indent=2) + "\n")
    report({**answer, "cptxHash": answer["hash"]}, facts, _terms_rows(fields, facts))


def _terms(
    facts: ChainFacts, *, deposit: int, collateral: int | None, duration: str, fee: int | None, nonce: int | None
) -> dict[str, Any]:
    """Return the fields of CreatePool but the resource, with the protocol's default for the collateral."""
    try:
        blocks = parse_duration(duration, facts.block_interval)
    except BadUnits as error:
        raise click.BadParameter(f"{error}.", param_hint="--duration") from error
    default = deposit + 1 + facts.reward + REWARDED_FEES * facts.min_fee
    return {
        "deposit": deposit,
        "collateral": default if collateral is None else collateral,
        "duration": blocks,
        "fee": fee,
        "nonce": nonce,
    }


def _terms_rows(fields: dict[str, Any], facts: ChainFacts) -> list[tuple[str, str]]:
    return [
        ("Deposit", tokens_text(fields["deposit"])),
        ("Collateral", tokens_text(fields["collateral"])),
        ("Duration", format_duration(fields["duration"], facts.block_interval)),
    ]


@pool_group.command("show", epilog=examples("poolchain pool show 0x…", "poolchain pool show 0x… --target devnet:1"))
@click.argument("cptx_hash", metavar="POOL", type=hash_value)
@click.option("--target", type=address_value, metavar="ADDRESS", help="Show also what this payee has had.")
@rpc_option
@json_option
def show_command(*, cptx_hash: bytes, target: bytes | None, client: ChainClient) -> None:
    """Show the pool with the id POOL."""
    found = client.rpc.call("pool_get", cptxHash=hex_text(cptx_hash))
    facts = client.facts()
    rows = _rows(found, facts)
    if target is not None:
        record = client.target(cptx_hash, target)
        found["target"] = {"target": checksum_address(target), "seq": hex(record.seq), "paid": hex(record.paid)}
        rows += [("Payee", checksum_address(target)), ("  had", tokens_text(record.paid))]
        rows += [("  next number", str(record.seq + 1))]
    emit(found, aligned(rows))


def _rows(found: dict[str, Any], facts: ChainFacts) -> list[tuple[str, str]]:
    pool = read_pool(found)
    left = format_duration(max(0, pool.expires_at - 1 - facts.height), facts.block_interval)
    rest, collateral, end = {
        "open": ("remaining", "", ("Expires at", f"block {pool.expires_at}; it can be settled for {left}")),
        "expired": ("returned", ", returned", ("Expired at", f"block {pool.expires_at}")),
        "slashed": (
            "remaining",
            ", lost: more than the deposit was promised",
            ("Would expire", f"block {pool.expires_at}"),
        ),
    }[pool.status]
    return [
        ("Pool", found["cptxHash"]),
        ("Creator", found["creator"]),
        ("Resource", found["resourceId"]),
        ("Status", pool.status),
        ("Deposit", tokens_text(pool.deposit)),
        ("  spent", tokens_text(pool.spent)),
        (f"  {rest}", tokens_text(pool.remaining)),
        ("Collateral", f"{tokens_text(pool.collateral)}{collateral}"),
        ("Created at", f"block {pool.created_at}"),
        end,
    ]


@pool_group.command(
    "list", epilog=examples("poolchain pool list", "poolchain pool list --creator devnet:0 --status open --json")
)
@click.option("--creator", type=address_value, metavar="ADDRESS", help="Only pools of this account.")
@click.option("--target", type=address_value, metavar="ADDRESS", help="Only pools that have paid this account.")
@click.option("--resource", type=hash_value, metavar="HASH", help="Only pools for this content.")
@click.option("--status", type=click.Choice(["open", "expired", "slashed"]), help="Only pools of this status.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many at most.")
@rpc_option
@json_option
def list_command(
    *,
    creator: bytes | None,
    target: bytes | None,
    resource: bytes | None,
    status: str | None,
    limit: int,
    client: ChainClient,
) -> None:
    """Show pools in the order in which they were created."""
    wanted = {
        "creator": None if creator is None else checksum_address(creator),
        "target": None if target is None else checksum_address(target),
        "resourceId": None if resource is None else hex_text(resource),
        "status": status,
    }
    found = [*_pages(client, wanted, limit)]
    rows = [
        (
            pool["cptxHash"],
            pool["status"],
            _tokens(pool["deposit"]),
            _tokens(pool["remaining"]),
            _height(pool["expiresAt"]),
        )
        for pool in found
    ]
    head = ("Pool", "Status", "Deposit", "Remaining", "Expires at")
    emit({"pools": found}, table(head, rows) if rows else "No such pools.")


def _pages(client: ChainClient, wanted: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    """Yield up to `limit` pools; the node decides how large a page is."""
    cursor: str | None = None
    while limit > 0:
        page = client.rpc.call("pool_list", **wanted, cursor=cursor)
        yield from page["pools"][:limit]
        limit, cursor = limit - len(page["pools"]), page["cursor"]
        if cursor is None:
            return


def _tokens(quantity: str) -> str:
    return format_tokens(number(quantity))


def _height(quantity: str) -> str:
    return str(number(quantity))

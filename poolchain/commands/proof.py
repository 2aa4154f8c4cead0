"""The commands `proof get` and `proof verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from crypto.address import checksum_address
from light.documents import Document
from light.errors import ProofRefused
from light.parsing import DOCUMENT_BYTES_MAX, parse_document
from light.verify import Trust, verify_document
from poolchain.chain_client import ChainClient, hex_text
from poolchain.console import emit, examples, is_json, json_option, note
from poolchain.failure import Failure
from poolchain.proof_words import Statement, describe, format_time

from .arguments import address_value, block_value, file_argument, hash_value, out_option, rpc_option

F = TypeVar("F", bound=Callable[..., Any])


@click.group(
    "proof", epilog=examples("poolchain proof get --help", "poolchain proof verify proof.json --authority 0x…")
)
def proof_group() -> None:
    """Get proofs from a node, check them without one."""


@proof_group.group("get", epilog=examples("poolchain proof get transaction 0x… --out created.json"))
def get_group() -> None:
    """Get a proof document that convinces everybody who knows the authority and the genesis."""


def _get_options(command: Any) -> Any:
    """Add what all of `proof get` take."""
    return out_option("--out", "File for the proof.  [default: standard output]")(rpc_option(json_option(command)))


def _head_option(command: F) -> F:
    return click.option(
        "--head",
        type=block_value,
        default="latest",
        show_default=True,
        metavar="BLOCK",
        help="Head that the proof is to end in: a height or a hash.",
    )(command)


@get_group.command("transaction", epilog=examples("poolchain proof get transaction 0x… --out created.json"))
@click.argument("transaction_hash", metavar="HASH", type=hash_value)
@_head_option
@_get_options
def transaction_command(*, transaction_hash: bytes, head: str, out: Path | None, client: ChainClient) -> None:
    """Prove that the transaction with HASH is in a block, and the block in the history of a head."""
    _deliver(client.rpc.call("proof_getTransaction", hash=hex_text(transaction_hash), head=head), out)


@get_group.command("header", epilog=examples("poolchain proof get header 12 --head 100 --out header.json"))
@click.argument("height", type=block_value)
@_head_option
@_get_options
def header_command(*, height: str, head: str, out: Path | None, client: ChainClient) -> None:
    """Prove that the block of HEIGHT (or with this hash) is in the history of a head."""
    _deliver(client.rpc.call("proof_getHeader", height=height, head=head), out)


@get_group.command("consistency", epilog=examples("poolchain proof get consistency 12 latest --out heads.json"))
@click.argument("first", metavar="FROM", type=block_value)
@click.argument("second", metavar="TO", type=block_value, default="latest")
@_get_options
def consistency_command(*, first: str, second: str, out: Path | None, client: ChainClient) -> None:
    """Prove that two heads, FROM and the newer TO, belong to one history."""
    _deliver(client.rpc.call("proof_getConsistency", **{"from": first, "to": second}), out)


@get_group.command(
    "state",
    epilog=examples(
        "poolchain proof get state --pool 0x… --out pool.json",
        "poolchain proof get state --pool 0x… --target devnet:1 --out target.json",
        "poolchain proof get state --account devnet:0 --block 12",
    ),
)
@click.option("--account", type=address_value, metavar="ADDRESS", help="The account of this address.")
@click.option("--pool", "cptx_hash", type=hash_value, metavar="HASH", help="The pool with this id.")
@click.option("--target", type=address_value, metavar="ADDRESS", help="What this payee has had from the pool.")
@click.option("--burned", is_flag=True, help="What was ever burned.")
@click.option(
    "--block",
    type=block_value,
    default="latest",
    show_default=True,
    metavar="BLOCK",
    help="Block after which the state is meant; nodes keep the last 128 states.",
)
@_get_options
def state_command(
    *,
    account: bytes | None,
    cptx_hash: bytes | None,
    target: bytes | None,
    burned: bool,
    block: str,
    out: Path | None,
    client: ChainClient,
) -> None:
    """Prove a record of the state, or that there is none."""
    if (account is not None) + (cptx_hash is not None) + burned != 1 or (target is not None and cptx_hash is None):
        raise click.UsageError("Say what: --account ADDRESS, --pool HASH, --pool HASH --target ADDRESS, or --burned.")
    key: dict[str, Any] = {"burned": True}
    if account is not None:
        key = {"account": checksum_address(account)}
    elif cptx_hash is not None:
        key = {"cptxHash": hex_text(cptx_hash)}
        if target is not None:
            key["target"] = checksum_address(target)
    _deliver(client.rpc.call("proof_getState", key=key, block=block), out)


def _deliver(document: dict[str, Any], out: Path | None) -> None:
    """Write the document, or print it."""
    if out is None:
        click.echo(json.dumps(document) if is_json() else json.dumps(document, indent=2))
        return
    out.write_text(json.dumps(document, indent=2) + "\n", encoding="ascii")
    emit(
        {"file": str(out), "kind": document["kind"]},
        f"Wrote {out}. Check it with: poolchain proof verify {out} --authority ADDRESS --genesis HASH",
    )


@proof_group.command(
    "verify",
    epilog=examples("poolchain proof verify pool.json --authority 0x… --genesis 0x…"),
)
@file_argument
@click.option(
    "--authority",
    type=address_value,
    required=True,
    metavar="ADDRESS",
    help="The authority of the chain that you trust.",
)
@click.option("--genesis", type=hash_value, metavar="HASH", help="The hash of its block 0. Without it you are warned.")
@json_option
def verify_command(*, file: BinaryIO, authority: bytes, genesis: bytes | None) -> None:
    """Check the proof document in FILE (- for standard input) offline: no node, no network.

    Says what is proven and what is not. Exit status 0 only if everything about the document is right.
    """
    try:
        document = parse_document(file.read(DOCUMENT_BYTES_MAX + 1))
        trust = Trust(authority, document.origin.genesis_hash if genesis is None else genesis)
        verify_document(document, trust)
    except ProofRefused as refused:
        raise Failure(f"the proof is worth nothing: {refused}.", reason=refused.reason) from refused
    if genesis is None:
        note(
            "Warning: no --genesis was given, so this is proven for whichever chain has the genesis "
            f"{hex_text(trust.genesis_hash)}: the authority may seal others, too."
        )
    statement = describe(document)
    emit(_verified_json(document, statement, trusted=genesis is not None), _verified_text(document, statement))


def _verified_json(document: Document, statement: Statement, *, trusted: bool) -> dict[str, Any]:
    header = statement.block.header
    return {
        "valid": True,
        "kind": statement.kind,
        "chainId": hex(document.origin.chain_id),
        "genesisHash": hex_text(document.origin.genesis_hash),
        "genesisTrusted": trusted,
        "authority": checksum_address(header.authority),
        "block": {
            "height": hex(header.height),
            "hash": hex_text(statement.block.hash),
            "timestamp": hex(header.timestamp),
        },
        "proven": [*statement.proven],
        "notProven": [*statement.not_proven],
    }


def _verified_text(document: Document, statement: Statement) -> str:
    header = statement.block.header
    lines = [
        (
            f"Valid: sealed by {checksum_address(header.authority)} for chain {document.origin.chain_id}, "
            f"block {header.height} of {format_time(header.timestamp)}."
        ),
        "",
        "Proven:",
        *(f"  - {sentence}" for sentence in statement.proven),
        "",
        "Not proven:",
        *(f"  - {sentence}" for sentence in statement.not_proven),
    ]
    return "\n".join(lines)

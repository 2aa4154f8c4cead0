"""From signed bytes to a receipt in words: what every command that submits a transaction does."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import click

from crypto.signature import SigningKey
from poolchain.chain_client import MANUAL, ChainClient, ChainFacts, number
from poolchain.console import aligned, emit
from poolchain.signing import sign_transaction
from poolchain.units import tokens_text

TIMEOUT_SECONDS: Final = 120
"""How long --wait waits at least: four answers of a node."""
_AMOUNTS: Final = (("paid", "Paid"), ("reward", "Reward"), ("burned", "Burned"), ("fee", "Fee"))


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a signed transaction is delivered."""

    dry_run: bool
    wait: bool


def delivery_options(command: Any) -> Any:
    """Add --dry-run and --no-wait, which become the parameter `delivery`."""

    @click.option("--dry-run", is_flag=True, help="Only show the receipt that it would get now.")
    @click.option("--wait/--no-wait", default=True, help="Wait until it is in a block.  [default: wait]")
    @functools.wraps(command)
    def with_delivery(*, dry_run: bool, wait: bool, **others: Any) -> Any:
        return command(delivery=Delivery(dry_run, wait), **others)

    return with_delivery


def sign_with_nonce(
    client: ChainClient, facts: ChainFacts, kind: str, fields: Mapping[str, Any], key: SigningKey
) -> bytes:
    """Return a raw Transfer or CreatePool, its fee and nonce filled in where they are None."""
    fee, nonce = fields["fee"], fields["nonce"]
    filled = {
        **fields,
        "fee": facts.min_fee if fee is None else fee,
        "nonce": client.next_nonce(key.address) if nonce is None else nonce,
    }
    return sign_transaction(kind, filled, key, facts.domain)


def deliver(client: ChainClient, facts: ChainFacts, raw: bytes, delivery: Delivery) -> dict[str, Any]:
    """Simulate or submit, and return {hash, receipt, proof, simulated}; raises RpcFailure.

    A devnet that seals by hand makes no block while one waits for it, so there nothing waits.
    """
    if delivery.dry_run:
        receipt = client.simulate(raw)
        return {"hash": receipt["transactionHash"], "receipt": receipt, "proof": None, "simulated": True}
    if delivery.wait and facts.sealing != MANUAL:
        timeout_seconds = max(TIMEOUT_SECONDS, 3 * (facts.interval_seconds or 0))
        return {**client.commit_transaction(raw, timeout_seconds), "simulated": False}
    return {"hash": client.pool_transaction(raw), "receipt": None, "proof": None, "simulated": False}


def report(answer: Mapping[str, Any], facts: ChainFacts, rows: Iterable[tuple[str, str]] = ()) -> None:
    """Print what became of a transaction; `rows` are what else people want to see of it."""
    receipt = answer["receipt"]
    if receipt is not None:
        again = number(receipt["blockHeight"]) <= facts.height
        text = describe_receipt(receipt, rows, simulated=bool(answer["simulated"]), again=again)
    else:
        by_hand = " The devnet seals by hand: call dev_mine." if facts.sealing == MANUAL else ""
        text = f"Pooled, in no block yet.{by_hand}\n{aligned([('Transaction', answer['hash']), *rows])}"
    emit(answer, text)


def describe_receipt(
    receipt: Mapping[str, Any], rows: Iterable[tuple[str, str]] = (), *, simulated: bool = False, again: bool = False
) -> str:
    """Return a receipt in words, followed by further rows; `again` where it was there before anybody asked for it."""
    height = number(receipt["blockHeight"])
    outcome = _OUTCOMES[receipt["outcome"]]
    head = f"{outcome} in block {height}{' already' if again else ''}."
    if simulated:
        head = f"Dry run, nothing was sent. What would happen in block {height}: {outcome.lower()}."
    found = [("Transaction", receipt["transactionHash"])]
    if receipt["cptxHash"] is not None:
        found.append(("Pool", receipt["cptxHash"]))
    found += [(title, tokens_text(number(receipt[name]))) for name, title in _AMOUNTS if receipt[name] is not None]
    return f"{head}\n{aligned([*found, *rows])}"


_OUTCOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "transferred": "Transferred",
        "created": "Pool created",
        "settled": "Settled",
        "slashed": "Double spend proved, pool slashed",
    }
)

"""The command `transfer`."""

from __future__ import annotations

import click

from crypto.address import checksum_address
from poolchain.chain_client import ChainClient
from poolchain.console import examples, json_option
from poolchain.units import tokens_text

from .arguments import address_value, fee_option, nonce_option, rpc_option, tokens_value
from .sending import Delivery, deliver, delivery_options, report, sign_with_nonce
from .signer import Signer, signer_options


@click.command(
    "transfer",
    epilog=examples(
        "poolchain transfer --from devnet:0 --to devnet:1 --amount 2.5",
        "poolchain transfer --from 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed --to devnet:1 --amount 1 --dry-run",
    ),
)
@signer_options
@click.option("--to", type=address_value, metavar="ADDRESS", required=True, help="Who receives; devnet:N too.")
@click.option("--amount", type=tokens_value, metavar="TOKENS", required=True, help="How much.")
@fee_option
@nonce_option
@delivery_options
@rpc_option
@json_option
def transfer_command(
    *,
    signer: Signer,
    to: bytes,
    amount: int,
    fee: int | None,
    nonce: int | None,
    delivery: Delivery,
    client: ChainClient,
) -> None:
    """Send tokens to an address."""
    facts = client.facts()
    fields = {"to": to, "amount": amount, "fee": fee, "nonce": nonce}
    raw = sign_with_nonce(client, facts, "Transfer", fields, signer.key(facts))
    rows = [("Amount", tokens_text(amount)), ("To", checksum_address(to))]
    report(deliver(client, facts, raw, delivery), facts, rows)

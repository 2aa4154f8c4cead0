"""The command `settle`."""

from __future__ import annotations

from typing import BinaryIO

import click

from crypto.address import checksum_address
from poolchain.chain_client import ChainClient
from poolchain.console import examples, json_option
from poolchain.failure import Failure
from poolchain.payment_file import BYTES_MAX, parse_payment
from poolchain.signing import sign_settlement

from .arguments import fee_option, file_argument, rpc_option
from .sending import Delivery, deliver, delivery_options, report
from .signer import Signer, signer_options


@click.command(
    "settle",
    epilog=examples(
        "poolchain settle payment.json --from devnet:1", "poolchain settle payment.json --from devnet:1 --dry-run"
    ),
)
@file_argument
@signer_options
@fee_option
@delivery_options
@rpc_option
@json_option
def settle_command(*, file: BinaryIO, signer: Signer, fee: int | None, delivery: Delivery, client: ChainClient) -> None:
    """Publish the payment in FILE, which was made out to you, and take the tokens.

    The fee is taken from what you receive. If the creator has promised more than the deposit, this proves it: you get
    what remains and a reward, and the rest of the collateral is burned.
    """
    signed = parse_payment(file.read(BYTES_MAX + 1))
    signed.signer()
    facts = client.facts()
    if (signed.chain_id, signed.genesis_hash) != (facts.domain.chain_id, facts.domain.genesis_hash):
        raise Failure("the payment was made for another chain and is worth nothing on this one.", reason="WRONG_CHAIN")
    key = signer.key(facts)
    if key.address != signed.payment.target:
        raise Failure(
            f"the payment is for {checksum_address(signed.payment.target)}, who alone can settle it, "
            f"given {checksum_address(key.address)}.",
            reason="NOT_TARGET",
        )
    fields = {**signed.payment.fields(), "fee": facts.min_fee if fee is None else fee}
    raw = sign_settlement(fields, signed.signature, key, facts.domain)
    report(deliver(client, facts, raw, delivery), facts)

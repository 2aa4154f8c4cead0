"""The commands `payment sign` and `payment check`."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import click

from crypto.address import checksum_address
from crypto.signature import SigningKey
from peers.payer_ledger import PayerLedger
from poolchain.chain_client import ChainClient, ChainFacts, PoolFacts
from poolchain.console import aligned, emit, examples, is_json, json_option, note
from poolchain.failure import EXIT_REFUSED, Failure
from poolchain.payment_check import GOOD, Worth, weigh
from poolchain.payment_file import BYTES_MAX, Payment, SignedPayment, encode_payment, make_payment, parse_payment
from poolchain.private_files import write_over
from poolchain.promises import open_promises
from poolchain.units import format_duration, format_tokens, tokens_text

from .arguments import address_value, file_argument, hash_value, out_option, rpc_option, tokens_value
from .signer import Signer, signer_options

_UNCHECKED = "somebody has signed it; whether that is the pool's creator was not checked"


@click.group("payment", epilog=examples("poolchain payment sign --help", "poolchain payment check payment.json"))
def payment_group() -> None:
    """Sign and check payments off-chain."""


@payment_group.command(
    "sign",
    epilog=examples(
        "poolchain payment sign --from devnet:0 --pool 0x… --target devnet:1 --amount 2.5 --out payment.json"
    ),
)
@signer_options
@click.option("--pool", "cptx_hash", type=hash_value, metavar="HASH", required=True, help="The pool that pays.")
@click.option("--target", type=address_value, metavar="ADDRESS", required=True, help="Who is paid; devnet:N too.")
@click.option(
    "--amount", type=tokens_value, metavar="TOKENS", required=True, help="Total promised to this target so far."
)
@click.option("--seq", type=click.IntRange(1), help="Number of its settlement.  [default: the next]")
@click.option("--allow-overspend", is_flag=True, help="Sign also what the deposit cannot cover: YOU WILL BE SLASHED.")
@out_option("--out", "File for the payment.  [default: standard output]")
@rpc_option
@json_option
def sign_command(
    *,
    signer: Signer,
    cptx_hash: bytes,
    target: bytes,
    amount: int,
    seq: int | None,
    allow_overspend: bool,
    out: Path | None,
    client: ChainClient,
) -> None:
    """Sign the total that a target may take out of your pool.

    The amount grows with every chunk and never restarts: the newest payment replaces all older ones. What you have
    promised to all targets, fetched and played chunks included, is kept in ~/.poolchain/viewer and never exceeds the
    deposit.
    """
    facts = client.facts()
    key = signer.key(facts)
    with open_promises(facts.domain.genesis_hash, cptx_hash) as promises:
        # Targets before the pool: a settlement in between then makes the check stricter, never looser.
        record = client.target(cptx_hash, target)
        promised = sum(
            _outstanding(client, promises, cptx_hash, other) for other in promises.targets() if other != target
        )
        pool = client.pool(cptx_hash)
        _expect_payable(pool, facts, key, target)
        payment = Payment(target, amount, cptx_hash, record.seq + 1 if seq is None else seq)
        if payment.tgt_seq <= record.seq:
            raise Failure(
                f"number {payment.tgt_seq} was settled already: the next one is {record.seq + 1}.",
                reason="BAD_SEQUENCE",
            )
        if amount <= record.paid:
            raise Failure(
                f"this target has had {tokens_text(record.paid)}: the total has to be above that.",
                reason="AMOUNT_NOT_INCREASED",
            )
        if amount < (newest := promises.promised_to(target)):
            note(f"This target was promised {tokens_text(newest)} in total already, and will settle that.")
        outstanding = max(amount, newest) - record.paid
        _expect_covered(pool, promised + outstanding, allowed=allow_overspend)
        promises.promise(cptx_hash, target, amount, payment.tgt_seq)
        signed = make_payment(payment, key, facts.domain)
    _deliver(signed, out)


def _outstanding(client: ChainClient, promises: PayerLedger, cptx_hash: bytes, target: bytes) -> int:
    """Return what was promised to another target and not settled yet."""
    return max(0, promises.promised_to(target) - client.target(cptx_hash, target).paid)


def _expect_payable(pool: PoolFacts, facts: ChainFacts, key: SigningKey, target: bytes) -> None:
    if key.address != pool.creator:
        raise Failure(
            f"the pool is {checksum_address(pool.creator)}'s, who alone can pay from it, "
            f"given {checksum_address(key.address)}.",
            reason="NOT_CREATOR",
        )
    if target == pool.creator:
        raise Failure("a pool cannot pay its own creator.", reason="SELF_PAYMENT")
    if pool.status != "open" or facts.height + 1 >= pool.expires_at:
        status = pool.status if pool.status == "slashed" else "expired"
        raise Failure(f"the pool is {status}: nothing can be settled any more.", reason=f"POOL_{status.upper()}")


def _expect_covered(pool: PoolFacts, outstanding: int, *, allowed: bool) -> None:
    """Refuse, or with `allowed` only warn of, a payment with which more is promised than remains."""
    if outstanding <= pool.remaining:
        return
    text = (
        f"with this payment {format_tokens(outstanding)} tokens are promised and not settled, "
        f"but only {format_tokens(pool.remaining)} remain: the pool would be slashed "
        f"and its collateral of {tokens_text(pool.collateral)} lost"
    )
    if not allowed:
        raise Failure(f"{text} (--allow-overspend signs it all the same).", reason="OVERSPENT")
    note(f"Warning: {text}.")


def _deliver(signed: SignedPayment, out: Path | None) -> None:
    payment = signed.payment
    if out is not None:
        write_over(out, encode_payment(signed))
    if out is None and not is_json():
        click.echo(encode_payment(signed).decode(), nl=False)
        return
    rows = [
        ("Payment", f"number {payment.tgt_seq}, {tokens_text(payment.amount)} in total"),
        ("To", checksum_address(payment.target)),
        ("File", str(out)),
    ]
    emit(signed.to_json(), aligned(rows))


@payment_group.command(
    "check", epilog=examples("poolchain payment check payment.json", "poolchain payment check payment.json --offline")
)
@file_argument
@click.option("--offline", is_flag=True, help="Check form and signature only, without a node.")
@rpc_option
@json_option
@click.pass_context
def check_command(context: click.Context, *, file: BinaryIO, offline: bool, client: ChainClient) -> None:
    """Tell who signed the payment in FILE and what it is worth now.

    Exit status 0 only when it is good: signed by the pool's creator, not settled yet, and covered by the deposit. The
    amounts are for this one payment: settlements of other targets can come first.
    """
    signed = parse_payment(file.read(BYTES_MAX + 1))
    document = {"payment": signed.to_json(), "signer": checksum_address(signed.signer())}
    rows = _payment_rows(signed)
    if offline:
        emit(document, aligned([*rows, ("Verdict", _UNCHECKED)]))
        return
    facts = client.facts()
    worth = weigh(client, facts, signed, facts.min_fee)
    emit({**document, **_worth_json(worth)}, aligned([*rows, *_worth_rows(worth, facts)]))
    if worth.verdict != GOOD:
        context.exit(EXIT_REFUSED)


def _payment_rows(signed: SignedPayment) -> list[tuple[str, str]]:
    payment = signed.payment
    return [
        ("Payment", f"number {payment.tgt_seq}, {tokens_text(payment.amount)} in total"),
        ("To", checksum_address(payment.target)),
        ("Signed by", checksum_address(signed.signer())),
        ("Pool", "0x" + payment.cptx_hash.hex()),
    ]


def _worth_rows(worth: Worth, facts: ChainFacts) -> list[tuple[str, str]]:
    rows = [("Verdict", f"{worth.verdict}: {worth.explanation}")]
    if worth.gain:
        rows += [
            ("Worth now", f"{tokens_text(worth.gain)}, less the fee"),
            ("  due", tokens_text(worth.due)),
            ("  remaining", f"{tokens_text(worth.remaining)} in the pool"),
            ("Settle within", format_duration(worth.blocks_left, facts.block_interval)),
        ]
    return rows


def _worth_json(worth: Worth) -> dict[str, object]:
    return {
        "verdict": worth.verdict,
        "explanation": worth.explanation,
        "worth": hex(worth.gain),
        "due": hex(worth.due),
        "remaining": hex(worth.remaining),
        "blocksLeft": hex(worth.blocks_left),
        "wouldSlash": worth.verdict == "OVERSPENT",
    }

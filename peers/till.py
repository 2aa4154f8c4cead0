"""Whether a payment buys a chunk, and what a cacher answers when it does not (docs/peers.md, section 4). Pure."""

from __future__ import annotations

import re
from typing import Final

from .book import Book, Caps, Declined
from .handshake import Terms, last_payment
from .payment import PAYMENT_BYTES, BadPayment, Payment
from .refused import Json, Refused

_HEX: Final = re.compile(rf"0x[0-9a-f]{{{2 * PAYMENT_BYTES}}}", re.ASCII)
RETRY_BLOCKS: Final = 1
"""A settlement is in the next block, unless that is full."""


def read_payment(header: str | None, terms: Terms) -> Payment:
    """Return the payment of a header; raises Refused."""
    if header is None:
        least = hex(terms.first_amount)
        raise Refused("PAYMENT_REQUIRED", "a payment", "none", amount=least, tgtSeq=hex(1), lastPayment=None)
    try:
        return Payment.decode(bytes.fromhex(header[2:] if _HEX.fullmatch(header) else ""))
    except BadPayment as error:
        raise Refused("BAD_PAYMENT", f"{PAYMENT_BYTES} bytes as lower-case 0x-hex", error) from error


def expect_ours(book: Book, payment: Payment, signer: bytes) -> None:
    """Refuse what is not a promise of this pool's creator to this cacher."""
    promise = payment.promise
    if promise.target != book.target or promise.cptx_hash != book.cptx_hash:
        raise Refused("BAD_PAYMENT", "a payment from this pool to this cacher", f"target 0x{promise.target.hex()}")
    if signer != book.pool.creator:
        raise Refused("BAD_PAYMENT", "a payment signed by the pool's creator", f"signed by 0x{signer.hex()}")


def expect_sellable(book: Book, height: int, terms: Terms) -> None:
    """Refuse to sell to a pool that is closed, or will be before a settlement is safely in a block."""
    left = book.pool.expires_at - height - 1
    if not book.is_open:
        raise Refused("POOL_CLOSED", "an open pool", book.pool.status.name.lower())
    if left < terms.margin_blocks:
        raise Refused("POOL_CLOSED", f"at least {terms.margin_blocks} blocks before it expires", max(0, left))


def charge(book: Book, payment: Payment, signer: bytes, terms: Terms, *, caps: Caps, was_paid: bool) -> Book:
    """Return the book after a chunk was sold for a payment by `signer`; raises Refused, and Declined DEPOSIT_DRAINED.

    What was promised before counts: a payment that the book has already, or an older one, buys what the newest still
    covers. `was_paid`: the chunk was paid for in this pool and costs nothing.
    """
    expect_ours(book, payment, signer)
    promise, price = payment.promise, 0 if was_paid else terms.price_per_chunk
    least = book.least_amount(price, terms.first_amount)
    if promise.tgt_seq == book.next_seq and promise.amount >= max(book.promised, least):
        try:
            book = book.accept(payment, signer, caps)
        except Declined as declined:
            if declined.reason == "DEPOSIT_DRAINED":
                raise
            raise refuse(declined, book, least) from declined
    if was_paid or book.promised >= least:
        return book.deliver(price)
    reason = "PAYMENT_REQUIRED" if promise.tgt_seq == book.next_seq else "WRONG_SEQUENCE"
    expected = f"a total of at least {least} with tgtSeq {book.next_seq}"
    raise refuse(Declined(reason, expected, f"{promise.amount} with tgtSeq {promise.tgt_seq}"), book, least)


def refuse(declined: Declined, book: Book, least: int) -> Refused:
    """Return the answer to a payment that was not accepted, with all that the viewer needs to send a better one."""
    extra: Json = {"amount": hex(least), "tgtSeq": hex(book.next_seq), "lastPayment": last_payment(book)}
    if declined.reason == "CAP_REACHED":
        extra["retryAfterBlocks"] = hex(RETRY_BLOCKS)
    elif declined.reason == "DEPOSIT_DRAINED":
        extra["retryAfterBlocks"] = None
    return Refused(declined.reason, declined.expected, declined.given, **extra)

"""Books, payments and terms with small numbers: price 10, first payment 20, fee 5, reward 100."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from ledger.records import ABSENT_TARGET, Pool, PoolStatus, Target
from peers.book import Book, Caps, Moment, SettlePolicy
from peers.handshake import Terms
from peers.payment import Payment, Promise

CREATOR: Final = SigningKey(b"\x01" * 32)
SELLER: Final = SigningKey(b"\x02" * 32)
STRANGER: Final = SigningKey(b"\x03" * 32)
DOMAIN: Final = Domain.of(20487, bytes(32))
POOL_ID: Final = b"\xaa" * 32
RESOURCE: Final = b"\xbb" * 32
POOL: Final = Pool(CREATOR.address, RESOURCE, 1000, 2000, 0, 1, 500, PoolStatus.OPEN)
CAPS: Final = Caps(10_000)
POLICY: Final = SettlePolicy(fee=5, reward=100)
TERMS: Final = Terms(
    resource_id=RESOURCE,
    price_per_chunk=10,
    chunk_count=100,
    first_amount=20,
    settlement_fee=5,
    reward=100,
    margin_blocks=50,
    block_interval=1,
)


def book(record: Target = ABSENT_TARGET, height: int = 1, /, **pool: Any) -> Book:
    """A book without payments, over the usual pool with some members changed."""
    return Book(POOL_ID, SELLER.address, replace(POOL, **pool), record, height, delivered=record.paid)


def pay(amount: int, seq: int = 1, *, key: SigningKey = CREATOR, **changes: Any) -> Payment:
    """A payment of the pool to the seller."""
    members: dict[str, Any] = {"target": SELLER.address, "amount": amount, "cptx_hash": POOL_ID, "tgt_seq": seq}
    return Payment.sign(Promise(**{**members, **changes}), key, DOMAIN)


def taken(start: Book, amount: int, seq: int = 1, caps: Caps = CAPS) -> Book:
    """A book after it accepted a payment and delivered for all of it."""
    after = start.accept(pay(amount, seq), CREATOR.address, caps)
    return after.deliver(amount - after.delivered)


def moment(**members: Any) -> Moment:
    """Height 1, price 10, just paid."""
    return Moment(**{"height": 1, "price": 10, "quiet_seconds": 0.0, **members})

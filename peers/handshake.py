"""The handshake between viewer and cacher: what is sent, and all that a cacher checks before it sells (paper, step 2).

Pure: the cacher's own head and clock are handed in. The order of the checks is that of docs/peers.md, section 3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from crypto.address import checksum_address
from ledger.records import PoolStatus
from light.documents import Document, SealedHeader, TransactionProof, read_document
from light.errors import ProofRefused
from light.handshake import ProvenPool, verify_handshake
from light.verify import Trust

from .book import Book
from .refused import Json, Refused

VERSION: Final = 1
FRESH_SECONDS: Final = 30
FRESH_INTERVALS: Final = 6
_DOCUMENTS: Final = ("creation", "poolState", "targetState")
_HASH = re.compile(r"0x[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a cacher asks for one resource. Amounts in base units, the interval in seconds."""

    resource_id: bytes
    price_per_chunk: int
    chunk_count: int
    first_amount: int
    """The least first payment: below it a settlement is not worth its fee."""
    settlement_fee: int
    reward: int
    """The genesis reward for a double spend."""
    margin_blocks: int
    """With fewer blocks left nothing is sold any more."""
    block_interval: int
    live_chunk_seconds: int | None = None
    """How long one chunk of a live stream lasts at least; None for a resource that does not grow."""

    def whole_price(self, blocks_left: int) -> int:
        """Return the price of all that can be bought, whatever part is wanted.

        Of a live stream that is all that can be streamed until the pool expires.
        """
        if self.live_chunk_seconds is None:
            return self.price_per_chunk * self.chunk_count
        return self.price_per_chunk * -(-blocks_left * self.block_interval // self.live_chunk_seconds)


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where the cacher stands when it is asked."""

    target: bytes
    """Its own address."""
    trust: Trust
    newest: SealedHeader
    """The newest head that its own light client has proven."""
    now: float
    """Unix time in seconds."""


@dataclass(frozen=True, slots=True)
class HandshakeRequest:
    """What a viewer sends; the documents are as they came, nothing in them is believed yet."""

    resource_id: bytes
    creation: object
    pool_state: object
    target_state: object

    def to_json(self) -> Json:
        """Return the body of POST /handshake."""
        found = zip(_DOCUMENTS, (self.creation, self.pool_state, self.target_state), strict=True)
        return {"version": VERSION, "resourceId": f"0x{self.resource_id.hex()}", **dict(found)}

    @classmethod
    def from_json(cls, value: object) -> HandshakeRequest:
        """Return the request of a parsed body; raises Refused MALFORMED."""
        if not isinstance(value, dict) or value.keys() != {"version", "resourceId", *_DOCUMENTS}:
            raise Refused("MALFORMED", "{version, resourceId, creation, poolState, targetState}")
        if type(value["version"]) is not int or value["version"] != VERSION:
            raise Refused("MALFORMED", f"version {VERSION}", value["version"])
        resource_id = read_hash(value["resourceId"], "resourceId")
        return cls(resource_id, *(value[name] for name in _DOCUMENTS))


def check(request: HandshakeRequest, terms: Terms | None, vantage: Vantage) -> ProvenPool:
    """Return the pool that the documents prove, fresh and good for these terms; raises Refused.

    `terms` is None for a resource that is not served.
    """
    if terms is None or request.resource_id != terms.resource_id:
        raise Refused("UNKNOWN_RESOURCE", "a resource that is served here", f"0x{request.resource_id.hex()}")
    proven = _prove(request, vantage)
    _check_fresh(proven.head, terms, vantage)
    height = max(proven.head.header.height, vantage.newest.header.height)
    judge(book_of(proven, vantage.target), height, terms)
    return proven


def book_of(proven: ProvenPool, target: bytes) -> Book:
    """Return the book that begins with a proven pool."""
    return Book(
        proven.cptx_hash,
        target,
        proven.pool,
        proven.target,
        proven.head.header.height,
        delivered=proven.target.paid,
    )


def judge(book: Book, height: int, terms: Terms) -> None:
    """Check whether a pool, as the newest state shows it, is good for these terms; raises Refused."""
    pool = book.pool
    left = pool.expires_at - height - 1
    if pool.status is not PoolStatus.OPEN:
        raise Refused("POOL_CLOSED", "an open pool", pool.status.name.lower())
    if left < terms.margin_blocks:
        raise Refused("POOL_CLOSED", f"at least {terms.margin_blocks} blocks before it expires", max(0, left))
    if pool.creator == book.target:
        raise Refused("SELF_PAYMENT", "a pool of somebody else", f"0x{pool.creator.hex()}")
    if pool.resource_id != terms.resource_id:
        raise Refused("WRONG_RESOURCE", f"a pool for 0x{terms.resource_id.hex()}", f"0x{pool.resource_id.hex()}")
    if pool.deposit < (whole := terms.whole_price(left)):
        raise Refused("DEPOSIT_TOO_LOW", f"a deposit of at least {whole}", pool.deposit)
    rewarded = pool.collateral - pool.deposit - 1
    if rewarded < terms.settlement_fee + terms.reward:
        least = pool.deposit + 1 + terms.settlement_fee + terms.reward
        raise Refused("COLLATERAL_TOO_LOW", f"a collateral of at least {least}", pool.collateral)
    due = book.least_amount(terms.price_per_chunk, terms.first_amount) - book.record.paid
    if pool.remaining < due:
        raise Refused("DEPOSIT_DRAINED", f"at least {due} left of the deposit", pool.remaining)


def agreement(book: Book, terms: Terms) -> Json:
    """Return the body of the answer to a handshake that was accepted."""
    return {
        "version": VERSION,
        "target": checksum_address(book.target),
        "pricePerChunk": hex(terms.price_per_chunk),
        "firstAmount": hex(terms.first_amount),
        "tgtSeq": hex(book.next_seq),
        "paid": hex(book.record.paid),
        "lastPayment": last_payment(book),
    }


def last_payment(book: Book) -> str | None:
    """Return the newest payment of a book as 0x-hex, or None."""
    return None if book.best is None else f"0x{book.best.encode().hex()}"


def fresh_seconds(block_interval: int) -> int:
    """Return how old a head may be that is not the newest."""
    return max(FRESH_SECONDS, FRESH_INTERVALS * block_interval)


def read_hash(value: object, name: str) -> bytes:
    """Return 32 bytes of 0x-hex; raises Refused MALFORMED."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise Refused("MALFORMED", f"{name}: 32 bytes as lower-case 0x-hex")
    return bytes.fromhex(value[2:])


def _prove(request: HandshakeRequest, vantage: Vantage) -> ProvenPool:
    try:
        creation, pool_state, target_state = map(
            read_document, (request.creation, request.pool_state, request.target_state)
        )
        _check_heads(creation, vantage.newest)
        return verify_handshake(creation, pool_state, target_state, vantage.target, vantage.trust)
    except ProofRefused as refused:
        data = {"reason": refused.reason, "detail": refused.detail}
        raise Refused("BAD_PROOF", "documents that prove the pool", refused.reason, data=data) from refused


def _check_heads(creation: Document, newest: SealedHeader) -> None:
    """Refuse another block of the newest head's height: only one of the two can be of this chain."""
    head = creation.head if isinstance(creation, TransactionProof) else newest
    if head.header.height == newest.header.height and head.hash != newest.hash:
        raise ProofRefused("WRONG_HISTORY", f"another block of height {newest.header.height} than the one known")


def _check_fresh(head: SealedHeader, terms: Terms, vantage: Vantage) -> None:
    if head.header.height >= vantage.newest.header.height:
        return
    age = vantage.now - head.header.timestamp
    limit = fresh_seconds(terms.block_interval)
    if age > limit:
        raise Refused("STALE_PROOF", f"the newest head, or one of the last {limit} seconds", f"{age:.0f} seconds")

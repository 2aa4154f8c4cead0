"""What a verified proof document says, in sentences: what is proven, and what a reader might think is but is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from crypto.address import checksum_address
from crypto.eip712 import Domain
from ledger.errors import Refusal
from ledger.records import ABSENT_ACCOUNT, ABSENT_TARGET, Account, Pool, Target, decode_burned
from light.documents import (
    ConsistencyProof,
    Document,
    EquivocationProof,
    HeaderProof,
    SealedHeader,
    StateDocument,
    TransactionProof,
)
from txtypes.create_pool import CREATE_POOL, CreatePoolFields
from txtypes.service_payment import SERVICE_PAYMENT, ServicePaymentFields
from txtypes.table import decode
from txtypes.transfer import TransferFields

from .units import tokens_text


@dataclass(frozen=True, slots=True)
class Statement:
    """The sentences about one verified document."""

    kind: str
    block: SealedHeader
    """The newest block that the document is about."""
    proven: tuple[str, ...]
    not_proven: tuple[str, ...]


def describe(document: Document) -> Statement:
    """Return what a document says that `light.verify` has accepted; without that it says nothing."""
    match document:
        case TransactionProof():
            return _transaction(document)
        case HeaderProof():
            where = _in_history(document.block, document.head)
            return Statement("header", document.head, (where,), _usual_limits(document.head))
        case ConsistencyProof():
            return _consistency(document)
        case StateDocument():
            return _state(document)
        case EquivocationProof():
            return _equivocation(document)


def format_time(seconds: int) -> str:
    """Return a block's timestamp in UTC, or as a number where no calendar goes so far."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"second {seconds} of the Unix clock"


def _transaction(document: TransactionProof) -> Statement:
    header, index = document.block.header, document.inclusion.leaf_index
    name, what = _read_transaction(document)
    proven = (
        (
            f"{name} {_hex(document.transaction_hash)} is transaction {index + 1} of {header.tx_count} "
            f"in block {header.height}."
        ),
        *what,
        _in_history(document.block, document.head),
    )
    return Statement("transaction", document.head, proven, (*_open_questions(name), *_usual_limits(document.head)))


def _open_questions(name: str) -> tuple[str, ...]:
    """Return what the inclusion of a transaction of this type leaves open."""
    if name == CREATE_POOL.name:
        return ("that the pool is still open, and what is left of it: ask for a state proof of the pool.",)
    if name == SERVICE_PAYMENT.name:
        return ("what it paid, and that it was no double spend: ask for state proofs of the pool and the target.",)
    return ("what later transactions have changed since: ask for a state proof.",)


def _read_transaction(document: TransactionProof) -> tuple[str, tuple[str, ...]]:
    """Return the name of the type, and a sentence with what it did."""
    origin = document.origin
    try:
        transaction = decode(document.transaction, Domain.of(origin.chain_id, origin.genesis_hash))
    except Refusal:
        return "Something that is no transaction of this protocol,", ()
    sender = checksum_address(transaction.sender)
    match transaction.fields:
        case TransferFields(to=to, amount=amount):
            did = f"{sender} sends {_tokens(amount)} to {checksum_address(to)}."
        case CreatePoolFields() as terms:
            end = document.block.header.height + terms.duration
            did = (
                f"{sender} locks a deposit of {_tokens(terms.deposit)} and a collateral of {_tokens(terms.collateral)} "
                f"for resource {_hex(terms.resource_id)} until block {end}."
            )
        case ServicePaymentFields() as payment:
            did = (
                f"{sender} settles number {payment.tgt_seq}, {_tokens(payment.amount)} in all, "
                f"out of pool {_hex(payment.cptx_hash)}."
            )
        case _:
            return transaction.kind.name, ()
    return transaction.kind.name, (did,)


def _consistency(document: ConsistencyProof) -> Statement:
    first, second = document.first, document.second
    proven = (
        (
            f"The history of {_block(second)} begins with that of {_block(first)}: "
            f"nothing up to block {first.header.height} was replaced."
        ),
    )
    return Statement("consistency", second, proven, _usual_limits(second))


def _state(document: StateDocument) -> Statement:
    block = document.block
    proven = (f"After {_block(block)}, {_record(document.key, document.record_bytes)}.",)
    limits = (
        f"what the state is after later blocks: make sure that block {block.header.height} is recent enough for you.",
        *_usual_limits(block),
    )
    return Statement("state", block, proven, limits)


def _record(key: bytes, record: bytes | None) -> str:
    match key[:1]:
        case b"a":
            account = ABSENT_ACCOUNT if record is None else Account.decode(record)
            return f"{checksum_address(key[1:])} has {_tokens(account.balance)} and the nonce {account.nonce}"
        case b"p":
            return f"there is no pool {_hex(key[1:])}" if record is None else _pool(key[1:], Pool.decode(record))
        case b"t":
            target = ABSENT_TARGET if record is None else Target.decode(record)
            had = f"has had {_tokens(target.paid)} in {target.seq} settlements" if target.seq else "has had nothing"
            return f"{checksum_address(key[33:])} {had} out of pool {_hex(key[1:33])}"
        case _:
            return f"{_tokens(decode_burned(record))} have been burned"


def _pool(cptx_hash: bytes, pool: Pool) -> str:
    return (
        f"pool {_hex(cptx_hash)} of {checksum_address(pool.creator)} is {pool.status.name.lower()}: "
        f"{_tokens(pool.remaining)} of the deposit of {_tokens(pool.deposit)} remain, "
        f"the collateral is {_tokens(pool.collateral)}, settlements are taken below block {pool.expires_at}"
    )


def _equivocation(document: EquivocationProof) -> Statement:
    height = document.first.header.height
    proven = (
        (
            f"The authority has sealed two blocks of height {height}: "
            f"{_hex(document.first.hash)} and {_hex(document.second.hash)}. Believe nothing that it seals."
        ),
    )
    return Statement("equivocation", document.first, proven, ("which of the two others have seen.",))


def _in_history(block: SealedHeader, head: SealedHeader) -> str:
    if block.hash == head.hash:
        return f"That block is the head itself, {_block(head)}."
    return f"{_block(block)[0].upper()}{_block(block)[1:]} is in the history of {_block(head)}."


def _usual_limits(head: SealedHeader) -> tuple[str, ...]:
    """Return what no document proves that is only sealed."""
    height = head.header.height
    return (
        "that the authority kept the rules: whoever executes every block knows (poolchain import, poolchain verify).",
        f"how old block {height} is: its time, {format_time(head.header.timestamp)}, is what the authority says.",
        (
            f"that the authority has not sealed another block of height {height}: "
            "compare its hash with what others or your own light client have."
        ),
    )


def _block(sealed: SealedHeader) -> str:
    return f"block {sealed.header.height} ({_hex(sealed.hash)})"


def _tokens(amount: int) -> str:
    return tokens_text(amount)


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

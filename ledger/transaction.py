"""What the ledger knows of transactions: nothing about any type, only the shape that all types share.

Records that are made for every transaction write out their `__init__`: compiled, it costs a fifth of a generated one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from crypto.eip712 import Domain, StructType

from .genesis import Genesis
from .receipt import Receipt
from .state import State


class Fields(Protocol):
    """The decoded fields of one type: a frozen record that states a fee."""

    @property
    def fee(self) -> int:
        """The fee stated, in base units."""


F = TypeVar("F", bound=Fields)
Records = Sequence[bytes | None]
"""The encoded records under a lane's watched keys, in their order."""


@dataclass(frozen=True, slots=True)
class Context:
    """All that a transaction can see besides the state."""

    height: int
    """The height of the block it is applied in."""
    genesis: Genesis


@dataclass(init=False, slots=True)
class Lane:
    """Where a transaction queues while it is pending, and what decides whether it stays valid."""

    key: bytes
    """Transactions with the same key are applied in the order of their positions."""
    position: int
    watches: tuple[bytes, ...]
    """State keys whose change calls for a new judgement."""
    pools: tuple[bytes, ...]
    """Ids of the pools it draws on: their CreatePools, if pending too, come first."""
    promise: int
    """What a transaction that takes the same place may not lower, in base units."""

    def __init__(
        self, key: bytes, position: int, watches: tuple[bytes, ...], pools: tuple[bytes, ...] = (), promise: int = 0
    ) -> None:
        """Take the members."""
        self.key = key
        self.position = position
        self.watches = watches
        self.pools = pools
        self.promise = promise


@dataclass(frozen=True, slots=True)
class Part:
    """One field or signature of a transaction on the wire."""

    name: str
    """As in JSON: `cptxHash`, `signature`."""
    abi: str
    """`address`, `uint256` (an amount), `uint64`, `bytes32` or `signature`."""


class TransactionKind(Protocol[F]):
    """Everything about one transaction type; `txtypes` has one file for each."""

    @property
    def code(self) -> int:
        """The type byte."""

    @property
    def name(self) -> str:
        """The name on the wire, as in the protocol."""

    @property
    def layout(self) -> tuple[Part, ...]:
        """What follows the type byte, in order."""

    @property
    def documents(self) -> tuple[StructType, ...]:
        """The EIP-712 structs that are signed, in the order of the signatures on the wire."""

    def decode(self, raw: bytes) -> F:
        """Return the fields; raises Refusal MALFORMED unless `raw` is the one encoding of a transaction."""

    def signatures(self, raw: bytes) -> tuple[bytes, ...]:
        """Return the signatures in their order on the wire, whatever they are."""

    def digests(self, raw: bytes, domain: Domain) -> tuple[bytes, ...]:
        """Return the 32-byte digests that the signatures are over, in their order on the wire."""

    def apply(self, state: State, transaction: Transaction[F], context: Context) -> Receipt:
        """Change `state`, or raise Refusal and leave it as it was."""

    def stands(self, receipts: Sequence[Receipt], base: Records, now: Records) -> bool:
        """Tell whether all transactions of a lane are sure to do again what they did.

        `receipts` say what that was, in the lane's order, over the records `base` under its watched keys; now there
        are the records `now`, and no pool of the lane is over. False where it is not sure.
        """

    def lane(self, transaction: Transaction[F]) -> Lane:
        """Return where the transaction queues while pending."""


class Transaction(Generic[F]):
    """A transaction whose bytes are canonical and whose signers are recovered."""

    __slots__ = ("fields", "hash", "kind", "raw", "signers")

    def __init__(
        self,
        kind: TransactionKind[F],
        raw: bytes,
        hash: bytes,  # noqa: A002
        fields: F,
        signers: tuple[bytes, ...],
    ) -> None:
        """Take the members."""
        self.kind: Final = kind
        self.raw: Final = raw
        self.hash: Final = hash
        """Keccak-256 of `raw`."""
        self.fields: Final = fields
        self.signers: Final = signers
        """Recovered addresses, in the order of the signatures on the wire; the last one sends (`from`)."""

    def __eq__(self, other: object) -> bool:
        """The same bytes of the same signers are the same transaction."""
        return isinstance(other, Transaction) and self.hash == other.hash and self.signers == other.signers

    def __hash__(self) -> int:
        """Go by the hash of the bytes."""
        return hash(self.hash)

    @property
    def sender(self) -> bytes:
        """The address that published the transaction."""
        return self.signers[-1]


AnyTransaction = Transaction[Any]
AnyKind = TransactionKind[Any]


def watched_keys(transactions: Iterable[AnyTransaction]) -> list[bytes]:
    """State keys that these transactions watch while pending, each once, in ascending order."""
    return sorted({key for transaction in transactions for key in transaction.kind.lane(transaction).watches})

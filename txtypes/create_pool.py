"""CreatePool: locks a deposit and a collateral for one resource and a number of blocks (paper, step 1, equation 1).

Signed by the creator. Refused: ZERO_AMOUNT (deposit 0), COLLATERAL_TOO_LOW (unless collateral > deposit, Theorem
IV.1), BAD_DURATION, BAD_NONCE, NONCE_GAP, INSUFFICIENT_BALANCE. The pool's id is the transaction's hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from crypto.eip712 import Domain, StructType, struct_hash
from ledger.errors import Refusal
from ledger.genesis import Genesis
from ledger.receipt import Outcome, Receipt
from ledger.records import Pool, PoolStatus
from ledger.state import State
from ledger.transaction import Context, Lane, Part, Records, Transaction

from .sender import account_has_grown, debit_sender, sender_lane
from .wire import SIGNATURE, Wire

STRUCT: Final = StructType(
    "CreatePool",
    (
        ("resourceId", "bytes32"),
        ("deposit", "uint256"),
        ("collateral", "uint256"),
        ("duration", "uint64"),
        ("fee", "uint256"),
        ("nonce", "uint64"),
    ),
)
_TYPE_HASH: Final = STRUCT.type_hash()
_SIGNED_END: Final = 193
"""Where the words that are signed end on the wire."""


class CreatePoolFields(NamedTuple):
    """Amounts in base units, duration in blocks."""

    resource_id: bytes
    deposit: int
    collateral: int
    duration: int
    fee: int
    nonce: int


class CreatePoolKind:
    """See the module."""

    code: Final = 0x02
    name: Final = "CreatePool"
    layout: Final = (*(Part(name, abi) for name, abi in STRUCT.members), Part("signature", SIGNATURE))
    _wire: Final = Wire(layout)
    documents: Final = (STRUCT,)

    def decode(self, raw: bytes) -> CreatePoolFields:
        """Return the fields; raises Refusal MALFORMED."""
        return CreatePoolFields(*self._wire.fields(raw))

    def signatures(self, raw: bytes) -> tuple[bytes, ...]:
        """Return the signatures in their order on the wire."""
        return self._wire.signatures(raw)

    def digests(self, raw: bytes, domain: Domain) -> tuple[bytes, ...]:
        """Return the digest of CreatePool."""
        return (domain.digest(struct_hash(_TYPE_HASH, raw[1:_SIGNED_END])),)

    def lane(self, transaction: Transaction[CreatePoolFields]) -> Lane:
        """Queue behind the creator's lower nonces."""
        return sender_lane(transaction.sender, transaction.fields.nonce)

    def stands(self, _: Sequence[Receipt], base: Records, now: Records) -> bool:
        """More tokens refuse nothing."""
        return account_has_grown(base, now)

    def apply(self, state: State, transaction: Transaction[CreatePoolFields], context: Context) -> Receipt:
        """Lock deposit and collateral from this height on, for `duration` blocks."""
        fields = transaction.fields
        _check_terms(fields, context.genesis)
        cost = fields.deposit + fields.collateral + fields.fee
        debit_sender(state, transaction.sender, fields.nonce, cost)
        state.credit(context.genesis.authority, fields.fee)
        state.put_pool(transaction.hash, _new_pool(transaction, context.height))
        return Receipt(transaction.hash, Outcome.CREATED, fields.fee, transaction.hash)


def _check_terms(fields: CreatePoolFields, genesis: Genesis) -> None:
    if fields.deposit == 0:
        raise Refusal("ZERO_AMOUNT", "a deposit above 0", 0)
    if fields.collateral <= fields.deposit:
        raise Refusal("COLLATERAL_TOO_LOW", f"a collateral above the deposit of {fields.deposit}", fields.collateral)
    if not genesis.min_duration <= fields.duration <= genesis.max_duration:
        raise Refusal(
            "BAD_DURATION",
            f"{genesis.min_duration} to {genesis.max_duration} blocks",
            fields.duration,
        )


def _new_pool(transaction: Transaction[CreatePoolFields], height: int) -> Pool:
    fields = transaction.fields
    return Pool(
        creator=transaction.sender,
        resource_id=fields.resource_id,
        deposit=fields.deposit,
        collateral=fields.collateral,
        spent=0,
        created_at=height,
        expires_at=height + fields.duration,
        status=PoolStatus.OPEN,
    )


CREATE_POOL: Final = CreatePoolKind()

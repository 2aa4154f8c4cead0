"""Transfer: tokens from one account to another.

Signed by the sender. Refused: ZERO_AMOUNT, BAD_NONCE (used), NONCE_GAP (future), INSUFFICIENT_BALANCE.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from crypto.eip712 import Domain, StructType, struct_hash
from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.state import State
from ledger.transaction import Context, Lane, Part, Records, Transaction

from .sender import account_has_grown, debit_sender, sender_lane
from .wire import SIGNATURE, Wire

STRUCT: Final = StructType(
    "Transfer",
    (("to", "address"), ("amount", "uint256"), ("fee", "uint256"), ("nonce", "uint64")),
)
_TYPE_HASH: Final = STRUCT.type_hash()
_SIGNED_END: Final = 129
"""Where the words that are signed end on the wire."""


class TransferFields(NamedTuple):
    """Amounts in base units."""

    to: bytes
    """The 20-byte address that receives, which may be the sender's own."""
    amount: int
    fee: int
    nonce: int


class TransferKind:
    """See the module."""

    code: Final = 0x01
    name: Final = "Transfer"
    layout: Final = (*(Part(name, abi) for name, abi in STRUCT.members), Part("signature", SIGNATURE))
    _wire: Final = Wire(layout)
    documents: Final = (STRUCT,)

    def decode(self, raw: bytes) -> TransferFields:
        """Return the fields; raises Refusal MALFORMED."""
        return TransferFields(*self._wire.fields(raw))

    def signatures(self, raw: bytes) -> tuple[bytes, ...]:
        """Return the signatures in their order on the wire."""
        return self._wire.signatures(raw)

    def digests(self, raw: bytes, domain: Domain) -> tuple[bytes, ...]:
        """Return the digest of Transfer."""
        return (domain.digest(struct_hash(_TYPE_HASH, raw[1:_SIGNED_END])),)

    def lane(self, transaction: Transaction[TransferFields]) -> Lane:
        """Queue behind the sender's lower nonces."""
        return sender_lane(transaction.sender, transaction.fields.nonce)

    def stands(self, _: Sequence[Receipt], base: Records, now: Records) -> bool:
        """More tokens refuse nothing."""
        return account_has_grown(base, now)

    def apply(self, state: State, transaction: Transaction[TransferFields], context: Context) -> Receipt:
        """Debit amount and fee, then credit the receiver, then the authority."""
        fields = transaction.fields
        if fields.amount == 0:
            raise Refusal("ZERO_AMOUNT", "an amount above 0", 0)
        debit_sender(state, transaction.sender, fields.nonce, fields.amount + fields.fee)
        state.credit(fields.to, fields.amount)
        state.credit(context.genesis.authority, fields.fee)
        return Receipt(transaction.hash, Outcome.TRANSFERRED, fields.fee)


TRANSFER: Final = TransferKind()

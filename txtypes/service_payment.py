"""ServicePayment: the target publishes what the pool's creator signed off-chain (paper, steps 3 and 4).

Two signatures: the creator's over ServicePayment (equation 3), the target's over Settlement, so that nobody else can
publish and burn a tgtSeq with an older, smaller payment. `amount` is the total promised to this target over the life
of the pool. Refused: POOL_UNKNOWN, POOL_SLASHED, POOL_EXPIRED, SELF_PAYMENT, NOT_CREATOR, NOT_TARGET, BAD_SEQUENCE,
AMOUNT_NOT_INCREASED, INSUFFICIENT_BALANCE. An amount that the deposit cannot cover is *not* refused: it is the double
spend, and the transaction that shows it slashes the collateral in the same transition (paper, III.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from crypto.eip712 import Domain, StructType, struct_hash
from crypto.signature import SIGNATURE_BYTES
from crypto.words import WORD_BYTES
from ledger.errors import Refusal
from ledger.genesis import Genesis
from ledger.receipt import Outcome, Receipt
from ledger.records import (
    Account,
    Pool,
    PoolStatus,
    Target,
    account_key,
    expiry_in,
    is_open_in,
    pool_key,
    remaining_in,
    target_key,
)
from ledger.state import State
from ledger.transaction import Context, Lane, Part, Records, Transaction

from .wire import SIGNATURE, Wire

PAYMENT: Final = StructType(
    "ServicePayment",
    (
        ("target", "address"),
        ("amount", "uint256"),
        ("cptxHash", "bytes32"),
        ("tgtSeq", "uint64"),
    ),
)
SETTLEMENT: Final = StructType("Settlement", (("payment", "ServicePayment"), ("fee", "uint256")), (PAYMENT,))
_PAYMENT_HASH: Final = PAYMENT.type_hash()
_SETTLEMENT_HASH: Final = SETTLEMENT.type_hash()
_PAYMENT_END: Final = 129
"""Where the words that the creator signs end on the wire."""
_FEE_START: Final = _PAYMENT_END + SIGNATURE_BYTES


class ServicePaymentFields(NamedTuple):
    """Amounts in base units."""

    target: bytes
    """The 20-byte address of the payee."""
    amount: int
    """The total promised to the target over the life of the pool, not an increment."""
    cptx_hash: bytes
    tgt_seq: int
    fee: int


class ServicePaymentKind:
    """See the module."""

    code: Final = 0x03
    name: Final = "ServicePayment"
    layout: Final = (
        *(Part(name, abi) for name, abi in PAYMENT.members),
        Part("paymentSignature", SIGNATURE),
        Part("fee", "uint256"),
        Part("signature", SIGNATURE),
    )
    _wire: Final = Wire(layout)
    documents: Final = (PAYMENT, SETTLEMENT)

    def decode(self, raw: bytes) -> ServicePaymentFields:
        """Return the fields; raises Refusal MALFORMED."""
        return ServicePaymentFields(*self._wire.fields(raw))

    def signatures(self, raw: bytes) -> tuple[bytes, ...]:
        """Return the signatures in their order on the wire."""
        return self._wire.signatures(raw)

    def digests(self, raw: bytes, domain: Domain) -> tuple[bytes, ...]:
        """Return the digests of ServicePayment and of Settlement."""
        payment = struct_hash(_PAYMENT_HASH, raw[1:_PAYMENT_END])
        settlement = struct_hash(_SETTLEMENT_HASH, payment + raw[_FEE_START : _FEE_START + WORD_BYTES])
        return domain.digest(payment), domain.digest(settlement)

    def lane(self, transaction: Transaction[ServicePaymentFields]) -> Lane:
        """Queue behind the same target's earlier settlements in this pool."""
        fields = transaction.fields
        key = target_key(fields.cptx_hash, fields.target)
        watches = (pool_key(fields.cptx_hash), key, account_key(fields.target))
        return Lane(key, fields.tgt_seq, watches, (fields.cptx_hash,), fields.amount)

    def stands(self, receipts: Sequence[Receipt], base: Records, now: Records) -> bool:
        """Others' settlements shrink what remains, which matters only when it is too little for the lane's own."""
        pool, target, account = now
        if pool is None or target != base[1] or not _is_same_time(base[0], pool):
            return False
        if any(receipt.outcome is Outcome.SLASHED for receipt in receipts):
            return False
        if remaining_in(pool) < sum(receipt.paid for receipt in receipts):
            return False
        return account == base[2] or all(receipt.paid >= receipt.fee for receipt in receipts)

    def apply(self, state: State, transaction: Transaction[ServicePaymentFields], context: Context) -> Receipt:
        """Pay the target what is due, or slash the pool when the deposit cannot cover it."""
        fields = transaction.fields
        pool = _payable_pool(state, fields, context.height)
        _check_signers(transaction, pool)
        record = state.target(fields.cptx_hash, fields.target)
        _check_progress(fields, record)
        due = fields.amount - record.paid
        if due > pool.remaining:
            return _slash(state, transaction, pool, record, context.genesis)
        return _settle(state, transaction, pool, record, context.genesis)


def _is_same_time(before: bytes | None, pool: bytes) -> bool:
    """Whether a pool is open and ends when it was expected to."""
    return before is not None and is_open_in(pool) and expiry_in(pool) == expiry_in(before)


def _payable_pool(state: State, fields: ServicePaymentFields, height: int) -> Pool:
    """Return the pool; from expiresAt on it is expired, also while it waits with status open."""
    pool = state.pool(fields.cptx_hash)
    if pool is None:
        raise Refusal("POOL_UNKNOWN", "the id of a committed pool", f"0x{fields.cptx_hash.hex()}")
    if pool.status is PoolStatus.SLASHED:
        raise Refusal("POOL_SLASHED", "an open pool", "a slashed one")
    if pool.status is PoolStatus.EXPIRED or height >= pool.expires_at:
        raise Refusal("POOL_EXPIRED", f"a height below {pool.expires_at}", height)
    return pool


def _check_signers(transaction: Transaction[ServicePaymentFields], pool: Pool) -> None:
    target = transaction.fields.target
    creator_signer, target_signer = transaction.signers
    if target == pool.creator:
        raise Refusal("SELF_PAYMENT", "a target that is not the creator", f"0x{target.hex()}")
    if creator_signer != pool.creator:
        raise Refusal(
            "NOT_CREATOR",
            f"a payment signed by 0x{pool.creator.hex()}",
            f"0x{creator_signer.hex()}",
        )
    if target_signer != target:
        raise Refusal("NOT_TARGET", f"a settlement signed by 0x{target.hex()}", f"0x{target_signer.hex()}")


def _check_progress(fields: ServicePaymentFields, record: Target) -> None:
    if fields.tgt_seq != record.seq + 1:
        raise Refusal("BAD_SEQUENCE", f"tgtSeq {record.seq + 1}", fields.tgt_seq)
    if fields.amount <= record.paid:
        raise Refusal("AMOUNT_NOT_INCREASED", f"an amount above {record.paid}", fields.amount)


def _settle(
    state: State, transaction: Transaction[ServicePaymentFields], pool: Pool, record: Target, genesis: Genesis
) -> Receipt:
    fields = transaction.fields
    due = fields.amount - record.paid
    available = state.account(fields.target).balance + due
    if available < fields.fee:
        raise Refusal("INSUFFICIENT_BALANCE", f"a balance after the payment of at least {fields.fee}", available)
    state.put_pool(fields.cptx_hash, pool.after_payment(due, PoolStatus.OPEN))
    state.put_target(fields.cptx_hash, fields.target, Target(record.seq + 1, fields.amount))
    # The fee comes out of what was just paid, so that a payee with an empty account can settle.
    _move_fee(state, fields.target, genesis.authority, gain=due, fee=fields.fee)
    return Receipt(transaction.hash, Outcome.SETTLED, fields.fee, fields.cptx_hash, due)


def _slash(
    state: State, transaction: Transaction[ServicePaymentFields], pool: Pool, record: Target, genesis: Genesis
) -> Receipt:
    """Pay what is left, burn the collateral less the reward.

    At least deposit + 1 burns: whatever part of the collateral anybody could receive, the creator could get back
    through a friend, and Theorem IV.1 would fall.
    """
    fields = transaction.fields
    paid = pool.remaining
    reward = min(fields.fee + genesis.reward, pool.collateral - pool.deposit - 1)
    burned = pool.collateral - reward
    fee = min(fields.fee, paid + reward)
    state.put_pool(fields.cptx_hash, pool.after_payment(paid, PoolStatus.SLASHED))
    state.put_target(fields.cptx_hash, fields.target, Target(record.seq + 1, record.paid + paid))
    _move_fee(state, fields.target, genesis.authority, gain=paid + reward, fee=fee)
    state.burn(burned)
    return Receipt(transaction.hash, Outcome.SLASHED, fee, fields.cptx_hash, paid, burned, reward)


def _move_fee(state: State, target: bytes, authority: bytes, *, gain: int, fee: int) -> None:
    """Credit the target with its gain, take the fee from it and give that to the authority."""
    if gain != fee:
        account = state.account(target)
        state.put_account(target, Account(account.balance + gain - fee, account.nonce))
    state.credit(authority, fee)


SERVICE_PAYMENT: Final = ServicePaymentKind()

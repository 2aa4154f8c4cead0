"""The check of the paper's handshake (step 2): is this pool what its creator says it is, and what is left of it *now*.

A CreatePool's inclusion says only that the pool once existed; the two state proofs, against one head, say the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from ledger.errors import Refusal
from ledger.records import ABSENT_TARGET, Pool, Target, pool_key, target_key
from txtypes.create_pool import CREATE_POOL, CreatePoolFields
from txtypes.table import decode

from .documents import Document, SealedHeader, StateDocument, TransactionProof
from .errors import ProofRefused
from .verify import Trust, verify_record, verify_transaction


@dataclass(frozen=True, slots=True)
class ProvenPool:
    """A pool and what one target has had from it, in the state after a sealed head."""

    cptx_hash: bytes
    pool: Pool
    target: Target
    head: SealedHeader
    """The head that all three documents are against: how fresh the picture is."""


def verify_handshake(
    creation: Document, pool_state: Document, target_state: Document, target: bytes, trust: Trust
) -> ProvenPool:
    """Check the CreatePool's proof and the state proofs of the pool and of (pool, target); raises ProofRefused."""
    if not isinstance(creation, TransactionProof):
        raise ProofRefused("WRONG_POOL", "expected the proof of the CreatePool transaction")
    if not isinstance(pool_state, StateDocument) or not isinstance(target_state, StateDocument):
        raise ProofRefused("WRONG_POOL", "expected the state proofs of the pool and of the target's record")
    if not creation.head == pool_state.block == target_state.block:
        raise ProofRefused("WRONG_POOL", "expected all proofs against one head")
    if not creation.origin == pool_state.origin == target_state.origin:
        raise ProofRefused("WRONG_POOL", "expected all proofs of one chain")
    cptx_hash = creation.transaction_hash
    if pool_state.key != pool_key(cptx_hash) or target_state.key != target_key(cptx_hash, target):
        raise ProofRefused("WRONG_POOL", "expected the records of this pool and this target")
    # This checks the seal of the one head; what the states add to it is only their records.
    verify_transaction(creation, trust)
    verify_record(pool_state)
    verify_record(target_state)
    if pool_state.record_bytes is None:
        raise ProofRefused("WRONG_POOL", "the pool is absent from the state")
    pool = Pool.decode(pool_state.record_bytes)
    _check_creation(creation, pool, trust)
    record = Target.decode(target_state.record_bytes) if target_state.record_bytes else ABSENT_TARGET
    return ProvenPool(cptx_hash, pool, record, creation.head)


def _check_creation(creation: TransactionProof, pool: Pool, trust: Trust) -> None:
    """Check that the record is the one that this transaction of this block made."""
    try:
        transaction = decode(creation.transaction, trust.domain(creation.origin))
    except Refusal as refusal:
        raise ProofRefused("WRONG_POOL", f"not a transaction of this chain: {refusal}") from refusal
    fields = transaction.fields
    if transaction.kind is not CREATE_POOL or not isinstance(fields, CreatePoolFields):
        raise ProofRefused("WRONG_POOL", f"expected a CreatePool, given a {transaction.kind.name}")
    height = creation.block.header.height
    stated = (fields.resource_id, fields.deposit, fields.collateral, height, height + fields.duration)
    proven = (pool.resource_id, pool.deposit, pool.collateral, pool.created_at, pool.expires_at)
    if transaction.sender != pool.creator or stated != proven:
        raise ProofRefused("WRONG_POOL", "the pool's record is not what this CreatePool made")

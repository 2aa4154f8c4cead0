"""What each document proves, checked offline against an authority and a genesis that the user trusts.

Nothing that a document says of itself is believed: sizes and indices come from sealed headers, the genesis and the
authority from the user. Every check raises ProofRefused with a stable reason.
"""

from __future__ import annotations

from dataclasses import dataclass

from consensus.seal import check_seal
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.merkle_proof import MerkleProofError, verify_consistency, verify_inclusion
from crypto.state_proof import StateProofError, verify_state_proof
from ledger.errors import InvalidBlock
from ledger.records import tree_key

from .documents import (
    ConsistencyProof,
    Document,
    EquivocationProof,
    HeaderProof,
    Origin,
    Path,
    SealedHeader,
    StateDocument,
    TransactionProof,
)
from .errors import ProofRefused
from .record_json import record_json


@dataclass(frozen=True, slots=True)
class Trust:
    """What the user knows of the chain beforehand; nothing else is needed."""

    authority: bytes
    genesis_hash: bytes

    def domain(self, origin: Origin) -> Domain:
        """Return the signing domain of the trusted chain; raises ProofRefused for a document of another one.

        The chain id may come from the document: a seal made under another one does not verify.
        """
        if origin.genesis_hash != self.genesis_hash:
            raise ProofRefused(
                "WRONG_CHAIN",
                f"the genesis is 0x{origin.genesis_hash.hex()}, trusted is 0x{self.genesis_hash.hex()}",
            )
        return Domain.of(origin.chain_id, self.genesis_hash)


def verify_document(document: Document, trust: Trust) -> None:
    """Check a document of any kind; raises ProofRefused."""
    match document:
        case TransactionProof():
            verify_transaction(document, trust)
        case HeaderProof():
            verify_header(document, trust)
        case ConsistencyProof():
            verify_heads(document, trust)
        case StateDocument():
            verify_state(document, trust)
        case EquivocationProof():
            verify_equivocation(document, trust)


def verify_transaction(proof: TransactionProof, trust: Trust) -> None:
    """Check that the transaction is in the block, and the block in the history of the head."""
    _check_block_in_head(proof.origin, proof.block, proof.head, proof.history, trust)
    if keccak256(proof.transaction) != proof.transaction_hash:
        raise ProofRefused("WRONG_HASH", "transactionHash is not the hash of the transaction")
    header, inclusion = proof.block.header, proof.inclusion
    _check_size("WRONG_INCLUSION", inclusion, header.tx_count)
    _check_inclusion("WRONG_INCLUSION", header.tx_root, inclusion, proof.transaction)


def verify_header(proof: HeaderProof, trust: Trust) -> None:
    """Check that the block is in the history of the head."""
    _check_block_in_head(proof.origin, proof.block, proof.head, proof.history, trust)


def verify_heads(proof: ConsistencyProof, trust: Trust) -> None:
    """Check that two heads belong to one history.

    Consistency speaks of the blocks before each head, and a head is not a leaf of its own tree: so the first head's
    place in the second one's history is checked as well.
    """
    domain = trust.domain(proof.origin)
    first, second = proof.first, proof.second
    check_sealed_header(first, trust, domain)
    check_sealed_header(second, trust, domain)
    if first.header.height > second.header.height:
        raise ProofRefused("WRONG_CONSISTENCY", "the first head is above the second")
    _check_history(first, second, proof.history)
    try:
        verify_consistency(
            first.header.history_root, first.header.height, second.header.history_root, second.header.height, proof.path
        )
    except MerkleProofError as error:
        raise ProofRefused("WRONG_CONSISTENCY", str(error)) from error


def verify_state(document: StateDocument, trust: Trust) -> None:
    """Check that the record, or its absence, is in the state after the block."""
    check_sealed_header(document.block, trust, trust.domain(document.origin))
    verify_record(document)


def verify_record(document: StateDocument) -> None:
    """Check the record, or its absence, against the block's stateRoot, whoever sealed the block."""
    try:
        verify_state_proof(
            document.block.header.state_root, tree_key(document.key), document.record_bytes, document.proof
        )
    except StateProofError as error:
        raise ProofRefused("WRONG_STATE", str(error)) from error
    if document.record_bytes is not None:
        try:
            expected = record_json(document.key, document.record_bytes)
        except ValueError as error:
            raise ProofRefused("MALFORMED", f"recordBytes: {error}") from error
        if document.record != expected:
            raise ProofRefused("WRONG_STATE", "record does not say what recordBytes says")


def verify_equivocation(proof: EquivocationProof, trust: Trust) -> None:
    """Check that the authority has sealed two different blocks of one height."""
    domain = trust.domain(proof.origin)
    check_sealed_header(proof.first, trust, domain)
    check_sealed_header(proof.second, trust, domain)
    if proof.first.header.height != proof.second.header.height:
        raise ProofRefused("WRONG_EQUIVOCATION", "the blocks are of different heights")
    if proof.first.hash == proof.second.hash:
        raise ProofRefused("WRONG_EQUIVOCATION", "both are the same block")


def check_sealed_header(sealed: SealedHeader, trust: Trust, domain: Domain) -> None:
    """Check that a header is of the trusted chain and sealed by its authority; block 0 is known by its hash."""
    header = sealed.header
    if header.chain_id != domain.chain_id:
        raise ProofRefused("WRONG_CHAIN", f"a header of chain {header.chain_id} in a document of {domain.chain_id}")
    if header.authority != trust.authority:
        raise ProofRefused(
            "WRONG_AUTHORITY", f"the authority is 0x{header.authority.hex()}, trusted is 0x{trust.authority.hex()}"
        )
    if header.height == 0:
        if sealed.hash != trust.genesis_hash:
            raise ProofRefused("WRONG_CHAIN", "block 0 is not the trusted genesis")
        if sealed.seal is not None:
            raise ProofRefused("WRONG_SEAL", "block 0 has no seal")
        return
    try:
        check_seal(sealed.seal, sealed.hash, trust.authority, domain)
    except InvalidBlock as error:
        raise ProofRefused("WRONG_SEAL", error.detail) from error


def _check_block_in_head(
    origin: Origin, block: SealedHeader, head: SealedHeader, history: Path | None, trust: Trust
) -> None:
    domain = trust.domain(origin)
    check_sealed_header(block, trust, domain)
    if head != block:
        check_sealed_header(head, trust, domain)
    _check_history(block, head, history)


def _check_history(block: SealedHeader, head: SealedHeader, history: Path | None) -> None:
    """Check that the block is the head itself, or a leaf of the head's history."""
    if history is None:
        if block.hash != head.hash:
            raise ProofRefused("WRONG_HISTORY", "without a history path the block must be the head itself")
        if block.seal != head.seal:
            raise ProofRefused("WRONG_SEAL", "one block with two seals")
        return
    _check_size("WRONG_HISTORY", history, head.header.height)
    if history.leaf_index != block.header.height:
        raise ProofRefused("WRONG_HISTORY", f"leafIndex must be the block's height, {block.header.height}")
    _check_inclusion("WRONG_HISTORY", head.header.history_root, history, block.hash)


def _check_size(reason: str, path: Path, size: int) -> None:
    if path.tree_size != size:
        raise ProofRefused(reason, f"treeSize must be {size}, as the sealed header says")
    if path.leaf_index >= size:
        raise ProofRefused(reason, f"leafIndex must be below {size}")


def _check_inclusion(reason: str, root: bytes, path: Path, entry: bytes) -> None:
    try:
        verify_inclusion(root, path.tree_size, path.leaf_index, entry, path.path)
    except MerkleProofError as error:
        raise ProofRefused(reason, str(error)) from error

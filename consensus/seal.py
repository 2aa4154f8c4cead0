"""The seal of a single authority: its EIP-712 signature of Seal(blockHash) (protocol section 6)."""

from __future__ import annotations

from crypto.eip712 import Domain
from crypto.signature import InvalidSignature, SigningKey, recover
from ledger.errors import InvalidBlock
from ledger.header import seal_struct_hash


def make_seal(key: SigningKey, block_hash: bytes, domain: Domain) -> bytes:
    """Return the 65-byte seal of a block. Signing is deterministic: the same block always gets the same seal."""
    return key.sign(domain.digest(seal_struct_hash(block_hash)))


def check_seal(seal: bytes | None, block_hash: bytes, authority: bytes, domain: Domain) -> None:
    """Raise InvalidBlock WRONG_SEAL unless `seal` is the authority's on this block of this chain."""
    if seal is None:
        raise InvalidBlock("WRONG_SEAL", "the block has no seal")
    try:
        signer = recover(domain.digest(seal_struct_hash(block_hash)), seal)
    except InvalidSignature as error:
        raise InvalidBlock("WRONG_SEAL", str(error)) from error
    if signer != authority:
        raise InvalidBlock("WRONG_SEAL", f"expected the seal of 0x{authority.hex()}, given 0x{signer.hex()}")

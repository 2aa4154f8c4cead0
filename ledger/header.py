"""Block headers: ten words, and the seal that an engine puts on their hash (protocol section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crypto.eip712 import StructType, struct_hash
from crypto.hashing import keccak256
from crypto.words import (
    UINT64_LIMIT,
    WORD_BYTES,
    WordOutOfRange,
    decode_address,
    decode_uint,
    encode_address,
    encode_uint,
    split_words,
)

HEADER_BYTES: Final = 10 * WORD_BYTES
SEAL_TYPE: Final = StructType("Seal", (("blockHash", "bytes32"),))
_SEAL_TYPE_HASH: Final = SEAL_TYPE.type_hash()


class MalformedHeader(ValueError):
    """Bytes are not the one encoding of a header."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a block commits to. Heights and counts are numbers, roots and hashes 32 bytes, authority 20."""

    chain_id: int
    height: int
    timestamp: int
    """Unix seconds, at least the parent's; no rule of the state transition reads it."""
    parent_hash: bytes
    """Hash of the parent's header; of block 0, Keccak-256 of the genesis file's canonical bytes."""
    tx_root: bytes
    tx_count: int
    receipts_root: bytes
    state_root: bytes
    """Root of the state after this block."""
    history_root: bytes
    """Root over the hashes of all blocks before this one."""
    authority: bytes

    def encode(self) -> bytes:
        """Return the 320 bytes that are hashed."""
        return b"".join(
            (
                encode_uint(self.chain_id),
                encode_uint(self.height),
                encode_uint(self.timestamp),
                self.parent_hash,
                self.tx_root,
                encode_uint(self.tx_count),
                self.receipts_root,
                self.state_root,
                self.history_root,
                encode_address(self.authority),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """Return the header of 320 bytes; raises MalformedHeader."""
        if len(data) != HEADER_BYTES:
            raise MalformedHeader(f"expected {HEADER_BYTES} bytes, given {len(data)}")
        words = split_words(data)
        try:
            return cls(
                decode_uint(words[0], UINT64_LIMIT),
                decode_uint(words[1], UINT64_LIMIT),
                decode_uint(words[2], UINT64_LIMIT),
                words[3],
                words[4],
                decode_uint(words[5], UINT64_LIMIT),
                words[6],
                words[7],
                words[8],
                decode_address(words[9]),
            )
        except WordOutOfRange as error:
            raise MalformedHeader(f"a word is out of range: {error}") from error

    def hash(self) -> bytes:
        """Return the block hash: Keccak-256 of the 320 bytes."""
        return keccak256(self.encode())


def seal_struct_hash(block_hash: bytes) -> bytes:
    """Return hashStruct(Seal(blockHash)): what the authority signs, within its chain's domain."""
    return struct_hash(_SEAL_TYPE_HASH, block_hash)

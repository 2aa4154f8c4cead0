"""Commitment to the state: hash rules, tree keys, and the proof that one record is (not) in it.

The state root commits to a set of (tree key, record) pairs by a binary crit-bit (PATRICIA) Merkle
tree over 32-byte tree keys; bit 0 is the most significant bit of byte 0:

    leaf   = SHA-256(0x00 || key || SHA-256(record))
    branch = SHA-256(0x01 || bit || left || right)     bit: one byte, first bit in which keys differ
    empty  = SHA-256("")                               the root of a tree without leaves

A subtree with one leaf is that leaf, so the root is a function of the set alone. A proof names the
leaf that is reached by following the key's bits, and the siblings on the way:

- present: the leaf is the key's own; hashing it up the path gives the root;
- absent: the leaf is another key's, it agrees with the key in every bit at which the path branches,
  and hashing it up the path gives the root; so the key's own place in the tree is taken;
- empty: the tree has no leaves at all.

Source: docs/decisions/0002-state-tree.md. This module needs the standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

KEY_BITS: Final = 256
HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()

EMPTY: Final = 0
"""Kind of a proof against the empty tree."""
PRESENT: Final = 1
"""Kind of a proof that the key has a record."""
ABSENT: Final = 2
"""Kind of a proof that the key has no record in a tree with leaves."""

CLUSTER_BYTES: Final = 2
"""Leading bytes of the cptxHash in the tree keys of a pool and of its target records."""


class StateProofError(Exception):
    """A state proof that proves nothing; `reason` says in one phrase why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def account_key(address: bytes) -> bytes:
    """Tree key of an account: SHA-256(0x61 || address)."""
    return sha256(b"\x61" + address).digest()


def burned_key() -> bytes:
    """Tree key of the total that was ever burned: SHA-256(0x62)."""
    return sha256(b"\x62").digest()


def pool_key(cptx_hash: bytes) -> bytes:
    """Tree key of a pool: cptxHash[:2] || SHA-256(0x70 || cptxHash)[:30]."""
    return _clustered(cptx_hash, b"\x70" + cptx_hash)


def target_key(cptx_hash: bytes, address: bytes) -> bytes:
    """Tree key of a (pool, target) record: cptxHash[:2] || SHA-256(0x74 || cptxHash || address)[:30]."""
    return _clustered(cptx_hash, b"\x74" + cptx_hash + address)


def _clustered(cptx_hash: bytes, name: bytes) -> bytes:
    """Key that begins like the cptxHash, so that what one settlement touches lies together."""
    return cptx_hash[:CLUSTER_BYTES] + sha256(name).digest()[: HASH_BYTES - CLUSTER_BYTES]


def leaf_hash(key: bytes, record_hash: bytes) -> bytes:
    """Hash of the leaf of `key` whose record has the SHA-256 `record_hash`."""
    return sha256(b"\x00" + key + record_hash).digest()


def branch_hash(bit: int, left: bytes, right: bytes) -> bytes:
    """Hash of the branch of keys that first differ in `bit` (0 to 255): 0 left, 1 right."""
    return sha256(bytes((1, bit)) + left + right).digest()


def key_bit(key: bytes, bit: int) -> int:
    """Bit `bit` of a key, 0 being the most significant bit of byte 0."""
    return key[bit >> 3] >> (7 - (bit & 7)) & 1


@dataclass(frozen=True, slots=True)
class StateProof:
    """Way from a leaf to the root.

    `leaf_key` and `record_hash` are those of the other leaf in an ABSENT proof, and empty
    otherwise, as the verifier knows them. `path` holds (bit, sibling hash) from the leaf upward.
    """

    kind: int
    leaf_key: bytes
    record_hash: bytes
    path: tuple[tuple[int, bytes], ...]

    def encode(self) -> bytes:
        """Canonical bytes.

        kind (1) || if ABSENT: leaf key (32) || record hash (32) || unless EMPTY: n (1) || bitmap (n)
        || siblings (32 each, from the leaf upward). Bit i of the bitmap, counted like the bits of a
        key, is set where the path branches at bit i; its last byte is not zero.
        """
        if self.kind == EMPTY:
            return bytes((EMPTY,))
        bitmap = bytearray(max((bit // 8 + 1 for bit, _ in self.path), default=0))
        for bit, _ in self.path:
            bitmap[bit // 8] |= 0x80 >> bit % 8
        head = bytes((self.kind,)) + self.leaf_key + self.record_hash
        return head + bytes((len(bitmap),)) + bitmap + b"".join(s for _, s in self.path)

    @classmethod
    def decode(cls, data: bytes) -> StateProof:
        """Proof from its canonical bytes; raises StateProofError for any other bytes."""
        if data == bytes((EMPTY,)):
            return cls(EMPTY, b"", b"", ())
        if data[:1] not in (bytes((PRESENT,)), bytes((ABSENT,))):
            raise StateProofError("unknown kind of proof")
        at = 1 if data[0] == PRESENT else 1 + 2 * HASH_BYTES
        if len(data) <= at:
            raise StateProofError("proof is cut short")
        path = _decode_path(data[at], data[at + 1 :])
        return cls(data[0], data[1:at][:HASH_BYTES], data[1:at][HASH_BYTES:], path)


def _decode_path(bitmap_bytes: int, data: bytes) -> tuple[tuple[int, bytes], ...]:
    """(bit, sibling) from the leaf upward, from the bitmap and the siblings behind it."""
    bitmap, siblings = data[:bitmap_bytes], data[bitmap_bytes:]
    if bitmap_bytes > HASH_BYTES or len(bitmap) < bitmap_bytes or bitmap[-1:] == b"\x00":
        raise StateProofError("bitmap of the path is not canonical")
    bits = [bit for bit in reversed(range(8 * bitmap_bytes)) if key_bit(bitmap, bit)]
    if len(siblings) != HASH_BYTES * len(bits):
        raise StateProofError("number of siblings does not match the bitmap")
    return tuple((bit, siblings[at * HASH_BYTES : (at + 1) * HASH_BYTES]) for at, bit in enumerate(bits))


def verify_state_proof(root: bytes, key: bytes, record: bytes | None, proof: StateProof) -> None:
    """Check that the state with this root holds `record` under `key`, or nothing if None.

    Returns for a valid proof; raises StateProofError with the reason for every other one.
    """
    _check_form(root, key, proof)
    if proof.kind == EMPTY:
        if record is not None:
            raise StateProofError("proof of an empty tree given for a record")
        if root != EMPTY_ROOT:
            raise StateProofError("root is not that of the empty tree")
        return
    if (record is not None) != (proof.kind == PRESENT):
        raise StateProofError("proof of presence given for absence, or the reverse")
    if record is not None:
        node = leaf_hash(key, sha256(record).digest())
    else:
        _check_other_leaf(key, proof)
        node = leaf_hash(proof.leaf_key, proof.record_hash)
    if _climb(key, node, proof.path) != root:
        raise StateProofError("path does not lead to the root")


def _check_form(root: bytes, key: bytes, proof: StateProof) -> None:
    """Lengths, ranges and the order of bits: what needs no hashing."""
    if len(root) != HASH_BYTES or len(key) != HASH_BYTES:
        raise StateProofError("root and key have 32 bytes")
    if proof.kind not in (EMPTY, PRESENT, ABSENT):
        raise StateProofError("unknown kind of proof")
    leaf_bytes = HASH_BYTES if proof.kind == ABSENT else 0
    if len(proof.leaf_key) != leaf_bytes or len(proof.record_hash) != leaf_bytes:
        raise StateProofError("leaf of the proof has a wrong length")
    if proof.kind == EMPTY and proof.path:
        raise StateProofError("proof of an empty tree has a path")
    above = KEY_BITS
    for bit, sibling in proof.path:
        if not 0 <= bit < above:
            raise StateProofError("bits of the path do not decrease strictly")
        if len(sibling) != HASH_BYTES:
            raise StateProofError("sibling hash has a wrong length")
        above = bit


def _check_other_leaf(key: bytes, proof: StateProof) -> None:
    """The other leaf is where following the key's bits ends, and is not the key's own."""
    if proof.leaf_key == key:
        raise StateProofError("leaf of the absent key is in the tree")
    for bit, _ in proof.path:
        if key_bit(proof.leaf_key, bit) != key_bit(key, bit):
            raise StateProofError("leaf is not on the way of the key")


def _climb(key: bytes, node: bytes, path: tuple[tuple[int, bytes], ...]) -> bytes:
    """Root that follows from a leaf hash and its path; the key says on which side it lies."""
    for bit, sibling in path:
        left, right = (sibling, node) if key_bit(key, bit) else (node, sibling)
        node = branch_hash(bit, left, right)
    return node

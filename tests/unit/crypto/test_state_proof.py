"""State proofs: the hash rules against values worked out by hand, every way of being wrong, one encoding each."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.state_proof import (
    ABSENT,
    EMPTY,
    EMPTY_ROOT,
    PRESENT,
    StateProof,
    StateProofError,
    account_key,
    branch_hash,
    burned_key,
    leaf_hash,
    pool_key,
    target_key,
    verify_state_proof,
)

# Three keys: LOW and MIDDLE differ first in bit 9, both differ from HIGH in bit 0.
LOW = bytes(32)
MIDDLE = b"\x00\x40" + bytes(30)
HIGH = b"\x80" + bytes(31)
RECORDS = {LOW: b"low", MIDDLE: b"middle", HIGH: b"high"}
LEAVES = {key: sha256(b"\x00" + key + sha256(record).digest()).digest() for key, record in RECORDS.items()}
PAIR = sha256(b"\x01\x09" + LEAVES[LOW] + LEAVES[MIDDLE]).digest()
ROOT = sha256(b"\x01\x00" + PAIR + LEAVES[HIGH]).digest()

OF_MIDDLE = StateProof(PRESENT, b"", b"", ((9, LEAVES[LOW]), (0, LEAVES[HIGH])))
OF_HIGH = StateProof(PRESENT, b"", b"", ((0, PAIR),))
# Bit 0 leads to the pair, bit 9 to MIDDLE; bit 200 tells them apart.
NEAR_MIDDLE = b"\x00\x40" + bytes(23) + b"\x80" + bytes(6)
NOT_NEAR_MIDDLE = StateProof(ABSENT, MIDDLE, sha256(b"middle").digest(), OF_MIDDLE.path)


def reason_of(root: bytes, key: bytes, record: bytes | None, proof: StateProof) -> str:
    with pytest.raises(StateProofError) as caught:
        verify_state_proof(root, key, record, proof)
    return caught.value.reason


def test_tree_keys_are_tagged_hashes_and_share_two_bytes_in_a_pool() -> None:
    cptx, address = bytes(range(32)), bytes(range(20))
    assert account_key(address) == sha256(b"a" + address).digest()
    assert burned_key() == sha256(b"b").digest()
    assert pool_key(cptx) == b"\x00\x01" + sha256(b"p" + cptx).digest()[:30]
    assert target_key(cptx, address) == b"\x00\x01" + sha256(b"t" + cptx + address).digest()[:30]


def test_hash_rules() -> None:
    assert leaf_hash(LOW, sha256(b"low").digest()) == LEAVES[LOW]
    assert branch_hash(9, LEAVES[LOW], LEAVES[MIDDLE]) == PAIR
    assert sha256(b"").digest() == EMPTY_ROOT


def test_present_records_verify() -> None:
    verify_state_proof(ROOT, MIDDLE, b"middle", OF_MIDDLE)
    verify_state_proof(ROOT, HIGH, b"high", OF_HIGH)
    verify_state_proof(LEAVES[LOW], LOW, b"low", StateProof(PRESENT, b"", b"", ()))


def test_absent_records_verify() -> None:
    verify_state_proof(ROOT, NEAR_MIDDLE, None, NOT_NEAR_MIDDLE)
    verify_state_proof(EMPTY_ROOT, HIGH, None, StateProof(EMPTY, b"", b"", ()))
    single = StateProof(ABSENT, LOW, sha256(b"low").digest(), ())
    verify_state_proof(LEAVES[LOW], HIGH, None, single)


@pytest.mark.parametrize(
    ("root", "key", "record", "proof", "reason"),
    [
        (ROOT, MIDDLE, b"other", OF_MIDDLE, "path does not lead to the root"),
        (ROOT, LOW, b"middle", OF_MIDDLE, "path does not lead to the root"),
        (PAIR, MIDDLE, b"middle", OF_MIDDLE, "path does not lead to the root"),
        (ROOT, MIDDLE, b"middle", replace(OF_MIDDLE, path=OF_MIDDLE.path[:1]), "path does not lead to the root"),
        (ROOT, MIDDLE, None, OF_MIDDLE, "proof of presence given for absence, or the reverse"),
        (ROOT, NEAR_MIDDLE, b"x", NOT_NEAR_MIDDLE, "proof of presence given for absence, or the reverse"),
        (ROOT, MIDDLE, None, NOT_NEAR_MIDDLE, "leaf of the absent key is in the tree"),
        (ROOT, NEAR_MIDDLE[:1] + HIGH[1:], None, NOT_NEAR_MIDDLE, "leaf is not on the way of the key"),
        (ROOT, HIGH[:31] + b"\x01", None, NOT_NEAR_MIDDLE, "leaf is not on the way of the key"),
        (ROOT, LOW, None, StateProof(EMPTY, b"", b"", ()), "root is not that of the empty tree"),
        (EMPTY_ROOT, LOW, b"low", StateProof(EMPTY, b"", b"", ()), "proof of an empty tree given for a record"),
        (EMPTY_ROOT, LOW, None, StateProof(EMPTY, b"", b"", OF_HIGH.path), "proof of an empty tree has a path"),
        (ROOT, HIGH, b"high", replace(OF_HIGH, kind=3), "unknown kind of proof"),
        (ROOT, HIGH[:31], b"high", OF_HIGH, "root and key have 32 bytes"),
        (ROOT[:31], HIGH, b"high", OF_HIGH, "root and key have 32 bytes"),
        (ROOT, HIGH, b"high", replace(OF_HIGH, leaf_key=HIGH), "leaf of the proof has a wrong length"),
        (ROOT, NEAR_MIDDLE, None, replace(NOT_NEAR_MIDDLE, record_hash=b""), "leaf of the proof has a wrong length"),
        (ROOT, HIGH, b"high", replace(OF_HIGH, path=((0, PAIR[:31]),)), "sibling hash has a wrong length"),
    ],
)
def test_invalid_proofs(root: bytes, key: bytes, record: bytes | None, proof: StateProof, reason: str) -> None:
    assert reason_of(root, key, record, proof) == reason


@pytest.mark.parametrize("bits", [(0, 9), (9, 9), (256, 0), (9, -1)])
def test_bits_must_decrease_strictly(bits: tuple[int, int]) -> None:
    path = tuple(zip(bits, (LEAVES[LOW], LEAVES[HIGH]), strict=True))
    assert reason_of(ROOT, MIDDLE, b"middle", replace(OF_MIDDLE, path=path)) == (
        "bits of the path do not decrease strictly"
    )


def test_bits_are_part_of_what_is_proved() -> None:
    # Same siblings on the same sides, but at a bit at which the tree does not branch.
    moved = replace(OF_MIDDLE, path=((9, LEAVES[LOW]), (5, LEAVES[HIGH])))
    assert reason_of(ROOT, MIDDLE, b"middle", moved) == "path does not lead to the root"


def test_inner_node_does_not_pass_for_a_leaf() -> None:
    # The 66 bytes of a branch read as tag, key and record hash: the first byte keeps them apart.
    forged = StateProof(ABSENT, PAIR, LEAVES[HIGH], ())
    assert reason_of(ROOT, LOW, None, forged) == "path does not lead to the root"


def test_encoding_of_known_proofs() -> None:
    assert StateProof(EMPTY, b"", b"", ()).encode() == b"\x00"
    assert OF_HIGH.encode() == b"\x01\x01\x80" + PAIR
    assert OF_MIDDLE.encode() == b"\x01\x02\x80\x40" + LEAVES[LOW] + LEAVES[HIGH]
    assert NOT_NEAR_MIDDLE.encode() == b"\x02" + MIDDLE + sha256(b"middle").digest() + OF_MIDDLE.encode()[1:]


HASHES = st.binary(min_size=32, max_size=32)
PATHS = st.sets(st.integers(0, 255), max_size=40).flatmap(
    lambda bits: st.lists(HASHES, min_size=len(bits), max_size=len(bits)).map(
        lambda siblings: tuple(zip(sorted(bits, reverse=True), siblings, strict=True))
    )
)
PROOFS = st.one_of(
    st.just(StateProof(EMPTY, b"", b"", ())),
    st.builds(StateProof, st.just(PRESENT), st.just(b""), st.just(b""), PATHS),
    st.builds(StateProof, st.just(ABSENT), HASHES, HASHES, PATHS),
)


@given(PROOFS)
def test_decoding_reverses_encoding(proof: StateProof) -> None:
    assert StateProof.decode(proof.encode()) == proof


@given(PROOFS, st.data())
def test_no_other_bytes_decode_to_a_proof(proof: StateProof, data: st.DataObject) -> None:
    """Whatever decodes is the encoding of what it decodes to, so no proof has two."""
    encoded = bytearray(proof.encode())
    at = data.draw(st.integers(0, min(len(encoded) - 1, 110)))
    encoded[at] = data.draw(st.integers(0, 255))
    encoded += data.draw(st.binary(max_size=1))
    try:
        decoded = StateProof.decode(bytes(encoded))
    except StateProofError:
        return
    assert decoded.encode() == encoded


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "unknown kind of proof"),
        (b"\x03", "unknown kind of proof"),
        (b"\x00\x00", "unknown kind of proof"),
        (b"\x01", "proof is cut short"),
        (b"\x02" + bytes(64), "proof is cut short"),
        (b"\x01\x02\x80", "bitmap of the path is not canonical"),
        (b"\x01\x02\x80\x00" + PAIR, "bitmap of the path is not canonical"),
        (b"\x01\x21" + bytes(32) + b"\x80" + PAIR, "bitmap of the path is not canonical"),
        (OF_HIGH.encode() + b"\x00", "number of siblings does not match the bitmap"),
        (OF_HIGH.encode()[:-1], "number of siblings does not match the bitmap"),
        (b"\x01\x00" + PAIR, "number of siblings does not match the bitmap"),
    ],
)
def test_invalid_encodings(data: bytes, reason: str) -> None:
    with pytest.raises(StateProofError) as caught:
        StateProof.decode(data)
    assert caught.value.reason == reason

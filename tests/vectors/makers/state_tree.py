"""The state tree by its definition alone, its keys and records, and its proofs with every way of being wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from .form import Case, VectorFile, dice, invalid, paragraphs, text, valid

EMPTY_ROOT = sha256(b"").digest()
EMPTY, PRESENT, ABSENT = 0, 1, 2
STATUS = ("open", "expired", "slashed")
# Why a proof or a record is refused.
FORM, BITMAP = "the bytes are not a proof", "the bitmap is not canonical"
COUNT, KIND = "as many siblings as bits in the bitmap", "presence is proved for a record, absence for null"
ELSEWHERE, OWN_LEAF = "the path does not lead to the root", "the other leaf is the key's own"
OFF_WAY = "the other leaf is not where the key's bits lead"
NOT_EMPTY = "the root is not that of the empty tree"
LENGTH, UNKNOWN = "the record has another length", "the status is 0, 1 or 2"


def account_key(address: bytes) -> bytes:
    return sha256(b"a" + address).digest()


def pool_key(cptx_hash: bytes) -> bytes:
    return cptx_hash[:2] + sha256(b"p" + cptx_hash).digest()[:30]


def target_key(cptx_hash: bytes, target: bytes) -> bytes:
    return cptx_hash[:2] + sha256(b"t" + cptx_hash + target).digest()[:30]


def burned_key() -> bytes:
    return sha256(b"b").digest()


def account_record(balance: int, nonce: int) -> bytes:
    return balance.to_bytes(16, "big") + nonce.to_bytes(8, "big")


def target_record(seq: int, paid: int) -> bytes:
    return seq.to_bytes(8, "big") + paid.to_bytes(16, "big")


def burned_record(burned: int) -> bytes:
    return burned.to_bytes(16, "big")


def pool_record(
    creator: bytes, resource: bytes, amounts: tuple[int, ...], heights: tuple[int, ...], status: str
) -> bytes:
    """`amounts` are deposit, collateral and spent, `heights` createdAt and expiresAt."""
    parts = [amount.to_bytes(16, "big") for amount in amounts] + [height.to_bytes(8, "big") for height in heights]
    return creator + resource + b"".join(parts) + bytes([STATUS.index(status)])


def bit_of(key: bytes, bit: int) -> int:
    return int.from_bytes(key, "big") >> (255 - bit) & 1


def leaf_hash(key: bytes, record_hash: bytes) -> bytes:
    return sha256(b"\x00" + key + record_hash).digest()


def branch_hash(bit: int, left: bytes, right: bytes) -> bytes:
    return sha256(bytes((1, bit)) + left + right).digest()


def state_root(records: Mapping[bytes, bytes], bit: int = 0) -> bytes:
    """Root over tree key -> record."""
    if not records:
        return EMPTY_ROOT
    if len(records) == 1:
        [(key, record)] = records.items()
        return leaf_hash(key, sha256(record).digest())
    left, right = halves(records, bit)
    if not left or not right:
        return state_root(records, bit + 1)
    return branch_hash(bit, state_root(left, bit + 1), state_root(right, bit + 1))


def halves(records: Mapping[bytes, bytes], bit: int) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
    sides: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
    for key, record in records.items():
        sides[bit_of(key, bit)][key] = record
    return sides


class Proof(NamedTuple):
    """The parts of a proof; `path` has (bit, sibling) from the leaf upward."""

    kind: int
    leaf: bytes
    path: list[tuple[int, bytes]]

    def encode(self) -> bytes:
        if self.kind == EMPTY:
            return bytes([EMPTY])
        deepest = max((bit for bit, _ in self.path), default=-1)
        bitmap = bytearray(deepest // 8 + 1)
        for bit, _ in self.path:
            bitmap[bit // 8] |= 0x80 >> bit % 8
        siblings = b"".join(sibling for _, sibling in self.path)
        return bytes([self.kind]) + self.leaf + bytes([len(bitmap)]) + bytes(bitmap) + siblings


def prove(records: Mapping[bytes, bytes], key: bytes) -> Proof:
    """Follow the key's bits down; where they lead into nothing, keep to the side that is there."""
    path: list[tuple[int, bytes]] = []
    below = dict(records)
    if not below:
        return Proof(EMPTY, b"", [])
    for bit in range(256):
        if len(below) == 1:
            break
        sides = halves(below, bit)
        if sides[0] and sides[1]:
            side = bit_of(key, bit)
            path.insert(0, (bit, state_root(sides[side ^ 1], bit + 1)))
            below = sides[side]
    [(leaf_key, record)] = below.items()
    if leaf_key == key:
        return Proof(PRESENT, b"", path)
    return Proof(ABSENT, leaf_key + sha256(record).digest(), path)


def state_tree_files() -> list[VectorFile]:
    chance = dice("state tree")
    sets = record_sets(chance)
    cases = []
    for name, records in sets.items():
        shown = [{"treeKey": text(key), "recordBytes": text(record)} for key, record in sorted(records.items())]
        cases.append(valid("root", f"root of {name}", {"records": shown}, {"root": text(state_root(records))}))
    for name, records in sets.items():
        cases += proof_cases(name, records, chance)
    return [
        VectorFile(
            "state_tree",
            "The tree behind the stateRoot: roots of sets of records, and proofs that a key has a record or has none.",
            paragraphs(
                """
                A crit-bit tree over 32-byte tree keys, bit 0 being the most significant one: leaf SHA-256(0x00 ||
                key || SHA-256(record)), branch SHA-256(0x01 || bit || left || right) where bit is one byte, the
                first bit in which the keys below differ; a single leaf is its own tree; the empty tree is SHA-256
                of nothing. How tree keys and records are made is in records.json.

                A proof is: kind (1 byte: 0 empty tree, 1 present, 2 absent); only in an absence proof the other
                leaf's key and record hash (32 each); unless empty the length of the bitmap (1), the bitmap, in
                which bit i is set where the path branches at bit i and whose last byte is not zero, and the
                siblings (32 each) from the leaf upward.

                kind root: expected.root over input.records, in any order.

                kind proof: input.proof shows that the state with input.root holds input.recordBytes under
                input.treeKey, or nothing where recordBytes is null; expected.proves is present, absent or empty.

                BAD_PROOF: a verifier must refuse it.
                """
            ),
            cases,
        )
    ]


def record_sets(chance: random.Random) -> dict[str, dict[bytes, bytes]]:
    near = chance.randbytes(31)
    many = {account_key(chance.randbytes(20)): account_record(chance.randrange(2**128), n) for n in range(40)}
    pool = chance.randbytes(32)
    cluster = {target_key(pool, chance.randbytes(20)): target_record(1, 10**18 * n) for n in range(1, 7)}
    amounts, heights = (10**21, 2 * 10**21, 21 * 10**18), (5, 1005)
    cluster[pool_key(pool)] = pool_record(chance.randbytes(20), chance.randbytes(32), amounts, heights, "open")
    return {
        "nothing": {},
        "one account": {account_key(bytes(20)): account_record(1, 0)},
        "two keys that differ in bit 0": {bytes(32): b"left", b"\x80" + bytes(31): b"right"},
        "two keys that differ in bit 255": {near + b"\x10": b"left", near + b"\x11": b"right"},
        "one pool and its targets": cluster,
        "forty accounts, a pool, burned": {**many, **cluster, burned_key(): burned_record(3)},
    }


def proof_cases(name: str, records: dict[bytes, bytes], chance: random.Random) -> list[Case]:
    root = state_root(records)
    keys = sorted(records)
    chosen = dict.fromkeys([*keys[:1], *keys[-1:], *keys[len(keys) // 2 : len(keys) // 2 + 1]])
    found = []
    for number, key in enumerate(chosen):
        found += one_proof(f"{name}: record {number}", root, key, records)
    strangers = [chance.randbytes(32), account_key(b"\x11" * 20)]
    if keys:
        strangers.append(keys[0][:31] + bytes([keys[0][31] ^ 0x80]))
    for number, key in enumerate(strangers):
        found += one_proof(f"{name}: absent key {number}", root, key, records)
    return found


class Stated(NamedTuple):
    """What a proof is said to prove."""

    root: bytes
    key: bytes
    record: bytes | None
    proof: bytes

    def given(self) -> Case:
        record = None if self.record is None else text(self.record)
        return {
            "root": text(self.root),
            "treeKey": text(self.key),
            "recordBytes": record,
            "proof": text(self.proof),
        }


def one_proof(name: str, root: bytes, key: bytes, records: dict[bytes, bytes]) -> list[Case]:
    proof = prove(records, key)
    stated = Stated(root, key, records.get(key), proof.encode())
    proves = ("empty", "present", "absent")[proof.kind]
    found = [valid("proof", f"{name}", stated.given(), {"proves": proves})]
    spoilt = [*misstated(stated, proof), *misshaped(stated, proof), *misled(stated, proof)]
    return found + [invalid("proof", f"{name}: {what}", bad.given(), "BAD_PROOF", why) for what, bad, why in spoilt]


Bad = tuple[str, Stated, str]


def misstated(stated: Stated, proof: Proof) -> list[Bad]:
    """The right proof of something else."""
    record, other_root = stated.record, sha256(stated.root).digest()
    if proof.kind == EMPTY:
        return [
            ("another root", stated._replace(root=other_root), NOT_EMPTY),
            ("for a record", stated._replace(record=b"record"), KIND),
        ]
    found = [("another root", stated._replace(root=other_root), ELSEWHERE)]
    if record is None:
        found.append(("for a record", stated._replace(record=b"record"), KIND))
    else:
        found += [
            ("for absence", stated._replace(record=None), KIND),
            ("another record", stated._replace(record=bytes([record[0] ^ 1]) + record[1:]), ELSEWHERE),
            ("a longer record", stated._replace(record=record + b"\x00"), ELSEWHERE),
            ("an empty record", stated._replace(record=b""), ELSEWHERE),
        ]
    return found


def misshaped(stated: Stated, proof: Proof) -> list[Bad]:
    """Bytes that are not the one encoding of a proof."""
    raw = stated.proof
    found = [
        ("no bytes", stated._replace(proof=b""), FORM),
        ("unknown kind", stated._replace(proof=b"\x03" + raw[1:]), FORM),
    ]
    if proof.kind == EMPTY:
        return [*found, ("a byte behind it", stated._replace(proof=raw + b"\x00"), FORM)]
    at = 1 + len(proof.leaf)
    found += [
        ("kind alone", stated._replace(proof=raw[:1]), FORM),
        ("a byte behind it", stated._replace(proof=raw + b"\x00"), COUNT),
        ("one sibling too many", stated._replace(proof=raw + bytes(32)), COUNT),
        ("longer bitmap", stated._replace(proof=lengthened(raw, at)), BITMAP),
        ("bitmap of 33 bytes", stated._replace(proof=raw[:at] + b"\x21\x80" + bytes(31) + b"\x01" + bytes(64)), BITMAP),
        ("bitmap cut short", stated._replace(proof=raw[:at] + b"\x20" + b"\xff" * 31), BITMAP),
    ]
    if proof.path:
        found += [
            ("last byte missing", stated._replace(proof=raw[:-1]), COUNT),
            ("last sibling missing", stated._replace(proof=raw[:-32]), COUNT),
        ]
    return found


def lengthened(raw: bytes, at: int) -> bytes:
    """The same bits with a zero byte behind the bitmap."""
    end = at + 1 + raw[at]
    return raw[:at] + bytes([raw[at] + 1]) + raw[at + 1 : end] + b"\x00" + raw[end:]


def misled(stated: Stated, proof: Proof) -> list[Bad]:
    """Proofs of the right form that lead elsewhere, or say too much."""
    found: list[Bad] = []
    if proof.kind == EMPTY:
        return found
    (bit, sibling), *rest = proof.path or [(0, b"")]
    if proof.path:
        flipped = [(bit, bytes([sibling[0] ^ 1]) + sibling[1:]), *rest]
        found.append(("first sibling changed", with_proof(stated, proof._replace(path=flipped)), ELSEWHERE))
        found.append(("first step left out", with_proof(stated, proof._replace(path=rest)), ELSEWHERE))
        top = proof.path[-1][0]
        if proof.kind == ABSENT:
            astray = (
                stated.key[: top // 8] + bytes([stated.key[top // 8] ^ 0x80 >> top % 8]) + stated.key[top // 8 + 1 :]
            )
            found.append(("key that turns off earlier", stated._replace(key=astray), OFF_WAY))
    if proof.kind == ABSENT:
        own = proof._replace(leaf=stated.key + proof.leaf[32:])
        found.append(("its own leaf as the other one", with_proof(stated, own), OWN_LEAF))
        found.append(("key of the other leaf", stated._replace(key=proof.leaf[:32]), OWN_LEAF))
        changed = proof._replace(leaf=proof.leaf[:63] + bytes([proof.leaf[63] ^ 1]))
        found.append(("other record in the other leaf", with_proof(stated, changed), ELSEWHERE))
        found.append(("no tree at all", stated._replace(proof=b"\x00"), NOT_EMPTY))
    return found


def with_proof(stated: Stated, proof: Proof) -> Stated:
    return stated._replace(proof=proof.encode())

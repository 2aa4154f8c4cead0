"""Damages to records, keys and state proofs."""

from __future__ import annotations

from collections.abc import Callable

from ledger.records import tree_key
from light.record_json import record_json
from rpc.proof_documents import state_key_json
from tests.unit.light.forger import text

from .forest import SIZES, TOP, Json
from .victim import Damage, Victim, damage

PRESENT, ABSENT = 1, 2


def _present(victim: Victim) -> bool:
    return victim.case.at < victim.case.size


def _of_state(make: Callable[[Victim], Json | None]) -> Callable[[Victim], Json | None]:
    """Members to exchange in a state document; None where it is no such document."""

    def replace(victim: Victim) -> Json | None:
        changes = make(victim) if victim.case.family == "state" else None
        return None if changes is None else {**victim.document, **changes}

    return replace


def state_damage(name: str) -> Callable[[Damage], Damage]:
    return lambda make: damage(name)(_of_state(make))


def other_number(victim: Victim, limit: int) -> int | None:
    """The number of another record below a limit."""
    others = [number for number in range(limit) if number != victim.case.at]
    return victim.chance.choice(others) if others else None


def shown(victim: Victim, number: int) -> Json:
    key, record = victim.forest.records[number]
    return {"record": record_json(key, record), "recordBytes": text(record)}


@state_damage("present as absent")
def _hidden(victim: Victim) -> Json | None:
    return {"record": None, "recordBytes": None} if _present(victim) else None


@state_damage("present as absent, with the proof of an absence")
def _hidden_well(victim: Victim) -> Json | None:
    """The absence of another record from the same state."""
    absent = victim.chance.randrange(victim.case.size, SIZES + 1)
    proof = victim.forest.state(victim.case.size, absent)["proof"]
    return {"record": None, "recordBytes": None, "proof": proof} if _present(victim) else None


@state_damage("absent as present")
def _invented(victim: Victim) -> Json | None:
    return None if _present(victim) else shown(victim, victim.case.at)


@state_damage("absent as present, with the proof of another presence")
def _invented_well(victim: Victim) -> Json | None:
    other = other_number(victim, victim.case.size)
    if _present(victim) or other is None:
        return None
    return {**shown(victim, victim.case.at), "proof": victim.forest.state(victim.case.size, other)["proof"]}


@state_damage("key of a neighbour")
def _neighbour_key(victim: Victim) -> Json | None:
    """For an absent record the neighbour is one that is there; anything else could be true."""
    other = other_number(victim, SIZES + 1 if _present(victim) else victim.case.size)
    return None if other is None else {"key": state_key_json(victim.forest.records[other][0])}


@state_damage("record of a neighbour")
def _neighbour_record(victim: Victim) -> Json | None:
    other = other_number(victim, SIZES + 1)
    if other is None or not _present(victim):
        return None
    found = shown(victim, other)
    return victim.chance.choice([found, {"record": found["record"]}, {"recordBytes": found["recordBytes"]}])


@state_damage("proof of a neighbour")
def _neighbour_proof(victim: Victim) -> Json | None:
    """Proofs of two absent records can be the same bytes; then nothing was changed."""
    other = other_number(victim, SIZES + 1)
    if other is None or _present(victim) is (other >= victim.case.size):
        return None
    found = victim.forest.state(victim.case.size, other)["proof"]
    return {"proof": found} if _present(victim) else None


@state_damage("old state as new head")
def _old_state(victim: Victim) -> Json | None:
    return victim.forest.sealed[victim.chance.choice([h for h in range(1, TOP) if h != victim.case.size])]


@state_damage("record object not matching recordBytes")
def _unlike(victim: Victim) -> Json | None:
    record = victim.document["record"]
    if record is None:
        return None
    name = victim.chance.choice(sorted(record))
    value = record[name]
    other = victim.chance.choice([value.upper(), value + "0", None, 0, [value], {"": value}])
    return {"record": {**record, name: other}}


@state_damage("record object empty")
def _nothing(victim: Victim) -> Json | None:
    return {"record": {}} if _present(victim) else None


def _with_proof(edit: Callable[[Victim, bytes], bytes | None]) -> Callable[[Victim], Json | None]:
    def replace(victim: Victim) -> Json | None:
        proof = edit(victim, bytes.fromhex(victim.document["proof"][2:]))
        return None if proof is None else {"proof": text(proof)}

    return replace


def _parts(proof: bytes) -> tuple[bytes, bytes, list[bytes]]:
    """(kind and other leaf, bitmap, siblings)."""
    at = 1 if proof[0] == PRESENT else 65
    end = at + 1 + proof[at]
    return proof[:at], proof[at + 1 : end], [proof[i : i + 32] for i in range(end, len(proof), 32)]


def _join(head: bytes, bitmap: bytes, siblings: list[bytes]) -> bytes:
    return head + bytes([len(bitmap)]) + bitmap + b"".join(siblings)


def _kind(victim: Victim, proof: bytes) -> bytes | None:
    return bytes([victim.chance.choice([kind for kind in (0, 1, 2, 3, 255) if kind != proof[0]])]) + proof[1:]


def _moved_bit(victim: Victim, proof: bytes) -> bytes | None:
    """The path branches at another bit."""
    if not proof[0] or not _parts(proof)[1]:
        return None
    head, bitmap, siblings = _parts(proof)
    value = int.from_bytes(bitmap, "big")
    bits = [bit for bit in range(8 * len(bitmap)) if value >> bit & 1]
    free = [bit for bit in range(8 * len(bitmap)) if not value >> bit & 1]
    if not free:
        return None
    value ^= 1 << victim.chance.choice(bits) | 1 << victim.chance.choice(free)
    return _join(head, value.to_bytes(len(bitmap), "big"), siblings)


def _other_step(_: Victim, proof: bytes) -> bytes | None:
    """A step left out of bitmap and siblings alike."""
    if not proof[0] or not _parts(proof)[1]:
        return None
    head, bitmap, siblings = _parts(proof)
    value = int.from_bytes(bitmap, "big")
    lowest = value & -value  # the step at the leaf: its sibling stands first
    rest = (value ^ lowest).to_bytes(len(bitmap), "big").rstrip(b"\x00")
    return _join(head, rest, siblings[1:])


def _extra_step(_: Victim, proof: bytes) -> bytes | None:
    """A step below the leaf, for an inner node that is said to be one."""
    if not proof[0]:
        return None
    head, bitmap, siblings = _parts(proof)
    return _join(head, bitmap + b"\x01", [bytes(32), *siblings])


def _swapped(_: Victim, proof: bytes) -> bytes | None:
    if not proof[0] or len(_parts(proof)[2]) < 2:
        return None
    head, bitmap, siblings = _parts(proof)
    return _join(head, bitmap, [siblings[1], siblings[0], *siblings[2:]])


def _longer_bitmap(_: Victim, proof: bytes) -> bytes | None:
    if not proof[0]:
        return None
    head, bitmap, siblings = _parts(proof)
    return _join(head, bitmap + b"\x00", siblings)


def _own_leaf(victim: Victim, proof: bytes) -> bytes | None:
    """The absent key's own leaf as the other one."""
    if proof[0] != ABSENT:
        return None
    return proof[:1] + tree_key(victim.forest.records[victim.case.at][0]) + proof[33:]


for _name, _edit in (
    ("kind of proof", _kind),
    ("branch at another bit", _moved_bit),
    ("step of a state proof left out", _other_step),
    ("step of a state proof too many", _extra_step),
    ("siblings of a state proof swapped", _swapped),
    ("bitmap not canonical", _longer_bitmap),
    ("own leaf as the other one", _own_leaf),
    ("state proof truncated", lambda victim, proof: proof[: victim.chance.randrange(len(proof))]),
    ("state proof without its last sibling", lambda _, proof: proof[:-32]),
    ("state proof extended", lambda victim, proof: proof + bytes(victim.chance.choice([1, 32]))),
    ("proof of the empty state", lambda *_: b"\x00"),
):
    state_damage(_name)(_with_proof(_edit))

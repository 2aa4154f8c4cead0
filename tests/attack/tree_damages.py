"""Damages to paths, histories, heads and entries."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from crypto.hashing import keccak256, sha256
from crypto.merkle import hash_leaf
from tests.unit.light.forger import as_sealed, text

from .forest import SIZES, TOP, Json
from .places import change, flip_bit, value_at
from .victim import Damage, Victim, damage

# Paths, wherever there is one


@damage("bit flip in a path")
def _path_bit(victim: Victim) -> Json | None:
    place = victim.path_place()
    path = value_at(victim.document, place) if place else []
    if place is None or not path:
        return None
    at = victim.chance.randrange(len(path))
    return change(victim.document, (*place, at), flip_bit(path[at], victim.chance))


def _swap(path: list[str]) -> list[str]:
    return [path[1], path[0], *path[2:]] if len(path) > 1 else path


for _name, _edit in (
    ("path reversed", lambda path: path[::-1]),
    ("swapped siblings", _swap),
    ("truncated at the root", lambda path: path[:-1]),
    ("truncated at the leaf", lambda path: path[1:]),
    ("empty path", lambda _: []),
    ("extended", lambda path: [*path, text(bytes(32))]),
    ("extended at the leaf", lambda path: [text(bytes(32)), *path]),
    ("duplicated sibling", lambda path: [*path[:1], *path]),
    ("duplicated last sibling", lambda path: [*path, *path[-1:]]),
    ("path of 129", lambda path: [*path, *[text(bytes(32))] * 129]),
    ("short hash in a path", lambda path: [path[0][:-2], *path[1:]] if path else path),
    (
        "siblings hashed into one",
        lambda path: [text(sha256(bytes.fromhex("".join(p[2:] for p in path[:2])))), *path[2:]],
    ),
):
    damage(_name)(lambda victim, edit=_edit: victim.edit_path(edit))  # type: ignore[misc]


def _counted(name: str, change_by: Callable[[int, Random], int]) -> Damage:
    def move(victim: Victim) -> Json | None:
        place = victim.draw(victim.named(name))
        moved = -1 if place is None else change_by(int(value_at(victim.document, place), 16), victim.chance)
        return None if place is None or moved < 0 else change(victim.document, place, hex(moved))

    return move


for _name in ("leafIndex", "treeSize"):
    damage(f"{_name} + 1")(_counted(_name, lambda value, _: value + 1))
    damage(f"{_name} - 1")(_counted(_name, lambda value, _: value - 1))
    damage(f"{_name} with another bit")(_counted(_name, lambda value, chance: value ^ 1 << chance.randrange(64)))
    damage(f"{_name} of 2^64 more")(_counted(_name, lambda value, _: value + 2**64))


@damage("other path of the same tree")
def _other_path(victim: Victim) -> Json | None:
    place = victim.draw([place[:-1] for place in victim.named("leafIndex")])
    if place is None:
        return None
    index, size = (int(value_at(victim.document, (*place, name)), 16) for name in ("leafIndex", "treeSize"))
    other = victim.chance.randrange(size)
    if other == index:
        return None
    forest = victim.forest
    found = forest.history(other, size) if place == ("history",) else forest.transaction(size, other)["inclusion"]
    keep = victim.chance.choice(({}, {"leafIndex": hex(index)}))
    return change(victim.document, place, {**(found or {}), **keep})


# Histories


@damage("history null when it must not be")
def _no_history(victim: Victim) -> Json | None:
    return {**victim.document, "history": None} if victim.member("history") else None


@damage("history of the head itself")
def _own_history(victim: Victim) -> Json | None:
    if victim.document.get("history", ()) is not None:
        return None
    place = "second" if "second" in victim.document else "head"
    height = as_sealed(victim.document[place]).header.height
    path = {"leafIndex": hex(height), "treeSize": hex(height), "path": []}
    return {**victim.document, "history": victim.chance.choice([path, {**path, "treeSize": hex(height + 1)}])}


def _history_of(step: int) -> Damage:
    def replace(victim: Victim) -> Json | None:
        history = victim.member("history")
        if history is None:
            return None
        index, size = int(history["leafIndex"], 16), int(history["treeSize"], 16)
        other = size + step * victim.chance.randrange(1, 4)
        if not index < other <= TOP:
            return None
        found = victim.forest.history(index, other) or {}
        return {**victim.document, "history": {**found, "treeSize": victim.chance.choice([hex(size), hex(other)])}}

    return replace


damage("history of a longer chain")(_history_of(1))
damage("history of a shorter chain")(_history_of(-1))


@damage("second head of one height")
def _twin(victim: Victim) -> Json | None:
    """A twin of the block (or of the older head), which is in nobody's history; over a state it is a true document."""
    older = {"transaction": (), "header": (), "consistency": ("first",)}.get(victim.document["kind"])
    if older is None:
        return None
    height = as_sealed(value_at(victim.document, older) if older else victim.document).header.height
    return victim.with_sealed(older, victim.forest.twins[height]) if height else None


@damage("sealed head over a foreign history")
def _fork(victim: Victim) -> Json | None:
    place = "second" if "second" in victim.document else "head"
    header = as_sealed(victim.document[place]).header if place in victim.document else None
    if header is None or header.height == 0:
        return None
    return {**victim.document, place: victim.forest.reseal(header, history_root=victim.chance.randbytes(32))}


@damage("heads exchanged")
def _exchanged(victim: Victim) -> Json | None:
    document = victim.document
    if "second" in document:
        return {**document, "first": document["second"], "second": document["first"]}
    if "head" not in document:
        return None
    return {**document, **document["head"], "head": {name: document[name] for name in ("header", "seal")}}


@damage("consistency of another pair")
def _pair(victim: Victim) -> Json | None:
    if victim.case.family != "consistency":
        return None
    size = victim.chance.randrange(SIZES + 1)
    other = victim.forest.consistency(size, victim.chance.randrange(size + 1))
    name = victim.chance.choice(["first", "second", "path", "history"])
    # A path or history that is the same for both pairs is no damage, and neither is an equal head.
    return {**victim.document, name: other[name]}


# Entries


@damage("other entry")
def _entry(victim: Victim) -> Json | None:
    if victim.case.family != "inclusion":
        return None
    forest, size = victim.forest, victim.chance.randrange(1, SIZES + 1)
    other = forest.transaction(size, victim.chance.randrange(size))
    names = victim.chance.choice([("transaction",), ("transactionHash",), ("transaction", "transactionHash")])
    return {**victim.document, **{name: other[name] for name in names}}


def _raw(make: Callable[[bytes, Json], bytes]) -> Damage:
    """Other bytes as the transaction, with their right hash."""

    def replace(victim: Victim) -> Json | None:
        if victim.case.family != "inclusion":
            return None
        raw = make(bytes.fromhex(victim.document["transaction"][2:]), victim.document["inclusion"])
        return {**victim.document, "transaction": text(raw), "transactionHash": text(keccak256(raw))}

    return replace


damage("entry cut")(_raw(lambda raw, _: raw[:-1]))
damage("entry extended")(_raw(lambda raw, _: raw + b"\x00"))
damage("empty entry")(_raw(lambda *_: b""))
damage("leaf as entry")(_raw(lambda raw, _: hash_leaf(raw)))
damage("leaf with its prefix as entry")(_raw(lambda raw, _: b"\x00" + raw))


@damage("node as leaf")
def _node_as_leaf(victim: Victim) -> Json | None:
    """The two children of an inner node as one transaction, one level up: what a tree without prefixes falls for."""
    inclusion = victim.document.get("inclusion") or {"path": []}
    if not inclusion["path"]:
        return None
    index, size = int(inclusion["leafIndex"], 16), int(inclusion["treeSize"], 16)
    leaf, sibling = (
        hash_leaf(bytes.fromhex(victim.document["transaction"][2:])),
        bytes.fromhex(inclusion["path"][0][2:]),
    )
    children = sibling + leaf if index & 1 or index == size - 1 else leaf + sibling
    raw = victim.chance.choice([children, b"\x01" + children])
    size = victim.chance.choice([size, (size + 1) // 2])
    above = {"leafIndex": hex(index // 2), "treeSize": hex(size), "path": inclusion["path"][1:]}
    return {**victim.document, "transaction": text(raw), "transactionHash": text(keccak256(raw)), "inclusion": above}

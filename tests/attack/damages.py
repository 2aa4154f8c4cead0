"""Everything that is done to a valid document: each damage gives a document that must prove nothing, or None.

None: it does not apply, for example two siblings to exchange where the path has one. A damage never makes a statement
that is true all the same: the key of an absent record, for one, is only changed to that of a record that is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crypto.hashing import sha256
from tests.model import signing
from tests.model.small_chain import AUTHORITY_KEY, BOB, BOB_KEY
from tests.unit.light.forger import as_sealed, text

from .forest import Json
from .places import Place, change, flip_bit, value_at
from .victim import Damage, Victim, damage

# The envelope and the form


def _set(name: str, value: object) -> Damage:
    return lambda victim: {**victim.document, name: value}


for _name, _member, _value in (
    ("version 2", "version", 2),
    ("version '1'", "version", "1"),
    ("version true", "version", True),
    ("sealKind unknown", "sealKind", "bft"),
    ("kind unknown", "kind", "block"),
    ("kind in a list", "kind", ["header"]),
    ("other chain id", "chainId", "0x5008"),
    ("other genesis", "genesisHash", text(bytes(32))),
):
    damage(_name)(_set(_member, _value))


@damage("kind of another")
def _kind(victim: Victim) -> Json:
    kinds = {"transaction", "header", "consistency", "state", "equivocation"} - {victim.document["kind"]}
    return {**victim.document, "kind": victim.chance.choice(sorted(kinds))}


@damage("missing member")
def _missing(victim: Victim) -> Json:
    # A target's key without its target is a pool's, which may be absent by the same proof.
    absent = victim.document.get("record", ()) is None
    named = [place for place in victim.places if isinstance(place[-1], str) and not (absent and place[0] == "key")]
    place = victim.chance.choice([*named, ("version",)])
    return change(victim.document, place, remove=True)


@damage("extra member")
def _extra(victim: Victim) -> Json:
    objects = [place for place in victim.places if isinstance(value_at(victim.document, place), dict)]
    return change(victim.document, (*victim.chance.choice([(), *objects]), "note"), "0x")


def _texts(victim: Victim, *, letters: bool = False) -> list[Place]:
    """Places of 0x-hex; the key of an absent record is left alone: its neighbour may be absent by the same proof."""
    found = []
    for place in victim.places:
        value = value_at(victim.document, place)
        is_hex = isinstance(value, str) and value.startswith("0x") and len(value) > 2 and place[0] != "key"
        if is_hex and (not letters or value != value.upper().replace("X", "x")):
            found.append(place)
    return found


@damage("upper-case hex")
def _upper(victim: Victim) -> Json | None:
    place = victim.draw(_texts(victim, letters=True))
    return (
        None if place is None else change(victim.document, place, "0x" + value_at(victim.document, place)[2:].upper())
    )


@damage("number instead of text")
def _number(victim: Victim) -> Json:
    place = victim.chance.choice(_texts(victim))
    return change(victim.document, place, int(value_at(victim.document, place), 16))


@damage("one digit changed")
def _digit(victim: Victim) -> Json:
    place = victim.chance.choice(_texts(victim))
    value = value_at(victim.document, place)
    at = victim.chance.randrange(2, len(value))
    digits = "0123456789abcdef".replace(value[at].lower(), "")
    return change(victim.document, place, value[:at] + victim.chance.choice(digits) + value[at + 1 :])


@damage("null instead of a value")
def _null(victim: Victim) -> Json:
    return change(victim.document, victim.chance.choice(_texts(victim)), None)


# Headers and seals


def _flip(name: str) -> Damage:
    def flip(victim: Victim) -> Json | None:
        place = victim.draw([place for place in victim.named(name) if value_at(victim.document, place)])
        if place is None:
            return None
        return change(victim.document, place, flip_bit(value_at(victim.document, place), victim.chance))

    return flip


for _name in ("header", "seal", "transaction", "transactionHash", "recordBytes", "proof"):
    damage(f"bit flip in {_name}")(_flip(_name))


def _seal(make: Callable[[Victim, bytes, str], str | None]) -> Damage:
    """Another seal in one place; `make` is given the block's hash and the right seal."""

    def replace(victim: Victim) -> Json | None:
        place = victim.sealed_place()
        around = victim.document if not place else value_at(victim.document, place)
        if around["seal"] is None:
            return change(victim.document, (*place, "seal"), text(bytes(65)))
        return change(victim.document, (*place, "seal"), make(victim, as_sealed(around).hash, around["seal"]))

    return replace


damage("missing seal")(_seal(lambda *_: None))
damage("high-s seal")(_seal(lambda _, __, seal: text(signing.with_high_s(bytes.fromhex(seal[2:])))))
damage("other v")(_seal(lambda _, __, seal: seal[:-2] + ("1c" if seal[-1] == "b" else "1b")))
damage("v 0 or 1")(_seal(lambda _, __, seal: f"{seal[:-2]}0{int(seal[-2:], 16) - 27}"))
damage("seal cut")(_seal(lambda _, __, seal: seal[:-2]))
damage("seal of another key")(
    _seal(lambda victim, block, _: text(signing.sign_seal(BOB_KEY, victim.forest.forger.signing, block)))
)


def _foreign_seal(chain_id: int, genesis: bytes | None) -> Damage:
    def make(victim: Victim, block: bytes, _: str) -> str:
        domain = signing.Domain(chain_id, genesis or victim.forest.trust.genesis_hash)
        return text(signing.sign_seal(AUTHORITY_KEY, domain, block))

    return _seal(make)


damage("seal for another chain id")(_foreign_seal(1, None))
damage("seal for another genesis")(_foreign_seal(20487, bytes(32)))


@damage("seal of another block")
def _other_seal(victim: Victim) -> Json | None:
    place = victim.sealed_place()
    given = value_at(victim.document, (*place, "seal"))
    others = [sealed["seal"] for sealed in victim.chance.sample(victim.forest.sealed, 2) if sealed["seal"] != given]
    return change(victim.document, (*place, "seal"), others[0])


@damage("other height")
def _height(victim: Victim) -> Json:
    place = victim.sealed_place()
    header = value_at(victim.document, (*place, "header"))
    others = [sealed for sealed in victim.chance.sample(victim.forest.sealed, 2) if sealed["header"] != header]
    return victim.with_sealed(place, others[0])


def _resealed(**members: Any) -> Damage:
    """A header that the authority did seal, though no chain of its own has it."""

    def replace(victim: Victim) -> Json | None:
        place = victim.sealed_place()
        header = as_sealed({"header": value_at(victim.document, (*place, "header")), "seal": None}).header
        if header.height == 0:
            return None
        return victim.with_sealed(place, victim.forest.reseal(header, **members))

    return replace


damage("sealed header of another chain")(_resealed(chain_id=1))
damage("sealed header of another authority")(_resealed(authority=BOB))
damage("sealed header at height 0")(_resealed(height=0))
damage("sealed block 0 of another genesis")(_resealed(height=0, parent_hash=sha256(b"other genesis")))


@damage("header word out of range")
def _word(victim: Victim) -> Json:
    place = (*victim.sealed_place(), "header")
    value = value_at(victim.document, place)
    word, top = victim.chance.choice(((0, 24), (1, 24), (2, 24), (5, 24), (9, 12)))
    at = 2 + 2 * (32 * word + victim.chance.randrange(top))
    return change(victim.document, place, value[: at + 1] + "1" + value[at + 2 :])


@damage("header one word shorter")
def _short(victim: Victim) -> Json:
    place = (*victim.sealed_place(), "header")
    return change(victim.document, place, value_at(victim.document, place)[:-64])

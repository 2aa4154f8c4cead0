"""Random changes to the JSON of valid documents: accepted only where nothing was said differently, never a crash.

Both verifiers read the same bytes and give the same verdict.
"""

from __future__ import annotations

import json
import os
from random import Random
from typing import Any

import pytest

from ledger.records import tree_key
from light.documents import Document, StateDocument, read_document
from light.errors import ProofRefused
from light.parsing import parse_document
from light.verify import Trust, verify_document
from tests.js_oracle import ask_node
from tests.unit.light.forger import text

from .forest import FAMILIES, TOP, Case, Forest
from .places import change, deep_places, value_at

Json = dict[str, Any]
SEED = int(os.environ.get("POOLCHAIN_ATTACK_SEED", "712"))
ROUNDS, ROUNDS_OF_GATE = 1500, 60_000
SCALARS = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    2**64,
    10**30,
    1.0,
    0.5,
    "",
    "0x",
    "0x0",
    "0x1",
    "\x00",
    "ä",
    "\u2028",
    "0x" + "0" * 64,
)


@pytest.fixture(scope="session")
def forest() -> Forest:
    return Forest()


def some_case(chance: Random) -> Case:
    family = chance.choice(FAMILIES)
    size = chance.choice([1, 2, 3, chance.randrange(1, TOP)])
    return Case(family, size, chance.randrange({"consistency": size + 1, "state": TOP}.get(family, size)))


def mutate(value: Json, chance: Random) -> Json:
    """The document with one thing removed, replaced, doubled, wrapped, exchanged or edited."""
    places = deep_places(value)
    place, other = chance.choice(places), chance.choice(places)
    old = value_at(value, place)
    options = [
        change(value, place, remove=True),
        change(value, place, chance.choice(SCALARS)),
        change(value, place, value_at(value, other)),
        change(value, place, chance.choice([[old], {"x": old}, [], {}, [old, old]])),
    ]
    if isinstance(old, list) and old:
        options.append(change(value, place, chance.choice([old[::-1], old[1:], old * 2, chance.sample(old, len(old))])))
    elif isinstance(old, dict):
        options.append(change(value, (*place, chance.choice(["x", "", "__proto__", "path", "toString"])), "0x"))
    elif isinstance(old, str) and old:
        options += [change(value, place, edited(old, chance)) for _ in range(3)]
    return chance.choice(options)


def edited(old: str, chance: Random) -> str:
    at = chance.randrange(len(old))
    return chance.choice(
        [
            old[:at] + chance.choice("0123456789abcdefABCDEFxX g\n") + old[at + 1 :],
            old[:at] + old[at + 1 :],
            old[:at] + chance.choice("0f_ ") + old[at:],
            old.upper(),
            old.lower(),
            old + old[2:],
            old.removeprefix("0x"),
            old[:at],
        ]
    )


def edited_file(file: bytes, chance: Random) -> bytes:
    """Some bytes of the text itself."""
    at = chance.randrange(len(file))
    part = chance.choice(
        [b"", b" ", b'"', b"{", b"[", b",", b"0", b"\xff", b"\\", b"\xef\xbb\xbf", chance.randbytes(1)]
    )
    return file[:at] + part + file[at + chance.randrange(3) :]


def verified(file: bytes, trust: Trust) -> tuple[str, Document | None]:
    try:
        document = parse_document(file)
        verify_document(document, trust)
    except ProofRefused as refusal:
        return refusal.reason, None
    return "accepted", document


def says_nothing_new(forest: Forest, case: Case, found: Document | None, original: Json) -> bool:
    """The same statement; or, by the same proof, the true one that another record is absent as well."""
    if found == read_document(original):
        return True
    if not isinstance(found, StateDocument) or found.record_bytes is not None:
        return False
    present = {tree_key(key) for key, _ in forest.records[: case.size]}
    return tree_key(found.key) not in present and original["record"] is None


def fuzz(forest: Forest, seed: str, rounds: int) -> tuple[list[Json], list[str]]:
    """Questions for the other verifier, and our verdicts."""
    chance, trust = Random(seed), forest.trust
    known = {"authority": text(trust.authority), "genesisHash": text(trust.genesis_hash)}
    questions: list[Json] = []
    verdicts: list[str] = []
    while len(verdicts) < rounds:
        case = some_case(chance)
        original = forest.document(case)
        for _ in range(8):
            damaged = original
            for _ in range(chance.choice([1, 1, 1, 2, 3])):
                damaged = mutate(damaged, chance) or damaged
            file = json.dumps(damaged, ensure_ascii=chance.random() < 0.5).encode()
            if chance.random() < 0.25:
                file = edited_file(json.dumps(original).encode(), chance)
            found, document = verified(file, trust)
            if found == "accepted":
                assert says_nothing_new(forest, case, document, original), (seed, case, file)
            questions.append({"text": text(file), **known})
            verdicts.append(found)
    return questions, verdicts


def compare(forest: Forest, seed: str, rounds: int) -> str:
    questions, verdicts = fuzz(forest, seed, rounds)
    for start in range(0, len(verdicts), 2000):
        batch = slice(start, start + 2000)
        answers = ask_node("verify_proofs.mjs", questions[batch])
        for question, expected, answer in zip(questions[batch], verdicts[batch], answers, strict=True):
            assert answer == expected, (seed, bytes.fromhex(question["text"][2:]))
    accepted = verdicts.count("accepted")
    return f"seed {seed}: {len(verdicts)} mutations, {accepted} accepted, all of them the same statement"


def test_mutations_are_never_accepted_and_never_crash(forest: Forest) -> None:
    _, verdicts = fuzz(forest, f"{SEED}", ROUNDS)
    assert len(set(verdicts)) > 6


@pytest.mark.node
def test_both_verifiers_agree_on_mutations(forest: Forest) -> None:
    compare(forest, f"{SEED} both", ROUNDS // 2)


@pytest.mark.gate
@pytest.mark.parametrize("part", range(5))
def test_many_mutations(forest: Forest, part: int) -> None:
    _, verdicts = fuzz(forest, f"{SEED} {part}", ROUNDS_OF_GATE)
    print(f"seed {SEED} {part}: {len(verdicts)} mutations, {verdicts.count('accepted')} accepted: the same statement")


@pytest.mark.gate
@pytest.mark.node
def test_both_verifiers_agree_on_many_mutations(forest: Forest) -> None:
    print(compare(forest, f"{SEED} gate", ROUNDS_OF_GATE // 4))

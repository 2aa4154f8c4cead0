"""No damaged document is accepted: every tree of 1 to 130 leaves, every proof in it, every kind of damage.

`make test` tries a slice that its seed picks; `make gate` tries all of it and prints the figures.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from functools import lru_cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from consensus import seal
from crypto.signature import recover
from light.documents import read_document
from light.errors import ProofRefused
from light.verify import Trust, verify_document
from tests.js_oracle import ask_node
from tests.unit.light.forger import text

from . import damages, state_damages, tree_damages
from .forest import FAMILIES, SIZES, TOP, Case, Forest, all_cases
from .victim import DAMAGES, Victim, trusts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]
SEED = int(os.environ.get("POOLCHAIN_ATTACK_SEED", "9162"))
SLICE, SLICE_OF_JAVASCRIPT, BATCH = 40, 10, 1000
PARTS = 20
assert {damages, tree_damages, state_damages}  # importing them fills DAMAGES


@pytest.fixture(scope="session")
def forest() -> Forest:
    return Forest()


@pytest.fixture(autouse=True)
def _each_seal_is_recovered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most damaged documents keep a seal; who signed it is a function of the two arguments alone."""
    monkeypatch.setattr(seal, "recover", lru_cache(maxsize=1 << 16)(recover))


def verdict(document: Json, trust: Trust) -> str:
    """`accepted` or the reason; any other exception fails the test."""
    try:
        verify_document(read_document(document), trust)
    except ProofRefused as refusal:
        return refusal.reason
    return "accepted"


def attempts(forest: Forest, case: Case, document: Json) -> Iterator[tuple[str, Json, Trust]]:
    """(name, document, trust) of every damage that applies to one valid document."""
    victim = Victim(forest, case, document, Random(f"{SEED} {case}"))
    for name, spoil in DAMAGES.items():
        damaged = spoil(victim)
        if damaged is not None and (damaged != document or type(damaged["version"]) is not int):
            yield name, damaged, forest.trust
    for name, trust in trusts(forest.trust):
        yield name, document, trust


def attack(forest: Forest, cases: Iterable[Case]) -> tuple[int, Counter[str], Counter[str]]:
    """Verify, damage, verify; return how many documents, and how often each damage and each reason occurred."""
    tried, names, reasons = 0, Counter[str](), Counter[str]()
    for case in cases:
        tried += 1
        document = forest.document(case)
        assert verdict(document, forest.trust) == "accepted", case
        for name, damaged, trust in attempts(forest, case, document):
            found = verdict(damaged, trust)
            assert found != "accepted", (SEED, case, name, json.dumps(damaged))
            names[name] += 1
            reasons[found] += 1
    return tried, names, reasons


def chosen(family: str, count: int) -> list[Case]:
    """The smallest trees, where mistakes at the edge live, and a draw from all others."""
    small = list(all_cases(family, range(4)))
    rest = list(all_cases(family, range(4, TOP)))
    draw = Random(f"{SEED} {family}")
    return draw.sample(small, min(len(small), count // 4)) + draw.sample(rest, count - min(len(small), count // 4))


def test_a_slice_of_the_attack(forest: Forest) -> None:
    cases = [case for family in FAMILIES for case in chosen(family, SLICE)]
    tried, names, reasons = attack(forest, cases)
    assert tried == len(FAMILIES) * SLICE
    assert len(DAMAGES) >= 60
    never = set(DAMAGES) - set(names)
    assert not never, f"damages that were never done: {never}"
    assert len(reasons) == 9  # all but WRONG_EQUIVOCATION and WRONG_POOL


def javascript(cases: Iterable[Case], forest: Forest) -> int:
    """Both verifiers give one verdict and one reason on every damaged document; return their number."""
    asked: list[tuple[Case, str, str, Json]] = []
    for case in cases:
        for name, document, trust in attempts(forest, case, forest.document(case)):
            question = {
                "document": document,
                "authority": text(trust.authority),
                "genesisHash": text(trust.genesis_hash),
            }
            asked.append((case, name, verdict(document, trust), question))
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        answers = ask_node("verify_proofs.mjs", [question for *_, question in batch])
        for (case, name, expected, _), answer in zip(batch, answers, strict=True):
            assert answer == expected, (SEED, case, name)
    return len(asked)


@pytest.mark.node
def test_javascript_refuses_for_the_same_reason(forest: Forest) -> None:
    cases = [case for family in FAMILIES for case in chosen(family, SLICE_OF_JAVASCRIPT)]
    assert javascript(cases, forest) > 1000


# The whole of it


@pytest.mark.gate
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("family", FAMILIES)
def test_every_proof_of_every_tree(forest: Forest, family: str, part: int) -> None:
    cases = list(all_cases(family))[part::PARTS]
    tried, names, reasons = attack(forest, cases)
    print(
        f"seed {SEED}, {family} {part + 1}/{PARTS}: trees of 0 to {SIZES}, {tried} documents, "
        f"{names.total()} damaged in {len(names)} ways, none accepted; {dict(reasons.most_common())}"
    )


@pytest.mark.gate
@pytest.mark.node
@pytest.mark.parametrize("family", FAMILIES)
def test_javascript_on_a_large_slice(forest: Forest, family: str) -> None:
    cases = chosen(family, 100)
    print(f"seed {SEED}, {family}: {javascript(cases, forest)} damaged documents, one reason in both verifiers")

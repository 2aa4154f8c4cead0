"""Both verifiers, `light` and `clients/js`, against the vectors of proof documents: one verdict, one reason."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from light.documents import read_document
from light.errors import ProofRefused
from light.parsing import parse_document
from light.verify import Trust, verify_document
from tests.js_oracle import ask_node

from .generate import FOLDER, render
from .makers.proofs import proof_files
from .reading import Case, cases, data

NAMES = ("proof_transaction", "proof_header", "proof_consistency", "proof_state", "proof_equivocation", "proof_text")


def ours(given: Case) -> str:
    """`accepted`, or the reason of the refusal."""
    try:
        document = parse_document(data(given["text"])) if "text" in given else read_document(given["document"])
        verify_document(document, Trust(data(given["authority"]), data(given["genesisHash"])))
    except ProofRefused as refusal:
        return refusal.reason
    return "accepted"


def wanted(name: str) -> dict[str, str]:
    return {case["name"]: case.get("error", "accepted") for case in cases(name)}


def test_files_are_what_the_generator_makes() -> None:
    made = {file.name: render(file) for file in proof_files()}
    assert sorted(made) == sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("proof_*.json"))
    assert all((FOLDER / f"{name}.json").read_text("ascii") == content for name, content in made.items())


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    file = json.loads((FOLDER / f"{name}.json").read_text("ascii"))
    assert list(file) == ["description", "format", "cases"]
    assert len({case["name"] for case in file["cases"]}) == len(file["cases"])
    kinds = Counter("error" in case for case in file["cases"])
    assert kinds[True] >= kinds[False]


@pytest.mark.parametrize("name", NAMES)
def test_light_client(name: str) -> None:
    assert {case["name"]: ours(case["input"]) for case in cases(name)} == wanted(name)


@pytest.mark.node
def test_javascript_verifier() -> None:
    """One process for all files."""
    chosen = [(name, case) for name in NAMES for case in cases(name)]
    answers = ask_node("verify_proofs.mjs", [case["input"] for _, case in chosen])
    found: dict[str, dict[str, str]] = {name: {} for name in NAMES}
    for (name, case), answer in zip(chosen, answers, strict=True):
        found[name][case["name"]] = answer
    assert found == {name: wanted(name) for name in NAMES}


def test_every_reason_has_a_case() -> None:
    reasons = {reason for name in NAMES for reason in wanted(name).values()}
    equal = ("INCLUSION", "HISTORY", "CONSISTENCY", "STATE", "EQUIVOCATION", "CHAIN", "AUTHORITY", "SEAL", "HASH")
    assert reasons == {"accepted", "MALFORMED", *(f"WRONG_{name}" for name in equal)}

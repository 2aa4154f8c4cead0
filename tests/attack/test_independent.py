"""The paths in our documents are those of RFC 9162: verifiers of others accept them, and refuse their neighbours.

Sigstore's Python and JavaScript clients for inclusion in blocks and histories, @transmute/rfc9162 for inclusion and
consistency. The latter has no opinion on trees of equal size and on the empty tree: there is nothing to hash.
"""

from __future__ import annotations

import os
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.js_oracle import ask_node
from tests.unit.light.forger import as_sealed, text

from .forest import SIZES, Case, Forest, all_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Json = dict[str, Any]
SEED = int(os.environ.get("POOLCHAIN_ATTACK_SEED", "6962"))
SLICE = 150


class Inclusion(NamedTuple):
    """A path and what is said to be in which tree."""

    root: bytes
    size: int
    leaf: int
    entry: bytes
    path: list[bytes]

    def shown(self) -> Json:
        path = [text(node) for node in self.path]
        place = {"size": self.size, "index": self.leaf}
        return {**place, "root": text(self.root), "entry": text(self.entry), "path": path}


@pytest.fixture(scope="session")
def forest() -> Forest:
    return Forest()


def inclusion_of(forest: Forest, case: Case) -> Inclusion:
    """The block's path of a transaction document, the history's of a header document."""
    document = forest.document(case)
    if case.family == "inclusion":
        found, header = document["inclusion"], as_sealed(document).header
        root, entry = header.tx_root, bytes.fromhex(document["transaction"][2:])
    else:
        found, header = document["history"], as_sealed(document["head"]).header
        root, entry = header.history_root, as_sealed(document).hash
    path = [bytes.fromhex(node[2:]) for node in found["path"]]
    return Inclusion(root, int(found["treeSize"], 16), int(found["leafIndex"], 16), entry, path)


def consistency_of(forest: Forest, case: Case) -> Json:
    document = forest.document(case)
    first, second = (as_sealed(document[name]).header for name in ("first", "second"))
    return {
        "firstRoot": text(first.history_root),
        "firstSize": first.height,
        "secondRoot": text(second.history_root),
        "secondSize": second.height,
        "path": document["path"],
    }


def neighbour(proof: Inclusion) -> Inclusion | None:
    """The same path for the next leaf; every verifier must refuse it."""
    return proof._replace(leaf=proof.leaf ^ 1) if proof.leaf ^ 1 < proof.size and proof.path else None


def inclusion_cases() -> list[Case]:
    return [case for family in ("inclusion", "history") for case in all_cases(family)]


def consistency_cases() -> list[Case]:
    return [case for case in all_cases("consistency") if 0 < case.at < case.size]


def chosen(cases: list[Case]) -> list[Case]:
    return Random(f"{SEED}").sample(cases, SLICE)


@pytest.fixture(scope="session")
def sigstore() -> Callable[[Inclusion], bool]:
    """Sigstore's inclusion check for one proof; its entry is a log entry, of which it reads four members."""
    merkle = pytest.importorskip("sigstore._internal.merkle")
    error = pytest.importorskip("sigstore.errors").VerificationError

    def accepts(proof: Inclusion) -> bool:
        inner = SimpleNamespace(log_index=proof.leaf, tree_size=proof.size, hashes=proof.path, root_hash=proof.root)
        entry = SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inner, canonicalized_body=proof.entry))
        try:
            merkle.verify_merkle_inclusion(entry)
        except error:
            return False
        return True

    return accepts


def judge(accepts: Callable[[Inclusion], bool], proofs: Iterable[Inclusion]) -> int:
    """All are accepted, their neighbours refused; return the number of proofs."""
    count = 0
    for proof in proofs:
        count += 1
        assert accepts(proof), proof
        other = neighbour(proof)
        assert other is None or not accepts(other), other
    return count


def ask(proofs: list[Inclusion], links: list[Json]) -> None:
    """Both JavaScript packages."""
    others = [other for proof in proofs if (other := neighbour(proof))]
    exchanged = [{**link, "firstRoot": link["secondRoot"], "secondRoot": link["firstRoot"]} for link in links]
    question = {"inclusion": [proof.shown() for proof in [*proofs, *others]], "consistency": [*links, *exchanged]}
    answers = ask_node("merkle_proofs.mjs", question)
    expected = [True] * len(proofs) + [False] * len(others)
    assert answers == {
        "sigstore": expected,
        "transmute": expected,
        "consistency": [True] * len(links) + [False] * len(exchanged),
    }


def test_sigstore_accepts_our_inclusion_paths(forest: Forest, sigstore: Callable[[Inclusion], bool]) -> None:
    judge(sigstore, (inclusion_of(forest, case) for case in chosen(inclusion_cases())))


@pytest.mark.node
def test_javascript_verifiers_accept_our_paths(forest: Forest) -> None:
    links = [consistency_of(forest, case) for case in chosen(consistency_cases())]
    ask([inclusion_of(forest, case) for case in chosen(inclusion_cases())], links)


@pytest.mark.gate
def test_sigstore_accepts_all_inclusion_paths(forest: Forest, sigstore: Callable[[Inclusion], bool]) -> None:
    count = judge(sigstore, (inclusion_of(forest, case) for case in inclusion_cases()))
    print(f"sigstore: {count} inclusion paths of trees of 1 to {SIZES} leaves accepted, their neighbours refused")


@pytest.mark.gate
@pytest.mark.node
def test_javascript_verifiers_accept_all_paths(forest: Forest) -> None:
    proofs = [inclusion_of(forest, case) for case in inclusion_cases()]
    links = [consistency_of(forest, case) for case in consistency_cases()]
    for start in range(0, len(proofs), 3000):
        ask(proofs[start : start + 3000], links[start : start + 3000])
    print(f"@sigstore/verify, @transmute/rfc9162: {len(proofs)} inclusion and {len(links)} consistency paths accepted")

"""A head that is followed: only forwards, only with proof, through restarts and crashes, and never past a lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crypto.merkle import root, tree_nodes
from crypto.node_tree import NodeTree
from light.documents import ConsistencyProof, EquivocationProof, read_document
from light.errors import ProofRefused
from light.head import Equivocation, HeadFollower
from light.verify import Trust, verify_document
from tests.model.small_chain import BOB

from .forger import Forger, as_sealed, path_json, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.header import Header
    from light.documents import SealedHeader


@pytest.fixture(scope="module")
def headers(forger: Forger) -> Sequence[Header]:
    return forger.chain(9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "head.json"


def follower(forger: Forger, path: Path) -> HeadFollower:
    return HeadFollower(forger.trust, forger.domain.chain_id, path)


def at(forger: Forger, path: Path, headers: Sequence[Header], height: int) -> HeadFollower:
    """A follower that knows the head of a height."""
    found = follower(forger, path)
    found.accept_first(as_sealed(forger.seal_or_none(headers[height])))
    return found


def sealed(forger: Forger, headers: Sequence[Header], height: int) -> SealedHeader:
    return as_sealed(forger.seal_or_none(headers[height]))


def proof(forger: Forger, headers: Sequence[Header], older: int, newer: int, /, **changes: Any) -> ConsistencyProof:
    found = read_document({**forger.consistency(headers, older, newer), **changes})
    assert isinstance(found, ConsistencyProof)
    return found


def twin_of(header: Header) -> Header:
    return replace(header, timestamp=header.timestamp + 1)


def height_of(found: HeadFollower) -> int:
    assert found.head is not None
    return found.head.header.height


# Following


def test_the_first_head_is_taken_for_its_seal(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 3)
    assert height_of(found) == 3
    with pytest.raises(ProofRefused, match="needs a proof"):
        found.accept_first(sealed(forger, headers, 4))


def test_the_genesis_can_be_the_first_head(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 0)
    found.accept(proof(forger, headers, 0, 9))
    assert height_of(found) == 9


def test_a_head_of_another_authority_is_not_taken(forger: Forger, path: Path) -> None:
    with pytest.raises(ProofRefused, match="WRONG_AUTHORITY"):
        follower(forger, path).accept_first(forger.sealed(forger.header(authority=BOB)))
    assert not path.exists()


def test_a_newer_head_needs_a_proof_from_the_known_one(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 3)
    with pytest.raises(ProofRefused, match="from height 3"):
        found.accept(proof(forger, headers, 2, 9))
    found.accept(proof(forger, headers, 3, 7))
    assert height_of(found) == 7
    found.accept(proof(forger, headers, 7, 7))
    assert height_of(found) == 7


def test_a_bad_proof_moves_nothing(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 3)
    before = path.read_bytes()
    with pytest.raises(ProofRefused, match="WRONG_CONSISTENCY"):
        found.accept(proof(forger, headers, 3, 7, path=[]))
    assert (height_of(found), path.read_bytes()) == (3, before)


def test_a_child_needs_a_proof_too(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    """A sealed child whose parentHash is right and whose historyRoot holds a block of another history."""
    found = at(forger, path, headers, 4)
    other = twin_of(headers[3])
    hashes = [*(header.hash() for header in headers[:3]), other.hash(), headers[4].hash()]
    liar = replace(headers[5], history_root=root(hashes))
    nodes = tree_nodes(hashes)
    tree = NodeTree(5, lambda level, index: nodes[level, index])
    document = {
        **forger.consistency(headers, 4, 5),
        "second": forger.seal(liar),
        "path": [text(node) for node in tree.consistency_path(4, 5)],
        "history": path_json(4, 5, tree.inclusion_path(4, 5)),
    }
    lie = read_document(document)
    assert isinstance(lie, ConsistencyProof)
    with pytest.raises(ProofRefused, match="WRONG_CONSISTENCY"):
        found.accept(lie)
    assert height_of(found) == 4
    found.accept(proof(forger, headers, 4, 5))
    assert height_of(found) == 5


def test_nothing_can_be_proven_without_a_first_head(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = follower(forger, path)
    with pytest.raises(ProofRefused, match="no head is known"):
        found.accept(proof(forger, headers, 3, 7))
    found.notice(sealed(forger, headers, 1))
    assert found.head is None


# On disk


def test_the_head_survives_a_restart(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 3)
    found.accept(proof(forger, headers, 3, 7))
    again = follower(forger, path)
    assert again.head == found.head
    again.accept(proof(forger, headers, 7, 8))
    assert height_of(follower(forger, path)) == 8


@pytest.mark.parametrize("step", ["open", "replace"])
def test_a_crash_leaves_the_old_head(
    forger: Forger, path: Path, headers: Sequence[Header], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    found = at(forger, path, headers, 3)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, step, crash)
        with pytest.raises(KeyboardInterrupt):
            found.accept(proof(forger, headers, 3, 4))
    assert height_of(found) == 3
    assert path.with_name("head.json.new").exists() == (step == "replace")
    again = follower(forger, path)
    assert height_of(again) == 3
    again.accept(proof(forger, headers, 3, 4))
    assert height_of(follower(forger, path)) == 4


def test_a_torn_draft_is_ignored(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    at(forger, path, headers, 3)
    path.with_name("head.json.new").write_text('{"version": 1, "he')
    assert height_of(follower(forger, path)) == 3


@pytest.mark.parametrize("text", ["", "{}", "[]", "7", '{"version": 1, "head": 7, "contradiction": null}', "\xff"])
def test_a_file_that_is_no_head_is_refused(forger: Forger, path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ProofRefused, match="MALFORMED"):
        follower(forger, path)


def test_a_kept_head_is_checked_like_any_other(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    at(forger, path, headers, 3)
    kept = json.loads(path.read_text())
    changes: list[dict[str, Any]] = [{"version": 2}, {"head": {**kept["head"], "seal": None}}, {"contradiction": {}}]
    for change in changes:
        path.write_text(json.dumps({**kept, **change}))
        with pytest.raises(ProofRefused) as caught:
            follower(forger, path)
        assert caught.value.reason in {"MALFORMED", "WRONG_SEAL"}


def test_a_kept_head_is_of_one_chain(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    at(forger, path, headers, 3)
    chain_id, trust = forger.domain.chain_id, forger.trust
    for other_trust, other_id, reason in (
        (trust, chain_id + 1, "WRONG_CHAIN"),
        (Trust(BOB, trust.genesis_hash), chain_id, "WRONG_AUTHORITY"),
        (Trust(trust.authority, bytes(32)), chain_id, "WRONG_SEAL"),
    ):
        with pytest.raises(ProofRefused, match=reason):
            HeadFollower(other_trust, other_id, path)


# Equivocation


def test_two_blocks_of_one_height_end_the_trust(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 3)
    twin = forger.sealed(twin_of(headers[3]))
    with pytest.raises(Equivocation) as caught:
        found.notice(twin)
    evidence = read_document(json.loads(json.dumps(caught.value.to_json())))
    assert isinstance(evidence, EquivocationProof)
    verify_document(evidence, forger.trust)
    assert {evidence.first, evidence.second} == {found.head, twin}
    for again in (found, follower(forger, path)):
        assert again.contradiction == twin
        with pytest.raises(Equivocation):
            again.accept(proof(forger, headers, 3, 4))
        with pytest.raises(Equivocation):
            again.accept(proof(forger, headers, 3, 7))
        with pytest.raises(Equivocation):
            again.notice(sealed(forger, headers, 3))
        assert height_of(again) == 3


def test_equivocation_is_noticed_on_every_way(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    forked = [*headers[:3], twin_of(headers[3])]
    with pytest.raises(Equivocation, match="height 3"):
        at(forger, path, headers, 3).notice(forger.sealed(forked[3]))
    path.unlink()
    with pytest.raises(Equivocation, match="height 3"):
        at(forger, path, headers, 3).accept(proof(forger, headers, 3, 7, first=forger.seal(forked[3])))


def test_what_is_not_sealed_is_no_evidence(forger: Forger, path: Path, headers: Sequence[Header]) -> None:
    found = at(forger, path, headers, 3)
    twin = forger.sealed(twin_of(headers[3]))
    with pytest.raises(ProofRefused, match="WRONG_SEAL"):
        found.notice(replace(twin, seal=found.head.seal if found.head else None))
    assert found.contradiction is None
    found.accept(proof(forger, headers, 3, 4))

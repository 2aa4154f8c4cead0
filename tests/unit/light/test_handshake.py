"""The three documents of a handshake: what they say together, and every way in which they may not fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from crypto.hashing import keccak256
from ledger.records import Pool, PoolStatus, Target, pool_key, target_key
from light.documents import read_document
from light.errors import ProofRefused
from light.handshake import ProvenPool, verify_handshake
from light.verify import Trust
from tests.model import signing
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, CAROL, RESOURCE

from .conftest import HEAD
from .forger import Forger, text

if TYPE_CHECKING:
    from types import SimpleNamespace

Json = dict[str, Any]


class Bundle(NamedTuple):
    """What a viewer sends."""

    creation: Json
    pool: Json
    target: Json

    def check(self, trust: Trust, target: bytes = BOB) -> ProvenPool:
        creation, pool, record = map(read_document, self)
        return verify_handshake(creation, pool, record, target, trust)

    def refuse(self, reason: str, part: str, trust: Trust, target: bytes = BOB) -> None:
        with pytest.raises(ProofRefused) as caught:
            self.check(trust, target)
        assert caught.value.reason == reason
        assert part in caught.value.detail


@pytest.fixture
def bundle(served: SimpleNamespace) -> Bundle:
    documents = served.documents
    return Bundle(documents["creation"], documents["pool"], documents["target"])


# What it says


def test_pool_and_target_are_proven_against_one_head(served: SimpleNamespace, bundle: Bundle) -> None:
    found = bundle.check(served.trust)
    assert text(found.cptx_hash) == served.pool
    assert found.head.header.height == HEAD
    assert found.target == Target(1, 300)
    assert found.pool == Pool(ALICE, RESOURCE, 1000, 1500, 300, 1, 51, PoolStatus.OPEN)


def test_an_absent_target_has_had_nothing(served: SimpleNamespace, bundle: Bundle) -> None:
    found = bundle._replace(target=served.documents["no target"]).check(served.trust, CAROL)
    assert found.target == Target(0, 0)


def test_a_slashed_pool_is_told_as_one(served: SimpleNamespace) -> None:
    call = served.bench.call
    key = {"cptxHash": served.slashed}
    bundle = Bundle(
        call("proof_getTransaction", served.slashed),
        call("proof_getState", key),
        call("proof_getState", {**key, "target": text(BOB)}),
    )
    assert bundle.check(served.trust).pool.status is PoolStatus.SLASHED


# WRONG_POOL: documents that do not belong together


def test_documents_are_of_the_right_kinds(served: SimpleNamespace, bundle: Bundle) -> None:
    header = served.documents["header"]
    bundle._replace(creation=bundle.pool).refuse("WRONG_POOL", "proof of the CreatePool", served.trust)
    bundle._replace(pool=header).refuse("WRONG_POOL", "state proofs", served.trust)
    bundle._replace(target=bundle.creation).refuse("WRONG_POOL", "state proofs", served.trust)


def test_documents_are_against_one_head(served: SimpleNamespace, bundle: Bundle) -> None:
    call = served.bench.call
    earlier = hex(HEAD - 1)
    old_pool = call("proof_getState", bundle.pool["key"], earlier)
    old_target = call("proof_getState", bundle.target["key"], earlier)
    old_creation = call("proof_getTransaction", served.pool, earlier)
    for mixed in (
        bundle._replace(pool=old_pool),
        bundle._replace(target=old_target),
        bundle._replace(creation=old_creation),
        bundle._replace(pool=old_pool, target=old_target),
    ):
        mixed.refuse("WRONG_POOL", "one head", served.trust)
    Bundle(old_creation, old_pool, old_target).check(served.trust)


def test_documents_are_of_one_chain(served: SimpleNamespace, bundle: Bundle) -> None:
    for part in ("pool", "target"):
        other = {**getattr(bundle, part), "genesisHash": text(bytes(32))}
        bundle._replace(**{part: other}).refuse("WRONG_POOL", "one chain", served.trust)


def test_documents_are_of_this_pool_and_target(served: SimpleNamespace, bundle: Bundle) -> None:
    call = served.bench.call
    other_pool = call("proof_getState", {"cptxHash": served.slashed})
    other_target = call("proof_getState", {"cptxHash": served.slashed, "target": text(BOB)})
    for mixed in (bundle._replace(pool=other_pool), bundle._replace(target=other_target)):
        mixed.refuse("WRONG_POOL", "this pool and this target", served.trust)
    bundle.refuse("WRONG_POOL", "this pool and this target", served.trust, CAROL)
    bundle._replace(pool=served.documents["account"]).refuse("WRONG_POOL", "this pool", served.trust)


def test_a_transaction_that_created_no_pool_has_none(served: SimpleNamespace) -> None:
    call = served.bench.call
    transfer = served.documents["in the head"]["transactionHash"]
    bundle = Bundle(
        call("proof_getTransaction", transfer),
        call("proof_getState", {"cptxHash": transfer}),
        call("proof_getState", {"cptxHash": transfer, "target": text(BOB)}),
    )
    bundle.refuse("WRONG_POOL", "absent", served.trust)


# WRONG_POOL: an authority that seals what the rules do not allow


def forged(forger: Forger, raw: bytes, pool: Pool) -> Bundle:
    """A block with this transaction, and a state in which its hash has this record."""
    key = pool_key(keccak256(raw))
    records = {key: pool.encode()}
    (creation,), header = forger.block([raw], records)
    target = forger.state(header, records, target_key(key[1:], BOB))
    return Bundle(creation, forger.state(header, records, key), target)


GOOD = Pool(ALICE, RESOURCE, 1000, 1500, 0, 1, 11, PoolStatus.OPEN)


def creation_of(forger: Forger, key: bytes = ALICE_KEY) -> bytes:
    return signing.create_pool(key, forger.signing, RESOURCE, 1000, 1500, 10, 10, 0)


def test_the_forger_can_be_honest(forger: Forger) -> None:
    assert forged(forger, creation_of(forger), GOOD).check(forger.trust).pool == GOOD


@pytest.mark.parametrize(
    "changes",
    [
        {"creator": BOB},
        {"resource_id": bytes(32)},
        {"deposit": 1001},
        {"collateral": 1499},
        {"created_at": 2},
        {"expires_at": 12},
    ],
)
def test_the_record_is_what_the_transaction_made(forger: Forger, changes: dict[str, Any]) -> None:
    bundle = forged(forger, creation_of(forger), replace(GOOD, **changes))
    bundle.refuse("WRONG_POOL", "not what this CreatePool made", forger.trust)


def test_the_creator_is_who_signed(forger: Forger) -> None:
    bundle = forged(forger, creation_of(forger, BOB_KEY), GOOD)
    bundle.refuse("WRONG_POOL", "not what this CreatePool made", forger.trust)


def test_the_transaction_is_a_creation(forger: Forger) -> None:
    raw = signing.transfer(ALICE_KEY, forger.signing, BOB, 1, 10, 0)
    forged(forger, raw, GOOD).refuse("WRONG_POOL", "given a Transfer", forger.trust)


def test_the_transaction_is_one_of_this_protocol(forger: Forger) -> None:
    for raw in (b"", b"\x04", creation_of(forger)[:-1], creation_of(forger)[:-1] + b"\x02"):
        forged(forger, raw, GOOD).refuse("WRONG_POOL", "not a transaction of this chain", forger.trust)


# What each document alone would be refused for


def test_each_document_is_checked_in_itself(served: SimpleNamespace, bundle: Bundle) -> None:
    trust = served.trust
    bundle.refuse("WRONG_AUTHORITY", "trusted is", Trust(BOB, trust.genesis_hash))
    bundle.refuse("WRONG_CHAIN", "trusted is", Trust(trust.authority, bytes(32)))
    creation = bundle.creation
    bad_path = {**creation["history"], "path": creation["history"]["path"][1:]}
    bundle._replace(creation={**creation, "history": bad_path}).refuse("WRONG_HISTORY", "path", trust)
    bad_place = {**creation["inclusion"], "leafIndex": "0x1"}
    bundle._replace(creation={**creation, "inclusion": bad_place}).refuse("WRONG_INCLUSION", "leafIndex", trust)
    record = {**bundle.pool["record"], "spent": "0x0"}
    bundle._replace(pool={**bundle.pool, "record": record}).refuse("WRONG_STATE", "record", trust)
    swapped = {**bundle.target, "proof": bundle.pool["proof"]}
    bundle._replace(target=swapped).refuse("WRONG_STATE", "", trust)


def test_the_seal_of_the_one_head_is_checked(served: SimpleNamespace, bundle: Bundle) -> None:
    """It stands in three documents; if it is wrong in all of them, or in one, the bundle is refused."""
    bad = bundle.creation["seal"]
    creation = {**bundle.creation, "head": {**bundle.creation["head"], "seal": bad}}
    everywhere = Bundle(creation, {**bundle.pool, "seal": bad}, {**bundle.target, "seal": bad})
    everywhere.refuse("WRONG_SEAL", "expected the seal", served.trust)
    bundle._replace(creation=creation).refuse("WRONG_POOL", "one head", served.trust)
    bundle._replace(target={**bundle.target, "seal": bad}).refuse("WRONG_POOL", "one head", served.trust)


def test_the_seal_of_the_creating_block_is_checked(served: SimpleNamespace, bundle: Bundle) -> None:
    creation = {**bundle.creation, "seal": bundle.creation["head"]["seal"]}
    bundle._replace(creation=creation).refuse("WRONG_SEAL", "expected the seal", served.trust)

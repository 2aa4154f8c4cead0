"""What each kind of document proves, and that nothing else than the right one proves it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from crypto.eip712 import Domain
from crypto.merkle import EMPTY_ROOT, root
from ledger.header import Header, seal_struct_hash
from ledger.records import Account, account_key
from light.documents import Origin, equivocation_json, read_document
from light.errors import ProofRefused
from light.verify import Trust, check_sealed_header, verify_document
from tests.model import signing
from tests.model.small_chain import ALICE, AUTHORITY_KEY, BOB, BOB_KEY

from .conftest import HEAD
from .forger import Forger, as_sealed, text
from .test_documents import changed, places, value_at

if TYPE_CHECKING:
    from types import SimpleNamespace

Json = dict[str, Any]
EVERY_SO_MANY_DIGITS = 9


def refused(document: Json, trust: Trust, *reasons: str) -> str:
    """The document is refused for one of these reasons; the sentence that says why."""
    with pytest.raises(ProofRefused) as caught:
        verify_document(read_document(document), trust)
    assert caught.value.reason in reasons, str(caught.value)
    return caught.value.detail


def is_accepted(document: Json, trust: Trust) -> bool:
    try:
        verify_document(read_document(document), trust)
    except ProofRefused:
        return False
    return True


# Served documents


def test_what_a_node_serves_is_accepted(served: SimpleNamespace) -> None:
    for document in served.documents.values():
        verify_document(read_document(document), served.trust)


def test_absence_is_told(served: SimpleNamespace) -> None:
    documents = served.documents
    absent = {name for name, found in documents.items() if found["kind"] == "state" and found["record"] is None}
    assert absent == {"no pool", "no target", "no account", "nothing burned yet"}
    assert documents["state of block 0"]["record"] == {
        "address": "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF",
        "balance": "0x1388",
        "nonce": "0x0",
    }


def test_one_digit_changed_anywhere_is_refused(served: SimpleNamespace) -> None:
    """Digits of every string, the first and the last among them.

    Only the key of an absent record may be another one: the leaf that stands in its way stands in its neighbours', too.
    """
    for document in served.documents.values():
        for place in places(document):
            value = value_at(document, place)
            if not isinstance(value, str) or (place[0] == "key" and document["record"] is None):
                continue
            for at in sorted({*range(2, len(value), EVERY_SO_MANY_DIGITS), len(value) - 1}):
                digit = "1" if value[at] == "0" else "0"
                other = changed(document, place, value[:at] + digit + value[at + 1 :])
                assert not is_accepted(other, served.trust), (place, at)


def test_a_path_cannot_lose_gain_or_exchange_hashes(served: SimpleNamespace) -> None:
    for document in served.documents.values():
        for place in places(document):
            if place[-1] != "path":
                continue
            path = value_at(document, place)
            others = [[*path, path[-1] if path else text(bytes(32))], [text(bytes(32)), *path]]
            others += [path[1:], path[:-1]] if path else []
            others += [[path[1], path[0], *path[2:]]] if len(path) > 1 else []
            for other in others:
                refused(
                    changed(document, place, other),
                    served.trust,
                    "WRONG_INCLUSION",
                    "WRONG_HISTORY",
                    "WRONG_CONSISTENCY",
                )


def test_another_authority_or_genesis_is_not_trusted(served: SimpleNamespace) -> None:
    authority, genesis_hash = served.trust.authority, served.trust.genesis_hash
    for document in served.documents.values():
        refused(document, Trust(BOB, genesis_hash), "WRONG_AUTHORITY")
        refused(document, Trust(authority, bytes(32)), "WRONG_CHAIN")


def test_sizes_and_places_come_from_the_headers(served: SimpleNamespace) -> None:
    """The paths of a smaller tree lead to its root only: what a proof says of size and place is compared first."""
    for part, reason in (("inclusion", "WRONG_INCLUSION"), ("history", "WRONG_HISTORY")):
        document = served.documents["one of five"]
        size = int(document[part]["treeSize"], 16)
        for wrong in (0, size - 1, size + 1, 2**64 - 1):
            assert "treeSize must be" in refused(
                changed(document, (part, "treeSize"), hex(wrong)), served.trust, reason
            )
        for wrong in (size, 2**64 - 1):
            refused(changed(document, (part, "leafIndex"), hex(wrong)), served.trust, reason)
    moved = changed(served.documents["one of five"], ("history", "leafIndex"), "0x3")
    assert "leafIndex must be" in refused(moved, served.trust, "WRONG_HISTORY")


def test_a_block_below_the_head_needs_a_path(served: SimpleNamespace) -> None:
    refused({**served.documents["header"], "history": None}, served.trust, "WRONG_HISTORY")
    # The head is no leaf of its own tree.
    path = served.documents["header"]["history"]
    refused({**served.documents["head"], "history": {**path, "leafIndex": hex(HEAD)}}, served.trust, "WRONG_HISTORY")


def test_a_header_of_another_block_does_not_fit(served: SimpleNamespace) -> None:
    other = served.documents["head"]
    swapped = {**served.documents["header"], "header": other["header"], "seal": other["seal"]}
    refused(swapped, served.trust, "WRONG_HISTORY")
    later = {**served.documents["pool"], "header": other["header"], "seal": other["seal"]}
    verify_document(read_document(later), served.trust)
    earlier = served.documents["header"]
    refused({**later, "header": earlier["header"], "seal": earlier["seal"]}, served.trust, "WRONG_STATE")


def test_the_transaction_is_the_one_that_is_named(served: SimpleNamespace) -> None:
    creation, transfer = served.documents["creation"], served.documents["one of five"]
    refused({**creation, "transactionHash": transfer["transactionHash"]}, served.trust, "WRONG_HASH")
    both = {"transactionHash": transfer["transactionHash"], "transaction": transfer["transaction"]}
    refused({**creation, **both}, served.trust, "WRONG_INCLUSION")


def test_heads_are_in_order(served: SimpleNamespace) -> None:
    document = served.documents["consistency"]
    turned = {**document, "first": document["second"], "second": document["first"]}
    refused(turned, served.trust, "WRONG_CONSISTENCY")


def test_equal_heads_and_block_0_have_empty_paths(served: SimpleNamespace) -> None:
    assert served.documents["equal heads"]["path"] == []
    assert served.documents["equal heads"]["history"] is None
    assert served.documents["from block 0"]["path"] == []
    assert served.documents["from block 0"]["history"]["treeSize"] == hex(HEAD)


# State


def test_a_record_must_say_what_its_bytes_say(served: SimpleNamespace) -> None:
    document = served.documents["pool"]
    for record in (
        {**document["record"], "remaining": "0x3e8"},
        {**document["record"], "creator": document["record"]["creator"].lower()},
        {name: value for name, value in document["record"].items() if name != "status"},
        {},
    ):
        refused({**document, "record": record}, served.trust, "WRONG_STATE")


def test_presence_and_absence_are_not_exchanged(served: SimpleNamespace) -> None:
    present, absent = served.documents["pool"], served.documents["no pool"]
    refused({**present, "record": None, "recordBytes": None}, served.trust, "WRONG_STATE")
    refused({**absent, "record": present["record"], "recordBytes": present["recordBytes"]}, served.trust, "WRONG_STATE")
    refused({**present, "key": absent["key"]}, served.trust, "WRONG_STATE")
    refused({**absent, "key": present["key"]}, served.trust, "WRONG_STATE")


def test_a_proof_of_one_record_is_none_of_another(served: SimpleNamespace) -> None:
    pool, account = served.documents["pool"], served.documents["account"]
    refused({**pool, "proof": account["proof"]}, served.trust, "WRONG_STATE")
    refused({**account, "key": {"account": text(ALICE)}}, served.trust, "WRONG_STATE")


def test_bytes_that_are_no_record_are_refused(forger: Forger) -> None:
    """Whatever an authority commits to: a record has the length of its kind and a known status."""
    key = account_key(BOB)
    good = {key: Account(5, 1).encode() or b""}
    _, header = forger.block([], good)
    document = forger.state(header, good, key)
    verify_document(read_document(document), forger.trust)
    bad = {key: good[key] + b"\x00"}
    _, header = forger.block([], bad)
    tampered = {**forger.state(header, good, key), **forger.seal(header), "recordBytes": text(bad[key])}
    refused(tampered, forger.trust, "MALFORMED")


def test_the_empty_state_proves_every_absence(forger: Forger) -> None:
    header = forger.header(state_root=EMPTY_ROOT)
    verify_document(read_document(forger.state(header, {}, account_key(BOB))), forger.trust)


# Seals


def check(found: Json, forger: Forger, domain: Domain | None = None) -> str | None:
    """Why a header with its seal is refused, or None."""
    try:
        check_sealed_header(as_sealed(found), forger.trust, domain or forger.domain)
    except ProofRefused as refusal:
        return refusal.reason
    return None


def test_a_header_needs_the_seal_of_its_authority(forger: Forger) -> None:
    header = forger.header()
    good = forger.seal(header)
    assert check(good, forger) is None
    other = signing.sign_seal(BOB_KEY, forger.signing, header.hash())
    elsewhere = signing.sign_seal(AUTHORITY_KEY, replace_chain_id(forger.signing, 1), header.hash())
    high = signing.with_high_s(bytes.fromhex(good["seal"][2:]))
    of_another_block = forger.seal(forger.header(timestamp=header.timestamp + 1))["seal"]
    for seal in (None, text(other), text(elsewhere), text(high), of_another_block, text(bytes(65))):
        assert check({**good, "seal": seal}, forger) == "WRONG_SEAL"


def replace_chain_id(domain: signing.Domain, chain_id: int) -> signing.Domain:
    return signing.Domain(chain_id, domain.genesis_hash)


def test_a_header_is_of_one_chain_and_one_authority(forger: Forger) -> None:
    foreign = forger.header(chain_id=1)
    assert check(forger.seal(foreign), forger) == "WRONG_CHAIN"
    other_domain = Domain.of(1, forger.domain.genesis_hash)
    assert check(forger.seal(foreign), forger, other_domain) == "WRONG_SEAL"
    assert check(forger.seal(forger.header(authority=BOB)), forger) == "WRONG_AUTHORITY"


def test_block_0_is_known_by_its_hash_alone(forger: Forger) -> None:
    good = forger.seal_or_none(forger.block_0)
    assert check(good, forger) is None
    assert check(forger.seal(forger.block_0), forger) == "WRONG_SEAL"
    other = replace(forger.block_0, timestamp=forger.block_0.timestamp + 1)
    assert check({"header": text(other.encode()), "seal": None}, forger) == "WRONG_CHAIN"
    assert check(forger.seal(other), forger) == "WRONG_CHAIN"


def test_the_chain_id_is_bound_by_the_seal(served: SimpleNamespace) -> None:
    for name in ("header", "pool", "consistency", "creation"):
        refused({**served.documents[name], "chainId": "0x5008"}, served.trust, "WRONG_CHAIN")


def test_one_block_has_one_seal_in_a_document(forger: Forger) -> None:
    """An authority can sign one block twice; a document in which both stand is not what a node serves."""
    header = forger.header()
    document = {**forger.envelope("header"), **forger.seal(header), "head": forger.seal(header), "history": None}
    verify_document(read_document(document), forger.trust)
    digest = forger.domain.digest(seal_hash(header))
    second = {"header": text(header.encode()), "seal": text(signing.sign_with_nonce(AUTHORITY_KEY, digest, 12345))}
    assert check(second, forger) is None
    refused({**document, "head": second}, forger.trust, "WRONG_SEAL")


def seal_hash(header: Header) -> bytes:
    return seal_struct_hash(header.hash())


# Consistency


def test_all_pairs_of_a_chain_are_consistent(forger: Forger) -> None:
    headers = forger.chain(9)
    for second in range(10):
        for first in range(second + 1):
            verify_document(read_document(forger.consistency(headers, first, second)), forger.trust)


def test_a_history_that_was_rewritten_is_noticed(forger: Forger) -> None:
    """The second head is of a chain that differs from height 3 on; no mixture of honest paths connects them."""
    headers = forger.chain(9)
    forked = headers[:3]
    for height in range(3, 10):
        hashes = [header.hash() for header in forked]
        members = {"height": height, "parent_hash": hashes[-1], "history_root": root(hashes), "timestamp": 2**33}
        forked.append(forger.header(**members))
    for first in range(3, 9):
        honest, other = forger.consistency(headers, first, 9), forger.consistency(forked, first, 9)
        mixed = {**honest, "second": other["second"]}
        refused(mixed, forger.trust, "WRONG_HISTORY")
        refused({**mixed, "history": other["history"]}, forger.trust, "WRONG_HISTORY", "WRONG_CONSISTENCY")
        refused(
            {**mixed, "path": other["path"], "history": other["history"]},
            forger.trust,
            "WRONG_HISTORY",
            "WRONG_CONSISTENCY",
        )


def test_the_first_head_must_itself_be_in_the_history(forger: Forger) -> None:
    """Two blocks of one height with one history below them: consistency of the trees alone would not notice."""
    headers = forger.chain(6)
    twin = replace(headers[4], timestamp=headers[4].timestamp + 1)
    refused({**forger.consistency(headers, 4, 6), "first": forger.seal(twin)}, forger.trust, "WRONG_HISTORY")


def test_different_blocks_of_equal_height_are_not_consistent(forger: Forger) -> None:
    headers = forger.chain(4)
    twin = replace(headers[4], timestamp=headers[4].timestamp + 1)
    refused({**forger.consistency(headers, 4, 4), "second": forger.seal(twin)}, forger.trust, "WRONG_HISTORY")


# Equivocation


def test_two_sealed_blocks_of_one_height_are_evidence(forger: Forger) -> None:
    origin = Origin(forger.domain.chain_id, forger.domain.genesis_hash)
    first, twin = forger.header(), forger.header(timestamp=2**33)
    evidence = equivocation_json(origin, forger.sealed(first), forger.sealed(twin))
    verify_document(read_document(evidence), forger.trust)
    refused({**evidence, "second": evidence["first"]}, forger.trust, "WRONG_EQUIVOCATION")
    later = forger.seal(forger.header(height=2))
    refused({**evidence, "second": later}, forger.trust, "WRONG_EQUIVOCATION")
    refused({**evidence, "second": {**later, "seal": None}}, forger.trust, "WRONG_SEAL")

"""The genesis file against the genesis hash that is trusted: parameters that no node can make up."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from crypto.hashing import keccak256
from light.errors import ProofRefused
from light.genesis import verify_genesis
from light.verify import Trust
from tests.model.small_chain import BOB
from tests.node_bench import text
from tests.workbench import make_genesis

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import SimpleNamespace

    from ledger.genesis import Genesis

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document(served: SimpleNamespace) -> Json:
    found: Json = served.bench.call("chain_getGenesis")
    return found


def of(genesis: Genesis, state_root: bytes = bytes(32), **header: Any) -> Json:
    """A document whose parts fit together, of a chain that somebody made up."""
    data = replace(genesis.header(state_root), **header).encode()
    return {"genesisHash": text(keccak256(data)), "genesis": genesis.to_json(), "headerBytes": text(data)}


def trust_of(document: Json, authority: bytes) -> Trust:
    return Trust(authority, bytes.fromhex(document["genesisHash"][2:]))


def refused(document: object, trust: Trust) -> tuple[str, str]:
    with pytest.raises(ProofRefused) as caught:
        verify_genesis(document, trust)
    return caught.value.reason, caught.value.detail


def test_what_a_node_serves_gives_the_chains_own_genesis(served: SimpleNamespace, document: Json) -> None:
    found = verify_genesis(document, served.trust)
    assert found == served.bench.genesis
    assert found.domain(served.trust.genesis_hash) == served.bench.domain


def test_the_order_of_members_does_not_matter(served: SimpleNamespace, document: Json) -> None:
    turned = {**document, "genesis": dict(reversed(document["genesis"].items()))}
    assert json.dumps(turned) != json.dumps(document)
    assert verify_genesis(turned, served.trust) == served.bench.genesis


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("minFee", "0x0"),
        ("reward", "0x0"),
        ("blockInterval", "0x64"),
        ("extra", "0x" + "01" * 32),
        ("alloc", {}),
        ("maxDuration", "0x7f"),
        ("chainId", "0x5008"),
        ("authority", text(BOB)),
    ],
)
def test_a_member_that_was_changed_is_refused(
    served: SimpleNamespace, document: Json, member: str, value: object
) -> None:
    assert document["genesis"][member] != value
    reason, detail = refused({**document, "genesis": {**document["genesis"], member: value}}, served.trust)
    assert (reason, "block 0 names" in detail) == ("WRONG_GENESIS", True)


def test_a_whole_chain_that_was_made_up_is_refused_by_its_hash(served: SimpleNamespace) -> None:
    cheap = of(make_genesis(minFee="0x0"), served.bench.node.view().block(0).header.state_root)
    reason, detail = refused(cheap, served.trust)
    assert (reason, "trusted is" in detail) == ("WRONG_CHAIN", True)
    under_a_false_name = {**cheap, "genesisHash": text(served.trust.genesis_hash)}
    reason, detail = refused(under_a_false_name, served.trust)
    assert (reason, "block 0 has the hash" in detail) == ("WRONG_CHAIN", True)


@pytest.mark.parametrize(
    "header",
    [
        {"chain_id": 1},
        {"height": 1},
        {"timestamp": 1},
        {"authority": BOB},
        {"tx_count": 1},
        {"tx_root": bytes(32)},
        {"receipts_root": bytes(32)},
        {"history_root": bytes(32)},
    ],
    ids=lambda header: next(iter(header)),
)
def test_a_header_that_does_not_follow_from_the_file_is_refused(header: dict[str, Any]) -> None:
    genesis = make_genesis()
    forged = of(genesis, **header)
    assert refused(forged, trust_of(forged, genesis.authority)) == (
        "WRONG_GENESIS",
        "block 0 is not the one that the file describes",
    )


def test_another_authority_than_the_trusted_one_is_refused(served: SimpleNamespace, document: Json) -> None:
    reason, detail = refused(document, Trust(BOB, served.trust.genesis_hash))
    assert (reason, f"trusted is {text(BOB)}" in detail) == ("WRONG_AUTHORITY", True)


def deep() -> object:
    found: object = {}
    for _ in range(100_000):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda _: None, "expected {genesisHash"),
        (lambda _: [], "expected {genesisHash"),
        (lambda found: {**found, "more": 1}, "expected {genesisHash"),
        (lambda found: {name: found[name] for name in ("genesisHash", "genesis")}, "expected {genesisHash"),
        (lambda found: {**found, "headerBytes": found["headerBytes"][:-2]}, "header"),
        (lambda found: {**found, "headerBytes": None}, "header"),
        (lambda found: {**found, "genesis": None}, "genesis: "),
        (lambda found: {**found, "genesis": [found["genesis"]]}, "genesis: "),
        (lambda found: {**found, "genesis": deep()}, "genesis: "),
        (lambda found: {**found, "genesis": {**found["genesis"], "minFee": deep()}}, "no object or array but alloc"),
        (lambda found: {**found, "genesis": {**found["genesis"], "alloc": deep()}}, "but alloc"),
        (lambda found: {**found, "genesis": {**found["genesis"], "alloc": "0x1"}}, "alloc must be an object"),
        (lambda found: {**found, "genesis": {**found["genesis"], "alloc": {text(BOB): deep()}}}, "but alloc"),
        (lambda found: {**found, "genesis": {**found["genesis"], "more": "0x1"}}, "unknown: more"),
        (lambda found: {**found, "genesis": {**found["genesis"], "minFee": 10}}, "minFee"),
        (lambda found: {**found, "genesis": {**found["genesis"], "minFee": "0x0a"}}, "minFee"),
        (lambda found: {**found, "genesis": {**found["genesis"], "alloc": []}}, "but alloc"),
    ],
)
def test_what_is_no_genesis_document_is_refused(
    served: SimpleNamespace, document: Json, damage: Callable[[Json], object], says: str
) -> None:
    reason, detail = refused(damage(document), served.trust)
    assert (reason, says in detail) == ("MALFORMED", True), detail

"""Documents are read completely and strictly before anything in them is believed."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from ledger.records import BURNED_KEY, account_key, pool_key, target_key
from light.documents import StateDocument, TransactionProof, read_document
from light.errors import ProofRefused
from light.parsing import DOCUMENT_BYTES_MAX, parse_document
from tests.model.small_chain import BOB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import SimpleNamespace

Json = dict[str, Any]
Place = tuple[str | int, ...]


def malformed(value: object) -> None:
    with pytest.raises(ProofRefused) as caught:
        read_document(value)
    assert caught.value.reason == "MALFORMED"


def places(value: object, place: Place = ()) -> Iterator[Place]:
    """Where everything inside a document is."""
    if isinstance(value, dict | list):
        for name, member in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*place, name)
            yield from places(member, (*place, name))


def changed(document: Json, place: Place, value: object) -> Json:
    """A copy with another value at a place."""
    found = copy.deepcopy(document)
    container: Any = found
    for name in place[:-1]:
        container = container[name]
    container[place[-1]] = value
    return found


def value_at(document: Json, place: Place) -> Any:
    found: Any = document
    for name in place:
        found = found[name]
    return found


def test_a_transaction_document_is_read_as_it_was_written(served: SimpleNamespace) -> None:
    found = read_document(served.documents["one of five"])
    assert isinstance(found, TransactionProof)
    assert (found.inclusion.tree_size, found.block.header.height, found.head.header.height) == (5, 2, 16)
    assert found.history is not None
    assert (found.history.leaf_index, found.history.tree_size) == (2, 16)


def test_state_keys_are_those_of_the_ledger(served: SimpleNamespace) -> None:
    pool = bytes.fromhex(served.pool[2:])
    expected = {"pool": pool_key(pool), "target": target_key(pool, BOB), "account": account_key(BOB)}
    for name, key in {**expected, "burned": BURNED_KEY}.items():
        found = read_document(served.documents[name])
        assert isinstance(found, StateDocument)
        assert found.key == key


def test_every_member_is_needed_and_no_other_allowed(served: SimpleNamespace) -> None:
    for document in served.documents.values():
        for name in document:
            malformed({member: value for member, value in document.items() if member != name})
        malformed({**document, "note": "0x"})
        for place in places(document):
            if isinstance(value_at(document, place), dict) and place != ("record",):
                malformed(changed(document, (*place, "note"), "0x"))


def test_no_value_has_a_second_spelling(served: SimpleNamespace) -> None:
    for document in served.documents.values():
        for place in places(document):
            value = value_at(document, place)
            if place[0] == "record" or not isinstance(value, str) or not value.startswith("0x"):
                continue
            others = [
                value[2:],
                "0X" + value[2:],
                "0x0" + value[2:],
                value + " ",
                "0x" + value[2:].upper() + "G",
                7,
                True,
                [],
            ]
            for other in others:
                malformed(changed(document, place, other))


@pytest.mark.parametrize("quantity", ["0x", "0x00", "0x01", "5", "0x-1", "0x10000000000000000", 5, None, 0.0])
@pytest.mark.parametrize("member", ["leafIndex", "treeSize"])
def test_quantities_have_one_form(served: SimpleNamespace, member: str, quantity: object) -> None:
    malformed(changed(served.documents["one of five"], ("inclusion", member), quantity))


@pytest.mark.parametrize("chain_id", ["0x0", "0x05007", "0xfffffffffffed", "20487", 20487])
def test_chain_ids_are_those_that_wallets_accept(served: SimpleNamespace, chain_id: object) -> None:
    malformed({**served.documents["header"], "chainId": chain_id})


@pytest.mark.parametrize("version", [0, 2, "1", "0x1", True, 1.0, None])
def test_other_versions_are_refused(served: SimpleNamespace, version: object) -> None:
    malformed({**served.documents["header"], "version": version})


@pytest.mark.parametrize(("member", "value"), [("kind", "block"), ("kind", None), ("sealKind", "bft"), ("sealKind", 1)])
def test_other_kinds_are_refused(served: SimpleNamespace, member: str, value: object) -> None:
    malformed({**served.documents["header"], member: value})


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"burned": False},
        {"burned": 1},
        {"account": "0x12"},
        {"cptxHash": "0x12"},
        {"target": "0x" + 40 * "1"},
        "burned",
    ],
)
def test_other_state_keys_are_refused(served: SimpleNamespace, key: object) -> None:
    malformed({**served.documents["burned"], "key": key})


def test_a_key_with_two_meanings_is_refused(served: SimpleNamespace) -> None:
    document = served.documents["target"]
    malformed(changed(document, ("key", "burned"), value=True))
    malformed(changed(document, ("key", "account"), document["key"]["target"]))


def test_record_and_its_bytes_are_there_together(served: SimpleNamespace) -> None:
    malformed({**served.documents["pool"], "record": None})
    malformed({**served.documents["pool"], "recordBytes": None})
    malformed({**served.documents["no pool"], "recordBytes": "0x"})


def test_paths_are_bounded(served: SimpleNamespace) -> None:
    malformed(changed(served.documents["header"], ("history", "path"), ["0x" + 64 * "0"] * 129))


@pytest.mark.parametrize("value", [None, [], "document", 7, True])
def test_a_document_is_an_object(value: object) -> None:
    malformed(value)


# Bytes


def test_bytes_are_read(served: SimpleNamespace) -> None:
    document = served.documents["pool"]
    assert parse_document(json.dumps(document, indent=2).encode()) == read_document(document)


def test_json_that_two_readers_read_differently_is_refused(served: SimpleNamespace) -> None:
    good = json.dumps(served.documents["header"])
    for bad in (
        good[:-1] + ', "kind": "header"}',
        good.replace('"version": 1', '"version": 1.0'),
        good.replace('"version": 1', '"version": NaN'),
        good.replace('"version": 1', '"version": ' + 5000 * "1"),
        good + "{}",
        "",
        100_000 * "[",
        "\ufeff" + good,
    ):
        with pytest.raises(ProofRefused) as caught:
            parse_document(bad.encode())
        assert caught.value.reason == "MALFORMED"


def test_bytes_that_are_no_text_or_too_many_are_refused() -> None:
    for bad in (b"\xff\xfe", b" " * (DOCUMENT_BYTES_MAX + 1)):
        with pytest.raises(ProofRefused, match="MALFORMED"):
            parse_document(bad)

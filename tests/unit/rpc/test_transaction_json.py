"""Transactions given as objects: the same bytes come out, and nothing else gets in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.address import checksum_address
from ledger.errors import Refusal
from rpc.errors import RpcError
from rpc.shapes import pending_json
from rpc.transaction_json import TRANSACTION, check_sender
from rpc.values import read
from tests.model import signing
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, RESOURCE
from tests.workbench import Workbench

BENCH = Workbench()
RAWS = (
    BENCH.transfer(ALICE_KEY, BOB, 2**128 - 1, fee=0, nonce=2**64 - 1),
    BENCH.create(1, 2, 3, nonce=0),
    BENCH.payment(BOB_KEY, RESOURCE, 7, seq=9),
)
INPUT = ("type", "fields", "signature", "paymentSignature", "from")


def object_of(raw: bytes) -> dict[str, Any]:
    """A transaction as the node shows it, without what it adds."""
    shown = pending_json(BENCH.decode(raw))
    return {name: shown[name] for name in INPUT}


def refused(value: object) -> str:
    """What is said of an object that is refused."""
    with pytest.raises(RpcError) as caught:
        read(TRANSACTION, value, "transaction")
    assert caught.value.reason == "INVALID_PARAMS"
    return str(caught.value.data["expected"])


@pytest.mark.parametrize("raw", RAWS)
def test_what_the_node_shows_it_takes(raw: bytes) -> None:
    given_object = object_of(raw)
    assert TRANSACTION.read(given_object).raw == raw
    assert TRANSACTION.read({**given_object, "from": None}).sender is None
    del given_object["from"]
    assert TRANSACTION.read(given_object) == (raw, None)


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1))
def test_every_transfer_comes_back(amount: int, fee: int, nonce: int) -> None:
    raw = signing.transfer(ALICE_KEY, BENCH.signing, BOB, amount, fee, nonce)
    assert TRANSACTION.read(object_of(raw)) == (raw, ALICE)


@pytest.mark.parametrize("raw", RAWS)
def test_v_may_be_0_or_1(raw: bytes) -> None:
    given_object = object_of(raw)
    for name in ("signature", "paymentSignature"):
        if given_object[name] is not None:
            signature = bytes.fromhex(given_object[name][2:])
            given_object[name] = "0x" + (signature[:64] + bytes([signature[64] - 27])).hex()
    assert TRANSACTION.read(given_object).raw == raw


@pytest.mark.parametrize("v", [2, 26, 29, 255])
def test_another_v_is_left_for_the_signature_check(v: int) -> None:
    raw = RAWS[0][:-1] + bytes([v])
    given_object = object_of(RAWS[0])
    given_object["signature"] = given_object["signature"][:-2] + f"{v:02x}"
    assert TRANSACTION.read(given_object).raw == raw
    with pytest.raises(Refusal, match="BAD_SIGNATURE"):
        BENCH.decode(raw)


@pytest.mark.parametrize("raw", RAWS[:2])
def test_a_signature_that_the_type_has_not_may_be_absent_but_not_given(raw: bytes) -> None:
    given_object = object_of(raw)
    del given_object["paymentSignature"]
    assert TRANSACTION.read(given_object).raw == raw
    given_object["paymentSignature"] = given_object["signature"]
    assert refused(given_object).startswith("transaction.paymentSignature: null")


@pytest.mark.parametrize("raw", RAWS)
def test_every_member_and_field_is_needed(raw: bytes) -> None:
    full = object_of(raw)
    for name in ("type", "fields", "signature"):
        assert refused({key: value for key, value in full.items() if key != name}).startswith(f"transaction.{name}: ")
    for name in full["fields"]:
        fields = {key: value for key, value in full["fields"].items() if key != name}
        assert refused({**full, "fields": fields}).startswith(f"transaction.fields.{name}: ")


def test_the_creators_signature_of_a_settlement_is_needed() -> None:
    given_object = object_of(RAWS[2])
    for value in (None, "0x", "0x" + 64 * "00"):
        assert refused({**given_object, "paymentSignature": value}).startswith("transaction.paymentSignature: ")
    del given_object["paymentSignature"]
    assert refused(given_object).startswith("transaction.paymentSignature: ")


@pytest.mark.parametrize("raw", RAWS)
def test_unknown_members_are_refused(raw: bytes) -> None:
    full = object_of(raw)
    assert "only the members" in refused({**full, "hash": "0x00"})
    assert refused({**full, "fields": {**full["fields"], "memo": "0x0"}}).startswith("transaction.fields: only the")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 5),
        ("amount", "5"),
        ("amount", "0x05"),
        ("amount", "0X5"),
        ("amount", "-0x5"),
        ("amount", None),
        ("amount", hex(2**128)),
        ("nonce", hex(2**64)),
        ("to", "0x" + 19 * "00"),
        ("to", checksum_address(BOB).replace("A", "a")),
        ("to", None),
    ],
)
def test_values_out_of_their_range_or_spelling_are_refused(field: str, value: object) -> None:
    full = object_of(RAWS[0])
    assert refused({**full, "fields": {**full["fields"], field: value}}).startswith(f"transaction.fields.{field}: ")


@pytest.mark.parametrize("name", ["transfer", "Settlement", "", None, 1, ["Transfer"], {}])
def test_unknown_types_are_refused(name: object) -> None:
    assert refused({**object_of(RAWS[0]), "type": name}).startswith('transaction.type: "Transfer", "CreatePool"')


@pytest.mark.parametrize("value", [None, [], "0x", 5])
def test_what_is_no_object_is_refused(value: object) -> None:
    assert refused(value).startswith("transaction: a transaction object")


def test_the_sender_is_checked_only_when_it_is_given() -> None:
    transaction = BENCH.decode(RAWS[0])
    for sender in (ALICE, None):
        check_sender(TRANSACTION.read(object_of(RAWS[0]))._replace(sender=sender), transaction)
    with pytest.raises(Refusal) as caught:
        check_sender(TRANSACTION.read({**object_of(RAWS[0]), "from": checksum_address(BOB)}), transaction)
    assert (caught.value.reason, caught.value.given) == ("BAD_SIGNATURE", checksum_address(ALICE))

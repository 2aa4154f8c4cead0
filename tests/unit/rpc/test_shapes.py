"""Ledger objects as JSON: every member is there, null where it has no value."""

from __future__ import annotations

from typing import Any

import pytest

from consensus.pending import Dropped
from crypto.address import checksum_address
from ledger.errors import Refusal
from ledger.receipt import Outcome, Receipt
from ledger.supply import Supply
from rpc.shapes import (
    Place,
    committed_json,
    dropped_json,
    pending_json,
    receipt_json,
    sealing_json,
    supply_json,
)
from tests.model.encoding import keccak
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, RESOURCE
from tests.node_bench import text
from tests.workbench import Workbench

PLACE = Place(7, bytes(31) + b"\x01", 3)
PLACE_JSON = {"blockHeight": "0x7", "blockHash": "0x" + 31 * "00" + "01", "index": "0x3"}
NO_PLACE = {"blockHeight": None, "blockHash": None, "index": None}
TRANSACTION_MEMBERS = (
    "hash type fields signature paymentSignature from raw status blockHeight blockHash index receipt dropReason"
)
RECEIPT_MEMBERS = "transactionHash type blockHeight blockHash index outcome fee cptxHash paid burned reward"


@pytest.fixture
def bench() -> Workbench:
    return Workbench()


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.TRANSFERRED, {"cptxHash": None, "paid": None, "burned": None, "reward": None}),
        (Outcome.CREATED, {"cptxHash": text(RESOURCE), "paid": None, "burned": None, "reward": None}),
        (Outcome.SETTLED, {"cptxHash": text(RESOURCE), "paid": "0x0", "burned": None, "reward": None}),
        (Outcome.SLASHED, {"cptxHash": text(RESOURCE), "paid": "0x0", "burned": "0x0", "reward": "0x0"}),
    ],
)
def test_a_receipt_is_null_where_its_outcome_has_no_such_thing(outcome: Outcome, expected: dict[str, Any]) -> None:
    found = receipt_json(Receipt(bytes(32), outcome, 9, RESOURCE), "Some", PLACE)
    assert found.keys() == set(RECEIPT_MEMBERS.split())
    assert found == {
        "transactionHash": text(bytes(32)),
        "type": "Some",
        **PLACE_JSON,
        "outcome": outcome.name.lower(),
        "fee": "0x9",
        **expected,
    }


def test_a_receipt_of_a_slash_has_all_amounts() -> None:
    found = receipt_json(Receipt(bytes(32), Outcome.SLASHED, 1, RESOURCE, 2, 2**128 - 1, 16), "Some", None)
    assert (found["paid"], found["burned"], found["reward"]) == ("0x2", "0x" + 32 * "f", "0x10")
    assert found["blockHeight"] is None


def test_a_settlement_has_both_signatures_and_flat_fields(bench: Workbench) -> None:
    raw = bench.payment(BOB_KEY, RESOURCE, 300, seq=2, fee=11)
    found = pending_json(bench.decode(raw))
    assert tuple(found) == tuple(TRANSACTION_MEMBERS.split())
    assert found == {
        "hash": text(keccak(raw)),
        "type": "ServicePayment",
        "fields": {
            "target": checksum_address(BOB),
            "amount": "0x12c",
            "cptxHash": text(RESOURCE),
            "tgtSeq": "0x2",
            "fee": "0xb",
        },
        "signature": text(raw[226:]),
        "paymentSignature": text(raw[129:194]),
        "from": checksum_address(BOB),
        "raw": text(raw),
        "status": "pending",
        **NO_PLACE,
        "receipt": None,
        "dropReason": None,
    }


def test_a_creation_has_its_words_in_their_order(bench: Workbench) -> None:
    found = pending_json(bench.decode(bench.create(1000, 1500, 10, nonce=4)))
    assert (found["type"], found["from"], found["paymentSignature"]) == ("CreatePool", checksum_address(ALICE), None)
    assert list(found["fields"].items()) == [
        ("resourceId", text(RESOURCE)),
        ("deposit", "0x3e8"),
        ("collateral", "0x5dc"),
        ("duration", "0xa"),
        ("fee", "0xa"),
        ("nonce", "0x4"),
    ]


def test_a_committed_transaction_has_its_place_twice(bench: Workbench) -> None:
    transaction = bench.decode(bench.transfer(ALICE_KEY, BOB, 1))
    receipt = Receipt(transaction.hash, Outcome.TRANSFERRED, 10)
    found = committed_json(transaction, receipt, PLACE)
    assert {**found, "receipt": None} == {**pending_json(transaction), **PLACE_JSON, "status": "committed"}
    assert found["receipt"] == receipt_json(receipt, "Transfer", PLACE)


def test_a_dropped_transaction_has_its_reason(bench: Workbench) -> None:
    transaction = bench.decode(bench.transfer(ALICE_KEY, BOB, 1))
    found = dropped_json(Dropped(transaction, Refusal("BAD_NONCE", "nonce 1", 0)))
    reason = {"reason": "BAD_NONCE", "expected": "nonce 1", "given": "0"}
    assert found == {**pending_json(transaction), "status": "dropped", "dropReason": reason}


def test_the_supply_and_the_ways_of_sealing() -> None:
    supply = {"genesis": "0x6", "balances": "0x1", "locked": "0x2", "burned": "0x3"}
    assert supply_json(6, Supply(1, 2, 3)) == supply
    assert [sealing_json(mode) for mode in ("manual", "on-transaction", 60)] == ["manual", "on-transaction", "0x3c"]

"""Documents for wallets: what eth-account hashes is what the chain checks."""

from __future__ import annotations

from typing import Any

import pytest

from crypto.address import checksum_address
from crypto.hashing import keccak256
from rpc.errors import RpcError
from rpc.typed_data import DOCUMENTS, typed_data
from tests.model.small_chain import ALICE_KEY, BOB, BOB_KEY, RESOURCE
from tests.node_bench import text
from tests.workbench import Workbench
from txtypes.table import KINDS_BY_NAME

BENCH = Workbench()
TRANSFER = {"to": text(BOB), "amount": hex(2**128 - 1), "fee": "0xa", "nonce": hex(2**64 - 1)}
POOL = {
    "resourceId": text(RESOURCE),
    "deposit": "0x3e8",
    "collateral": "0x5dc",
    "duration": "0xa",
    "fee": "0xa",
    "nonce": "0x0",
}
PAYMENT = {"target": text(BOB), "amount": "0x12c", "cptxHash": text(RESOURCE), "tgtSeq": "0x2", "fee": "0xa"}
RAW_TRANSFER = BENCH.transfer(ALICE_KEY, BOB, 2**128 - 1, nonce=2**64 - 1)
RAW_POOL = BENCH.create(1000, 1500, 10, nonce=0)
RAW_PAYMENT = BENCH.payment(BOB_KEY, RESOURCE, 300, seq=2)
# Document, flat fields, a raw transaction of this content, and which of its signatures is over the document.
CASES = [
    ("Transfer", TRANSFER, RAW_TRANSFER, 0),
    ("CreatePool", POOL, RAW_POOL, 0),
    ("ServicePayment", PAYMENT, RAW_PAYMENT, 0),
    ("Settlement", PAYMENT, RAW_PAYMENT, 1),
]


def refused(name: str, fields: dict[str, Any]) -> str:
    with pytest.raises(RpcError) as caught:
        typed_data(BENCH.domain, name, fields)
    assert caught.value.reason == "INVALID_PARAMS"
    return str(caught.value.data["expected"])


def test_there_is_a_document_for_everything_that_is_signed() -> None:
    assert list(DOCUMENTS) == ["Transfer", "CreatePool", "ServicePayment", "Settlement"]
    assert [name for name, *_ in CASES] == list(DOCUMENTS)


@pytest.mark.parametrize(("name", "fields", "raw", "index"), CASES)
def test_eth_account_hashes_the_document_to_the_digest_of_the_chain(
    name: str, fields: dict[str, Any], raw: bytes, index: int
) -> None:
    messages = pytest.importorskip("eth_account.messages")
    signable = messages.encode_typed_data(full_message=typed_data(BENCH.domain, name, fields))
    digest = keccak256(b"\x19" + signable.version + signable.header + signable.body)
    transaction = BENCH.decode(raw)
    assert digest == transaction.kind.digests(raw, BENCH.domain)[index]


@pytest.mark.parametrize(("name", "fields", "raw", "index"), CASES)
def test_types_are_those_that_are_reachable_and_the_domain(
    name: str, fields: dict[str, Any], raw: bytes, index: int
) -> None:
    document = typed_data(BENCH.domain, name, fields)
    reachable = {"EIP712Domain", name} | ({"ServicePayment"} if name == "Settlement" else set())
    assert document["types"].keys() == reachable
    assert document["primaryType"] == name
    struct = KINDS_BY_NAME[BENCH.decode(raw).kind.name].documents[index]
    assert [(member["name"], member["type"]) for member in document["types"][name]] == list(struct.members)
    assert [(member["name"], member["type"]) for member in document["types"]["EIP712Domain"]] == [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("salt", "bytes32"),
    ]


def test_the_domain_has_a_number_and_the_salt_of_the_chain() -> None:
    assert typed_data(BENCH.domain, "Transfer", TRANSFER)["domain"] == {
        "name": "Poolchain",
        "version": "1",
        "chainId": 0x5007,
        "salt": text(BENCH.genesis_hash),
    }


def test_integers_of_the_message_are_decimal_strings() -> None:
    assert typed_data(BENCH.domain, "Transfer", TRANSFER)["message"] == {
        "to": checksum_address(BOB),
        "amount": "340282366920938463463374607431768211455",
        "fee": "10",
        "nonce": "18446744073709551615",
    }


def test_a_settlement_nests_the_payment_of_the_same_flat_fields() -> None:
    payment = {"target": checksum_address(BOB), "amount": "300", "cptxHash": text(RESOURCE), "tgtSeq": "2"}
    assert typed_data(BENCH.domain, "ServicePayment", PAYMENT)["message"] == payment
    assert typed_data(BENCH.domain, "Settlement", PAYMENT)["message"] == {"payment": payment, "fee": "10"}


def test_the_creator_needs_no_fee_but_a_given_one_must_be_one() -> None:
    without = {name: value for name, value in PAYMENT.items() if name != "fee"}
    assert typed_data(BENCH.domain, "ServicePayment", without) == typed_data(BENCH.domain, "ServicePayment", PAYMENT)
    assert refused("ServicePayment", {**PAYMENT, "fee": "10"}).startswith("fields.fee: ")
    assert refused("Settlement", without).startswith("fields.fee: ")


@pytest.mark.parametrize(("name", "fields", "raw", "index"), CASES)
def test_missing_and_unknown_fields_are_refused(name: str, fields: dict[str, Any], raw: bytes, index: int) -> None:
    assert BENCH.decode(raw).signers[index]
    first = next(iter(fields))
    assert refused(name, {key: value for key, value in fields.items() if key != first}).startswith(f"fields.{first}: ")
    assert refused(name, {**fields, "memo": "0x0"}).startswith("fields: only the members ")

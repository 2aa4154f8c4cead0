"""Submitting, waiting for a block, trying, and what to sign."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import closing
from typing import Any

import pytest

from consensus.head_state import HeadState
from crypto.address import checksum_address
from ledger.transaction import watched_keys
from rpc.limits import Limits
from rpc.methods import transactions as transactions_module
from storage.kv import StorageFailure
from storage.memory import Fault
from tests.model import signing
from tests.model.encoding import keccak
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, BOB_KEY, CAROL, CAROL_KEY, DAVE_KEY
from tests.node_bench import NodeBench, text

NO_POOL = "0x" + 32 * "00"


# Submitting


def test_pooled_is_answered_with_the_hash_alone(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1)
    assert bench.call("tx_submit", text(raw)) == {"hash": text(keccak(raw)), "receipt": None, "proof": None}
    assert bench.node.pending_count() == 1


def test_a_transaction_is_also_taken_as_an_object(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1)
    name = bench.submit(raw)
    entry = bench.call("chain_getTransaction", name)
    given = {member: entry[member] for member in ("type", "fields", "signature", "paymentSignature", "from")}
    assert bench.refuse("ALREADY_KNOWN", -32003, "tx_submit", transaction=given)["hash"] == name
    assert bench.refuse("ALREADY_KNOWN", -32003, "tx_submit", given)["hash"] == name
    bench.mine()
    assert bench.refuse("ALREADY_COMMITTED", -32003, "tx_submit", given, "pooled")["hash"] == name


def test_a_sender_that_is_given_is_checked(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1)
    fields = {"to": text(BOB), "amount": "0x1", "fee": "0xa", "nonce": "0x0"}
    given = {"type": "Transfer", "fields": fields, "signature": text(raw[-65:])}
    data = bench.refuse("BAD_SIGNATURE", -32000, "tx_submit", {**given, "from": text(BOB)})
    assert data["given"] == checksum_address(ALICE)
    assert bench.call("tx_submit", {**given, "from": text(ALICE)})["hash"] == text(keccak(raw))


def test_raw_and_transaction_are_two_names_of_one_parameter(bench: NodeBench) -> None:
    raw = text(bench.transfer(ALICE_KEY, BOB, 1))
    bench.refuse("INVALID_PARAMS", -32602, "tx_submit", raw=raw, transaction=raw)
    bench.refuse("INVALID_PARAMS", -32602, "tx_submit", wait="pooled")
    bench.refuse("INVALID_PARAMS", -32602, "tx_submit", raw, "soon")


@pytest.mark.parametrize("raw", [5, None, [], "", "0x1", "0X01", "01", "0x0G"])
def test_what_is_no_hex_is_a_wrong_parameter(bench: NodeBench, raw: object) -> None:
    assert bench.refuse("INVALID_PARAMS", -32602, "tx_submit", raw)["expected"].startswith("raw: ")
    bench.refuse("INVALID_PARAMS", -32602, "tx_simulate", raw)
    assert bench.refuse("INVALID_PARAMS", -32602, "tx_submitMany", ["0x", raw])["expected"].startswith("raws[1]: ")


@pytest.mark.parametrize("raw", ["0x", "0x00", "0x01", "0x04" + 193 * "00"])
def test_bytes_that_are_no_transaction_are_malformed(bench: NodeBench, raw: str) -> None:
    for name in ("tx_submit", "tx_simulate"):
        bench.refuse("MALFORMED", -32000, name, raw)


def test_refusals_carry_reason_expected_and_given(bench: NodeBench) -> None:
    def refusal(raw: bytes) -> tuple[str, int, str, str]:
        error = bench.error("tx_submit", text(raw))
        assert bench.error("tx_simulate", text(raw)) == error
        data = error["data"]
        return data["reason"], error["code"], data["expected"], data["given"]

    bench.commit(bench.transfer(ALICE_KEY, BOB, 1))
    transfer = bench.transfer
    assert refusal(transfer(ALICE_KEY, BOB, 1, nonce=0, fee=11)) == ("BAD_NONCE", -32003, "nonce 1", "0")
    assert refusal(transfer(ALICE_KEY, BOB, 1, nonce=5)) == ("NONCE_GAP", -32003, "nonce 1", "5")
    assert refusal(transfer(ALICE_KEY, BOB, 0)) == ("ZERO_AMOUNT", -32003, "an amount above 0", "0")
    assert refusal(transfer(ALICE_KEY, BOB, 1, fee=9)) == ("FEE_TOO_LOW", -32003, "a fee of at least 10", "9")
    funds = "a balance of at least 11"
    assert refusal(transfer(CAROL_KEY, BOB, 1)) == ("INSUFFICIENT_BALANCE", -32003, funds, "0")
    bad = transfer(ALICE_KEY, BOB, 1)[:-1] + b"\x1d"
    assert refusal(bad)[:2] == ("BAD_SIGNATURE", -32000)
    settlement = bench.payment(BOB_KEY, NO_POOL, 1)
    assert refusal(settlement) == ("POOL_UNKNOWN", -32003, "the id of a committed pool", NO_POOL)


@pytest.mark.parametrize(
    ("reason", "pattern"),
    [
        ("BAD_NONCE", r"nonce.*too low"),
        ("INSUFFICIENT_BALANCE", r"insufficient funds"),
        ("REPLACEMENT_UNDERPRICED", r"replacement.*underpriced"),
    ],
)
def test_messages_are_worded_so_that_ethers_knows_them(bench: NodeBench, reason: str, pattern: str) -> None:
    bench.commit(bench.transfer(ALICE_KEY, BOB, 1))
    bench.submit(bench.transfer(ALICE_KEY, BOB, 1))
    raw = {
        "BAD_NONCE": bench.transfer(ALICE_KEY, BOB, 2, nonce=0),
        "INSUFFICIENT_BALANCE": bench.transfer(BOB_KEY, ALICE, 10**9),
        "REPLACEMENT_UNDERPRICED": bench.transfer(ALICE_KEY, BOB, 2, nonce=1),
    }[reason]
    error = bench.error("tx_submit", text(raw))
    assert error["data"]["reason"] == reason
    assert re.search(pattern, error["message"])


# Waiting for the block


async def _until_pooled(bench: NodeBench) -> None:
    """Let the others have their turns until their transaction is in the mempool."""
    for _ in range(100):
        if bench.node.pending_count():
            return
        await asyncio.sleep(0)
    pytest.fail("nothing was pooled")


def test_committed_is_answered_with_the_receipt(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1)

    async def submit_and_mine() -> Any:
        waiting = asyncio.create_task(bench.ask("tx_submit", text(raw), "committed"))
        await _until_pooled(bench)
        await bench.ask("dev_mine")
        return (await waiting)["result"]

    answer = bench.runner.run(submit_and_mine())
    receipt = bench.call("chain_getTransaction", text(keccak(raw)))["receipt"]
    assert receipt["outcome"] == "transferred"
    assert (answer["hash"], answer["receipt"]) == (text(keccak(raw)), receipt)
    assert answer.keys() == {"hash", "receipt", "proof"}
    again = bench.call("tx_submit", text(raw), "committed")
    assert (again["hash"], again["receipt"]) == (answer["hash"], receipt)


def test_a_repeated_call_waits_as_the_first_one_does(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1)
    bench.submit(raw)

    async def wait_and_mine() -> Any:
        waiting = [asyncio.create_task(bench.ask("tx_submit", text(raw), wait)) for wait in ("committed", "pooled")]
        await asyncio.sleep(0)
        await bench.ask("dev_mine")
        return await asyncio.gather(*waiting)

    committed, pooled = bench.runner.run(wait_and_mine())
    assert committed["result"]["receipt"]["blockHeight"] == "0x1"
    assert pooled["error"]["data"]["reason"] == "ALREADY_KNOWN"


def test_a_wait_that_takes_too_long_is_pending(bench: NodeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions_module, "WAIT_SECONDS", 0.01)
    raw = bench.transfer(ALICE_KEY, BOB, 1)
    answer = bench.runner.run(bench.ask("tx_submit", text(raw), "committed"))
    error = answer["error"]
    assert (error["code"], error["data"]["reason"]) == (-32002, "PENDING")
    assert error["data"]["hash"] == text(keccak(raw))
    bench.mine()
    assert bench.call("tx_submit", text(raw), "committed")["receipt"]["index"] == "0x0"


def test_a_transaction_that_is_dropped_meanwhile_answers_with_its_reason(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1, nonce=0)

    async def submit_and_replace() -> Any:
        waiting = asyncio.create_task(bench.ask("tx_submit", text(raw), "committed"))
        await _until_pooled(bench)
        await bench.ask("tx_submit", text(bench.transfer(ALICE_KEY, BOB, 2, fee=11, nonce=0)))
        return (await waiting)["error"]

    error = bench.runner.run(submit_and_replace())
    assert (error["code"], error["data"]["reason"]) == (-32003, "REPLACED")
    assert error["data"]["hash"] == text(keccak(raw))


def test_a_batch_waits_for_one_block_together(bench: NodeBench) -> None:
    raws = [bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce) for nonce in range(20)]
    calls = [
        {"jsonrpc": "2.0", "id": index, "method": "tx_submit", "params": [text(raw), "committed"]}
        for index, raw in enumerate(raws)
    ]
    calls.append({"jsonrpc": "2.0", "id": 99, "method": "dev_mine"})
    answers = json.loads(bench.runner.run(bench.dispatcher.answer(json.dumps(calls).encode())) or b"")
    assert [answer["id"] for answer in answers] == [*range(20), 99]
    assert [answer["result"]["receipt"]["index"] for answer in answers[:-1]] == [hex(index) for index in range(20)]
    assert {answer["result"]["receipt"]["blockHeight"] for answer in answers[:-1]} == {"0x1"}


# Many at once


def test_each_of_many_answers_for_itself(bench: NodeBench) -> None:
    committed = bench.transfer(ALICE_KEY, BOB, 1)
    bench.commit(committed)
    good = bench.transfer(ALICE_KEY, BOB, 1, nonce=1)
    next_one = bench.transfer(ALICE_KEY, BOB, 1, nonce=2)
    poor = bench.transfer(DAVE_KEY, BOB, 1000)
    raws = [committed, good, b"\x01", poor, next_one, good]
    answer = bench.call("tx_submitMany", [text(raw) for raw in raws])
    assert [entry.get("hash") for entry in answer] == [
        None,
        text(keccak(good)),
        None,
        None,
        text(keccak(next_one)),
        None,
    ]
    reasons = [(entry["error"]["data"]["reason"], entry["error"]["code"]) for entry in answer if "error" in entry]
    assert reasons == [
        ("ALREADY_COMMITTED", -32003),
        ("MALFORMED", -32000),
        ("INSUFFICIENT_BALANCE", -32003),
        ("ALREADY_KNOWN", -32003),
    ]
    assert answer[0]["error"]["data"]["hash"] == text(keccak(committed))
    assert answer[5]["error"]["data"]["hash"] == text(keccak(good))
    assert bench.call("tx_submitMany", []) == []


def test_too_many_at_once_are_all_refused() -> None:
    with closing(NodeBench(limits=Limits(raws_max=2))) as bench:
        raws = [text(bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce)) for nonce in range(3)]
        assert bench.refuse("LIMIT", -32005, "tx_submitMany", raws)["given"] == "3"
        assert len(bench.call("tx_submitMany", raws[:2])) == 2


# Trying


def test_a_simulation_gives_the_receipt_and_changes_nothing(bench: NodeBench) -> None:
    pool = bench.new_pool(1000, 1500)
    before = bench.moment()
    raw = bench.payment(CAROL_KEY, pool, 2000, fee=20)
    receipt = bench.call("tx_simulate", text(raw))
    assert bench.moment() == before
    assert receipt == {
        "transactionHash": text(keccak(raw)),
        "type": "ServicePayment",
        "blockHeight": "0x2",
        "blockHash": None,
        "index": None,
        "outcome": "slashed",
        "fee": "0x14",
        "cptxHash": pool,
        "paid": hex(1000),
        "burned": hex(1500 - 120),
        "reward": hex(120),
    }
    name = bench.submit(raw)
    assert bench.call("tx_simulate", text(raw)) == receipt
    bench.mine()
    committed = bench.call("chain_getTransaction", name)["receipt"]
    assert {**committed, "blockHash": None, "index": None} == receipt
    assert bench.refuse("ALREADY_COMMITTED", -32003, "tx_simulate", text(raw))["hash"] == name


def test_a_simulation_builds_on_what_is_pending(bench: NodeBench) -> None:
    creation = bench.create()
    bench.submit(creation)
    receipt = bench.call("tx_simulate", text(bench.payment(BOB_KEY, text(keccak(creation)), 10)))
    assert (receipt["outcome"], receipt["paid"], receipt["burned"]) == ("settled", "0xa", None)
    receipt = bench.call("tx_simulate", text(bench.create()))
    assert (receipt["outcome"], receipt["paid"], receipt["cptxHash"]) == ("created", None, receipt["transactionHash"])


# When the disk has failed


@pytest.mark.parametrize("wait", ["pooled", "committed"])
def test_nothing_is_acknowledged_after_the_disk_failed(bench: NodeBench, wait: str) -> None:
    raw = text(bench.transfer(ALICE_KEY, BOB, 1))
    bench.node.maker.fail("no space left")
    assert "no space" not in str(bench.refuse("STORAGE_FAILED", -32002, "tx_submit", raw, wait))
    bench.refuse("STORAGE_FAILED", -32002, "tx_submitMany", [raw])
    bench.refuse("STORAGE_FAILED", -32002, "dev_mine")
    bench.refuse("STORAGE_FAILED", -32002, "dev_faucet", text(BOB), "0x1")
    bench.refuse("STORAGE_FAILED", -32002, "dev_increaseTime", "0x1")


@pytest.mark.interpreted
def test_the_records_of_many_are_read_in_their_order_before_the_first_is_judged(
    bench: NodeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    raws = [bench.payment(key, NO_POOL, 10) for key in (CAROL_KEY, BOB_KEY, DAVE_KEY)]
    expected = watched_keys(map(bench.node.decode, raws))
    asked: list[bytes] = []
    get = HeadState.get

    def spy(state: HeadState, key: bytes) -> bytes | None:
        asked.append(key)
        return get(state, key)

    monkeypatch.setattr(HeadState, "get", spy)
    bench.call("tx_submitMany", [text(raw) for raw in raws])
    assert asked[: len(expected)] == expected
    assert len(expected) == 7


@pytest.mark.parametrize(("method", "many"), [("tx_submit", False), ("tx_submitMany", True)])
def test_a_record_that_cannot_be_read_ends_the_node_and_nothing_is_pending(
    bench: NodeBench, method: str, many: bool
) -> None:
    raw = text(bench.transfer(ALICE_KEY, BOB, 1))
    bench.reads[bench.kv.reads + 1] = Fault(StorageFailure("a bad sector"))
    error = bench.runner.run(bench.ask(method, [raw] if many else raw))["error"]
    assert error["data"]["reason"] == "STORAGE_FAILED"
    assert "sector" not in str(error)
    assert bench.node.readiness() == "a bad sector"
    assert bench.node.pending_count() == 0
    bench.refuse("STORAGE_FAILED", -32002, "dev_mine")


# What to sign


def test_typed_data_of_each_document(bench: NodeBench) -> None:
    fields = {"target": text(CAROL), "amount": "0x64", "cptxHash": NO_POOL, "tgtSeq": "0x1", "fee": "0xa"}
    payment = bench.call("tx_typedData", "ServicePayment", fields)
    settlement = bench.call("tx_typedData", type="Settlement", fields=fields)
    assert settlement["message"] == {"payment": payment["message"], "fee": "10"}
    assert payment["domain"] == settlement["domain"]
    assert payment["domain"]["chainId"] == 0x5007


def test_what_was_signed_as_typed_data_is_accepted(bench: NodeBench) -> None:
    encode_typed_data = pytest.importorskip("eth_account.messages").encode_typed_data
    account = pytest.importorskip("eth_account").Account.from_key(ALICE_KEY)
    fields = {"to": text(BOB), "amount": "0x1", "fee": "0xa", "nonce": "0x0"}
    document = bench.call("tx_typedData", "Transfer", fields)
    signature = account.sign_message(encode_typed_data(full_message=document)).signature
    given = {"type": "Transfer", "fields": fields, "signature": text(bytes(signature)), "from": text(ALICE)}
    raw = signing.transfer(ALICE_KEY, bench.signing, BOB, 1, 10, 0)
    assert bench.call("tx_submit", given)["hash"] == text(keccak(raw))

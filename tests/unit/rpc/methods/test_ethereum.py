"""Ethereum's reads, checked by the clients that use them: web3.py in this process, ethers on recorded answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crypto.address import checksum_address
from rpc.other_names import OTHER_NAMES
from tests.js_oracle import ask_node
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY, BOB, BOB_KEY, CAROL_KEY
from tests.node_bench import text

if TYPE_CHECKING:
    from tests.node_bench import NodeBench

NOWHERE = "0x" + 32 * "ab"
ZERO_ADDRESS = "0x" + 20 * "00"
A = checksum_address(ALICE)
BLOCK_MEMBERS = (
    "number hash parentHash nonce sha3Uncles logsBloom transactionsRoot stateRoot receiptsRoot miner difficulty "
    "totalDifficulty extraData size gasLimit gasUsed timestamp baseFeePerGas mixHash uncles transactions"
)


@pytest.fixture
def hashes(bench: NodeBench) -> list[str]:
    """A transfer and a creation in block 1, a settlement in block 2, a pending transfer."""
    found = bench.commit(bench.transfer(ALICE_KEY, BOB, 5, fee=20), bench.create(nonce=1))
    found += bench.commit(bench.payment(CAROL_KEY, found[1], 300, fee=11))
    found.append(bench.submit(bench.transfer(ALICE_KEY, BOB, 6)))
    return found


def test_what_the_node_is(bench: NodeBench) -> None:
    assert bench.call("eth_chainId") == "0x5007"
    assert bench.call("net_version") == "20487"
    assert bench.call("web3_clientVersion") == bench.node.client_version
    assert (bench.call("eth_syncing"), bench.call("eth_accounts")) == (False, [])
    assert (bench.call("net_listening"), bench.call("net_peerCount")) == (True, "0x0")
    assert (bench.call("eth_gasPrice"), bench.call("eth_maxPriorityFeePerGas")) == ("0xa", "0xa")


def test_what_would_be_pretended_is_absent(bench: NodeBench) -> None:
    for name in ("eth_sendRawTransaction", "eth_estimateGas", "eth_call"):
        error = bench.error(name, "0x")
        assert error["code"] == -32601
        assert error["message"].startswith(f"the method {name} does not exist")


def test_names_of_other_nodes_are_answered_with_ours(bench: NodeBench) -> None:
    methods = {method["name"] for method in bench.call("rpc.discover")["methods"]}
    for name, here in OTHER_NAMES.items():
        assert here in methods
        assert name not in methods
        assert bench.error(name)["data"]["expected"] == here


def test_balances_and_nonces_at_the_head_and_behind_what_is_pending(bench: NodeBench, hashes: list[str]) -> None:
    assert (bench.call("eth_blockNumber"), len(hashes)) == ("0x2", 4)
    head = bench.call("chain_getHeader", "latest")["hash"]
    balance = bench.call("account_get", A)["balance"]
    at_head = ["latest", "safe", "finalized", "0x2", "0x02", 2, {"blockNumber": "0x2"}, {"blockHash": head}]
    for block in [*at_head, {"blockHash": head.upper(), "requireCanonical": True}]:
        assert bench.call("eth_getBalance", A, block) == balance
        assert bench.call("eth_getTransactionCount", A, block) == "0x2"
    assert bench.call("eth_getBalance", text(ALICE), "pending") == balance
    assert bench.call("eth_getBalance", A) == balance
    assert bench.call("eth_getTransactionCount", A, "pending") == "0x3"
    assert bench.call("eth_getCode", A, "latest") == "0x"


def test_states_before_the_head_are_kept_for_a_while(bench: NodeBench, hashes: list[str]) -> None:
    assert len(hashes) == 4
    assert [bench.call("eth_getTransactionCount", A, block) for block in ("0x0", "0x1", "0x2")] == ["0x0", "0x2", "0x2"]
    assert bench.call("eth_getBalance", A, "earliest") == hex(1_000_000)
    assert bench.call("eth_getBalance", A, "0x1") == hex(1_000_000 - 5 - 20 - 2500 - 10)
    bench.mine(127)
    assert bench.call("eth_getBalance", A, "0x1") == hex(1_000_000 - 5 - 20 - 2500 - 10)
    assert bench.refuse("NOT_READY", -32002, "eth_getBalance", A, "earliest")["expected"] == "a block from 0x1 on"


@pytest.mark.parametrize("name", ["eth_getBalance", "eth_getTransactionCount"])
@pytest.mark.parametrize(
    ("block", "reason", "code"),
    [
        ("0x3", "NOT_FOUND", -32001),
        ({"blockHash": NOWHERE}, "NOT_FOUND", -32001),
        ("newest", "INVALID_PARAMS", -32602),
        (-1, "INVALID_PARAMS", -32602),
        (True, "INVALID_PARAMS", -32602),
        (None, "INVALID_PARAMS", -32602),
        (hex(2**64), "INVALID_PARAMS", -32602),
        ({}, "INVALID_PARAMS", -32602),
        ({"blockNumber": "0x1", "blockHash": NOWHERE}, "INVALID_PARAMS", -32602),
        ({"blockHash": "0x1"}, "INVALID_PARAMS", -32602),
    ],
)
def test_other_blocks_are_refused(
    bench: NodeBench, hashes: list[str], name: str, block: object, reason: str, code: int
) -> None:
    assert len(hashes) == 4
    bench.refuse(reason, code, name, A, block)


def test_a_block_in_ethereums_form(bench: NodeBench, hashes: list[str]) -> None:
    ours = bench.call("chain_getBlock", "0x1")
    header = ours["header"]
    block = bench.call("eth_getBlockByNumber", "0x1", False)
    assert tuple(block) == tuple(BLOCK_MEMBERS.split())
    assert (block["number"], block["hash"], block["parentHash"]) == ("0x1", ours["hash"], header["parentHash"])
    assert (block["transactionsRoot"], block["stateRoot"]) == (header["txRoot"], header["stateRoot"])
    assert (block["miner"], block["extraData"]) == (checksum_address(AUTHORITY), "0x")
    assert (block["gasUsed"], block["gasLimit"], block["baseFeePerGas"]) == ("0x2", "0x1388", "0x0")
    assert len(block["logsBloom"]) == 2 + 512
    assert block["transactions"] == hashes[:2]
    assert bench.call("eth_getBlockByHash", ours["hash"]) == block
    full = bench.call("eth_getBlockByHash", ours["hash"], True)
    expected = [bench.call("eth_getTransactionByHash", name) for name in hashes[:2]]
    assert full == {**block, "transactions": expected}
    assert bench.call("eth_getBlockTransactionCountByNumber", 1) == "0x2"
    assert bench.call("eth_getBlockTransactionCountByHash", ours["hash"]) == "0x2"


def test_tags_of_blocks(bench: NodeBench, hashes: list[str]) -> None:
    assert bench.call("eth_getBlockByNumber", "earliest")["hash"] == text(bench.domain.genesis_hash)
    head = bench.call("eth_getBlockByNumber", "latest")
    assert head["transactions"] == hashes[2:3]
    for tag in ("safe", "finalized", "pending"):
        assert bench.call("eth_getBlockByNumber", tag) == head


def test_null_where_there_is_no_such_thing(bench: NodeBench, hashes: list[str]) -> None:
    assert bench.call("eth_getBlockByNumber", "0x3") is None
    assert bench.call("eth_getBlockByHash", NOWHERE) is None
    assert bench.call("eth_getBlockTransactionCountByNumber", "0x3") is None
    assert bench.call("eth_getBlockTransactionCountByHash", NOWHERE) is None
    assert bench.call("eth_getTransactionByHash", NOWHERE) is None
    assert bench.call("eth_getTransactionReceipt", NOWHERE) is None
    assert bench.call("eth_getTransactionReceipt", hashes[3]) is None


def test_native_transactions_in_the_form_of_legacy_ones(bench: NodeBench, hashes: list[str]) -> None:
    transfer, creation, settlement, pending = (bench.call("eth_getTransactionByHash", name) for name in hashes)
    ours = bench.call("chain_getTransaction", hashes[0])
    assert transfer == {
        "type": "0x0",
        "hash": hashes[0],
        "blockHash": ours["blockHash"],
        "blockNumber": "0x1",
        "transactionIndex": "0x0",
        "from": A,
        "to": checksum_address(BOB),
        "value": "0x5",
        "nonce": "0x0",
        "gas": "0x1",
        "gasPrice": "0x14",
        "input": "0x",
        "chainId": "0x5007",
        "r": hex(int(ours["signature"][2:66], 16)),
        "s": hex(int(ours["signature"][66:130], 16)),
        "v": hex(int(ours["signature"][130:], 16)),
        "poolchainType": "Transfer",
    }
    shown = ("poolchainType", "from", "to", "value", "nonce")
    target = checksum_address(bytes.fromhex("6813eb9362372eef6200f3b1dbc3f819671cba69"))
    assert [creation[name] for name in shown] == ["CreatePool", A, ZERO_ADDRESS, hex(2500), "0x1"]
    assert [settlement[name] for name in shown] == ["ServicePayment", target, target, "0x0", "0x1"]
    for entry, name in ((creation, hashes[1]), (settlement, hashes[2])):
        assert entry["input"] == bench.call("chain_getTransaction", name)["raw"]
    assert [pending[name] for name in ("blockHash", "blockNumber", "transactionIndex")] == [None, None, None]


def test_receipts_say_success_and_what_was_paid_for_it(bench: NodeBench, hashes: list[str]) -> None:
    receipts = [bench.call("eth_getTransactionReceipt", name) for name in hashes[:3]]
    assert [int(receipt["effectiveGasPrice"], 16) for receipt in receipts] == [20, 10, 11]
    assert [receipt["cumulativeGasUsed"] for receipt in receipts] == ["0x1", "0x2", "0x1"]
    assert [receipt["poolchainOutcome"] for receipt in receipts] == ["transferred", "created", "settled"]
    for receipt, name in zip(receipts, hashes, strict=False):
        transaction = bench.call("eth_getTransactionByHash", name)
        shared = ("blockHash", "blockNumber", "transactionIndex", "from", "to", "type")
        assert [receipt[member] for member in shared] == [transaction[member] for member in shared]
        assert (receipt["transactionHash"], receipt["status"], receipt["logs"]) == (name, "0x1", [])
        assert (receipt["gasUsed"], receipt["contractAddress"]) == ("0x1", None)


@pytest.mark.node
def test_ethers_understands_every_answer(bench: NodeBench, hashes: list[str]) -> None:
    asked: list[tuple[str, list[Any]]] = [
        ("eth_chainId", []),
        ("eth_blockNumber", []),
        ("eth_gasPrice", []),
        ("eth_maxPriorityFeePerGas", []),
        ("eth_getBlockByNumber", ["0x1", True]),
        ("eth_getBlockByNumber", ["latest", False]),
        ("eth_getBalance", [text(ALICE), "latest"]),
        ("eth_getTransactionCount", [text(ALICE), "pending"]),
        ("eth_getCode", [text(ALICE), "latest"]),
        *(("eth_getTransactionByHash", [name]) for name in hashes[:3]),
        *(("eth_getTransactionReceipt", [name]) for name in hashes[:3]),
    ]
    answers = {
        f"{name} {json.dumps(params, separators=(',', ':'))}": bench.call(name, *params) for name, params in asked
    }
    question = {"chainId": 0x5007, "block": 1, "hashes": hashes[:3], "account": A, "answers": answers}
    seen = ask_node("eth_reads.mjs", question)
    for entry, name in zip(seen["transactions"], hashes, strict=False):
        ours = bench.call("chain_getTransaction", name)
        assert (entry["hash"], entry["from"], entry["signature"]) == (name, ours["from"], ours["signature"])
        assert (entry["status"], entry["fee"]) == (1, str(int(ours["receipt"]["fee"], 16)))
        assert entry["blockNumber"] == int(ours["blockHeight"], 16)
    assert seen["prefetched"] == hashes[:2]
    assert seen["block"]["hash"] == bench.call("chain_getHeader", "0x1")["hash"]
    assert seen["balance"] == str(int(bench.call("account_get", A)["balance"], 16))
    assert (seen["nonce"], seen["code"]) == (3, "0x")
    # ethers takes a base fee of 0 for a chain that has none, and then uses the gas price.
    assert seen["fees"] == {"gasPrice": "10", "max": None, "priority": None}


def test_web3_understands_every_answer(bench: NodeBench, hashes: list[str]) -> None:
    web3 = pytest.importorskip("web3")

    class Provider(web3.providers.BaseProvider):  # type: ignore[name-defined, misc]
        """Asks the node in this process."""

        def make_request(self, method: str, params: Any) -> Any:
            return bench.runner.run(bench.ask(method, *params))

        def is_connected(self, show_traceback: bool = False) -> bool:
            return not show_traceback

    w3 = web3.Web3(Provider())
    assert (w3.is_connected(), w3.client_version) == (True, bench.node.client_version)
    assert (w3.eth.chain_id, w3.eth.block_number, w3.eth.gas_price, w3.eth.accounts) == (0x5007, 2, 10, [])
    assert w3.eth.get_balance(A) == int(bench.call("account_get", A)["balance"], 16)
    assert [w3.eth.get_transaction_count(A, block) for block in ("latest", "pending", 2)] == [2, 3, 2]
    assert w3.eth.get_code(A) == b""
    assert (w3.net.version, w3.net.listening, w3.eth.syncing) == ("20487", True, False)
    for number in (0, 1, 2, "latest", "safe", "finalized", "pending"):
        assert w3.eth.get_block(number, full_transactions=True).extraData == b""
    assert [entry.hash.to_0x_hex() for entry in w3.eth.get_block(1, full_transactions=True).transactions] == hashes[:2]
    for name in hashes[:3]:
        assert w3.eth.get_transaction(name).hash.to_0x_hex() == name
        assert w3.eth.wait_for_transaction_receipt(name, timeout=1).status == 1
    with pytest.raises(web3.exceptions.TransactionNotFound):
        w3.eth.get_transaction_receipt(hashes[3])
    with pytest.raises(web3.exceptions.BlockNotFound):
        w3.eth.get_block(9)
    with pytest.raises(web3.exceptions.MethodUnavailable):
        w3.eth.send_raw_transaction("0x00")
    assert w3.provider.make_request("account_get", [A])["result"]["nonce"] == "0x2"


def test_a_settlement_of_bob_is_seen_as_bobs(bench: NodeBench, hashes: list[str]) -> None:
    name = bench.commit(bench.payment(BOB_KEY, hashes[1], 10**6, fee=12))[0]
    receipt = bench.call("eth_getTransactionReceipt", name)
    assert (receipt["from"], receipt["poolchainOutcome"]) == (checksum_address(BOB), "slashed")

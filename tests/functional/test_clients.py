"""web3.py and ethers at a real devnet: they connect, read, sign what the node gives them, understand its refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.js_oracle import ask_node

from .node_process import NodeProcess, RpcFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
MISSING = "0x" + "ab" * 32
RESOURCE = "0x" + "77" * 32
FEE = 10**12
FUNDS = 10_000 * 10**18


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.mark.node
def test_ethers(node: NodeProcess) -> None:
    payer, payee, *_ = node.banner["accounts"]
    secrets = [payer["privateKey"], payee["privateKey"]]
    asked = {"url": node.url, "secrets": secrets, "resourceId": RESOURCE, "missing": MISSING}
    try:
        answer = ask_node("clients.mjs", asked)
    finally:
        # It ends with a transfer in the mempool and sealing by hand.
        assert node.call("dev_setSealing", "on-transaction") == "on-transaction"
    check_ethers_reads(node, answer["reads"])
    check_ethers_life(node, answer["life"], (payer["address"], payee["address"]))
    check_ethers_refusals(answer["refusals"])


def check_ethers_reads(node: NodeProcess, reads: Json) -> None:
    genesis = node.banner["genesisHash"]
    header = node.call("chain_getHeader", "0x0")["header"]
    assert reads == {
        "chainId": node.banner["chainId"],
        "blockNumber": 0,
        "balance": hex(FUNDS),
        "nonce": 0,
        "pendingNonce": 0,
        "code": "0x",
        "gasPrice": hex(FEE),
        "first": genesis,
        "latest": {
            "number": 0,
            "hash": genesis,
            "timestamp": int(header["timestamp"], 16),
            "miner": node.banner["authority"],
        },
        "byHash": 0,
        "missing": [None, None, None, None],
        "clientVersion": node.call("web3_clientVersion"),
        "accounts": [],
    }


def check_ethers_life(node: NodeProcess, life: Json, people: tuple[str, str]) -> None:
    created, settled = life["created"], life["settled"]
    assert (created["receipt"]["outcome"], settled["receipt"]["outcome"]) == ("created", "settled")
    assert int(settled["receipt"]["paid"], 16) == 0x190
    assert life["raw"] == [created["hash"], settled["hash"]]
    assert (life["status"], tuple(life["from"])) == (1, people)
    assert life["pool"] == node.call("pool_get", created["hash"])
    assert (life["pool"]["creator"], life["pool"]["spent"]) == (people[0], "0x190")
    assert created["proof"]["transactionHash"] == created["hash"]
    target = node.call("pool_getTarget", created["hash"], people[1])
    assert (target["seq"], target["paid"]) == ("0x1", "0x190")


def check_ethers_refusals(refusals: Json) -> None:
    assert refusals == {
        "used": {"code": "UNKNOWN_ERROR", "reason": "BAD_NONCE", "mapped": "NONCE_EXPIRED"},
        "poor": {"code": "UNKNOWN_ERROR", "reason": "INSUFFICIENT_BALANCE", "mapped": "INSUFFICIENT_FUNDS"},
        "underpriced": {
            "code": "UNKNOWN_ERROR",
            "reason": "REPLACEMENT_UNDERPRICED",
            "mapped": "REPLACEMENT_UNDERPRICED",
        },
        # These two reach ethers by its own ways.
        "unknown": {
            "code": "UNSUPPORTED_OPERATION",
            "reason": "METHOD_NOT_FOUND",
            "mapped": "UNSUPPORTED_OPERATION",
        },
        "broadcast": "UNSUPPORTED_OPERATION",
        "sent": "UNSUPPORTED_OPERATION",
        # Whatever goes wrong with eth_estimateGas, ethers takes it for a contract that reverts.
        "estimated": "CALL_EXCEPTION",
        "malformed": {"code": "UNKNOWN_ERROR", "reason": "MALFORMED", "mapped": "UNKNOWN_ERROR"},
    }


@pytest.fixture
def w3(node: NodeProcess) -> Iterator[Any]:
    """web3.py with a connection that is closed at the end."""
    web3 = pytest.importorskip("web3")
    session = pytest.importorskip("requests").Session()
    try:
        yield web3.Web3(web3.HTTPProvider(node.url, session=session))
    finally:
        session.close()


def test_web3_reads(node: NodeProcess, w3: Any) -> None:
    exceptions = pytest.importorskip("web3.exceptions")
    # Account 5: no other test uses it.
    person = node.banner["accounts"][5]["address"]
    assert w3.is_connected()
    assert w3.client_version == node.call("web3_clientVersion")
    assert (w3.eth.chain_id, w3.eth.gas_price) == (int(node.banner["chainId"], 16), FEE)
    assert w3.eth.max_priority_fee == FEE
    assert (w3.eth.get_balance(person), w3.eth.get_transaction_count(person)) == (FUNDS, 0)
    assert w3.eth.get_transaction_count(person, "pending") == 0
    assert (w3.eth.get_code(person), w3.eth.accounts, w3.eth.syncing) == (b"", [], False)
    assert (w3.net.version, w3.net.listening) == (str(w3.eth.chain_id), True)
    genesis = w3.eth.get_block(0)
    assert genesis.hash.to_0x_hex() == node.banner["genesisHash"]
    assert w3.eth.get_block(genesis.hash) == genesis
    latest = w3.eth.get_block("latest")
    assert latest.number == w3.eth.block_number
    assert latest.miner == node.banner["authority"]
    with pytest.raises(exceptions.TransactionNotFound):
        w3.eth.get_transaction(MISSING)
    with pytest.raises(exceptions.TransactionNotFound):
        w3.eth.get_transaction_receipt(MISSING)
    with pytest.raises(exceptions.BlockNotFound):
        w3.eth.get_block(10**6)
    with pytest.raises(exceptions.MethodUnavailable):
        w3.eth.send_raw_transaction("0x00")


def test_web3_in_one_batch(node: NodeProcess, w3: Any) -> None:
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_block(0))
        batch.add(w3.eth.get_balance(node.banner["accounts"][5]["address"]))
        batch.add(w3.eth.get_transaction_count(node.banner["accounts"][5]["address"]))
        block, balance, nonce = batch.execute()
    assert (block.hash.to_0x_hex(), balance, nonce) == (node.banner["genesisHash"], FUNDS, 0)


def test_eth_account_signs_what_the_node_gives_it(node: NodeProcess, w3: Any) -> None:
    """A pool's life with web3.py's transport and eth-account's signatures over tx_typedData's answers."""
    payer, payee = node.banner["accounts"][6:8]

    def ask(method: str, *params: Any) -> Any:
        answer = w3.provider.make_request(method, list(params))
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def sign(person: Json, document: str, fields: Json) -> str:
        typed = ask("tx_typedData", document, fields)
        signed = w3.eth.account.sign_typed_data(person["privateKey"], full_message=typed)
        return str(signed.signature.to_0x_hex())

    terms = {"resourceId": RESOURCE, "deposit": hex(5 * 10**18), "collateral": hex(7 * 10**18), "duration": "0x64"}
    terms |= {"fee": hex(FEE), "nonce": "0x0"}
    transaction = {"type": "CreatePool", "fields": terms, "signature": sign(payer, "CreatePool", terms)}
    created = ask("tx_submit", transaction | {"from": payer["address"]}, "committed")
    fields = {"target": payee["address"], "amount": hex(2 * 10**18), "cptxHash": created["hash"], "tgtSeq": "0x1"}
    fields |= {"fee": hex(FEE)}
    settlement = {
        "type": "ServicePayment",
        "fields": fields,
        "paymentSignature": sign(payer, "ServicePayment", fields),
        "signature": sign(payee, "Settlement", fields),
    }
    settled = ask("tx_submit", settlement, "committed")
    assert (settled["receipt"]["outcome"], settled["receipt"]["paid"]) == ("settled", hex(2 * 10**18))
    assert w3.eth.get_balance(payee["address"]) == FUNDS + 2 * 10**18 - FEE
    assert w3.eth.wait_for_transaction_receipt(settled["hash"], timeout=5).status == 1
    assert w3.eth.get_transaction(created["hash"])["from"] == payer["address"]
    with pytest.raises(RpcFailure) as caught:
        ask("tx_submit", settlement | {"fields": fields | {"fee": hex(FEE + 1)}})
    assert caught.value.reason == "NOT_TARGET"

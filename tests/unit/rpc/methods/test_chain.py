"""Status, blocks, headers and transactions by hash."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from crypto.address import checksum_address
from ledger.block import Block
from ledger.header import Header
from rpc.limits import Limits
from tests.model.encoding import keccak
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY, BOB, BOB_KEY, CAROL_KEY
from tests.node_bench import NodeBench, text

NOWHERE = "0x" + 32 * "ab"


def test_status_tells_what_the_node_is_and_where_it_stands(bench: NodeBench) -> None:
    pool = bench.new_pool()
    bench.submit(bench.transfer(ALICE_KEY, BOB, 1))
    status = bench.call("chain_status")
    head = bench.node.view().tip()
    assert status == {
        "chainId": "0x5007",
        "clientVersion": bench.node.client_version,
        "authority": checksum_address(AUTHORITY),
        "genesisHash": text(bench.domain.genesis_hash),
        "head": {"height": "0x1", "hash": text(head.hash), "timestamp": hex(head.header.timestamp)},
        "pending": "0x1",
        "sealing": "manual",
        "parameters": {"blockInterval": "0x1", "minFee": "0xa", "reward": "0x64"},
        "limits": {
            "maxBodyBytes": "0x500000",
            "maxBatch": "0x3e8",
            "maxRaws": "0x3e8",
            "maxPageSize": "0x3e8",
            "mempoolTransactions": "0xc350",
        },
        "supply": {"genesis": hex(1_005_100), "balances": hex(1_002_600), "locked": "0x9c4", "burned": "0x0"},
    }
    assert bench.call("pool_get", pool)["status"] == "open"


def test_sealing_is_a_quantity_of_seconds_when_blocks_come_by_the_clock(bench: NodeBench) -> None:
    bench.call("dev_setSealing", "0x5")
    assert bench.call("chain_status")["sealing"] == "0x5"


def test_header_bytes_are_what_the_hash_is_over(bench: NodeBench) -> None:
    bench.commit(bench.transfer(ALICE_KEY, BOB, 1))
    answer = bench.call("chain_getHeader", "latest")
    raw = bytes.fromhex(answer["headerBytes"][2:])
    assert len(raw) == 320
    assert answer["hash"] == text(keccak(raw))
    header = Header.decode(raw)
    assert answer["header"] == {
        "chainId": "0x5007",
        "height": "0x1",
        "timestamp": hex(header.timestamp),
        "parentHash": text(header.parent_hash),
        "txRoot": text(header.tx_root),
        "txCount": "0x1",
        "receiptsRoot": text(header.receipts_root),
        "stateRoot": text(header.state_root),
        "historyRoot": text(header.history_root),
        "authority": checksum_address(AUTHORITY),
    }
    assert len(answer["seal"]) == 2 + 130


def test_the_genesis_is_served_in_its_canonical_form(bench: NodeBench) -> None:
    bench.commit(bench.transfer(ALICE_KEY, BOB, 1))
    answer = bench.call("chain_getGenesis")
    assert list(answer) == ["genesisHash", "genesis", "headerBytes"]
    header = bytes.fromhex(answer["headerBytes"][2:])
    assert answer["genesisHash"] == text(keccak(header)) == text(bench.domain.genesis_hash)
    written = json.dumps(answer["genesis"], separators=(",", ":")).encode()
    assert written == bench.genesis.canonical_bytes()
    assert Header.decode(header).parent_hash == keccak(written)
    bench.refuse("INVALID_PARAMS", -32602, "chain_getGenesis", "latest")


def test_a_genesis_of_more_than_an_answer_has_room_for_is_refused() -> None:
    many = {f"0x{number:040x}": "0x1" for number in range(1, 200)}
    with closing(NodeBench(limits=Limits(answer_bytes_max=8_000), alloc=many)) as bench:
        bench.refuse("LIMIT", -32005, "chain_getGenesis")


@pytest.mark.parametrize("name", ["chain_getBlock", "chain_getHeader"])
def test_a_block_is_found_by_tag_height_and_hash(bench: NodeBench, name: str) -> None:
    bench.mine(2)
    first = bench.call(name, "0x1")
    assert first["header"]["height"] == "0x1"
    assert bench.call(name, first["hash"]) == first
    assert bench.call(name, "latest")["header"]["parentHash"] == first["hash"]
    genesis = bench.call(name, "earliest")
    assert (genesis["hash"], genesis["seal"]) == (text(bench.domain.genesis_hash), None)
    assert bench.call(name, "0x0") == genesis


@pytest.mark.parametrize("name", ["chain_getBlock", "chain_getHeader"])
@pytest.mark.parametrize("block", ["0x1", "0xffffffffffffffff", NOWHERE])
def test_an_unknown_block_is_not_found(bench: NodeBench, name: str, block: str) -> None:
    assert bench.refuse("NOT_FOUND", -32001, name, block)["given"] == block


def test_a_block_lists_hashes_or_transaction_objects(bench: NodeBench) -> None:
    raws = [bench.transfer(ALICE_KEY, BOB, 1, fee=30), bench.transfer(BOB_KEY, ALICE, 2, fee=20)]
    hashes = bench.commit(*raws)
    plain = bench.call("chain_getBlock", "latest")
    assert plain["transactions"] == hashes
    full = bench.call("chain_getBlock", block="latest", full=True)
    assert {**full, "transactions": None} == {**plain, "transactions": None}
    assert full["transactions"] == [bench.call("chain_getTransaction", name) for name in hashes]
    assert [entry["index"] for entry in full["transactions"]] == ["0x0", "0x1"]
    block = bench.node.view().block(1)
    assert block == Block(block.header, tuple(raws), block.seal)


def test_a_transaction_is_pending_then_committed(bench: NodeBench) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 5, fee=12)
    name = bench.submit(raw)
    pending = bench.call("chain_getTransaction", name)
    assert pending == {
        "hash": name,
        "type": "Transfer",
        "fields": {"to": checksum_address(BOB), "amount": "0x5", "fee": "0xc", "nonce": "0x0"},
        "signature": text(raw[-65:]),
        "paymentSignature": None,
        "from": checksum_address(ALICE),
        "raw": text(raw),
        "status": "pending",
        "blockHeight": None,
        "blockHash": None,
        "index": None,
        "receipt": None,
        "dropReason": None,
    }
    bench.mine()
    place = {"blockHeight": "0x1", "blockHash": bench.call("chain_getHeader", "0x1")["hash"], "index": "0x0"}
    receipt = {
        "transactionHash": name,
        "type": "Transfer",
        **place,
        "outcome": "transferred",
        "fee": "0xc",
        "cptxHash": None,
        "paid": None,
        "burned": None,
        "reward": None,
    }
    assert bench.call("chain_getTransaction", name) == {
        **pending,
        **place,
        "status": "committed",
        "receipt": receipt,
    }


def test_a_dropped_transaction_tells_why(bench: NodeBench) -> None:
    replaced = bench.submit(bench.transfer(ALICE_KEY, BOB, 5, nonce=0))
    bench.submit(bench.transfer(ALICE_KEY, BOB, 5, fee=11, nonce=0))
    answer = bench.call("chain_getTransaction", replaced)
    assert (answer["status"], answer["receipt"], answer["blockHash"]) == ("dropped", None, None)
    assert answer["dropReason"] == {"reason": "REPLACED", "expected": "a fee above 11", "given": "10"}


def test_what_breaks_a_rule_after_a_block_is_dropped_with_that_rule() -> None:
    with closing(NodeBench(maxBlockTransactions="0x1")) as bench:
        pool = bench.new_pool(duration=2)
        late = bench.submit(bench.payment(CAROL_KEY, pool, 100))
        for _ in range(2):
            bench.submit(bench.transfer(ALICE_KEY, BOB, 5, fee=50))
        bench.mine(2)
        answer = bench.call("chain_getTransaction", late)
        assert answer["status"] == "dropped"
        assert answer["dropReason"] == {"reason": "POOL_EXPIRED", "expected": "a height below 3", "given": "3"}
        assert answer["fields"]["cptxHash"] == pool


def test_an_unknown_transaction_is_not_found(bench: NodeBench) -> None:
    assert bench.refuse("NOT_FOUND", -32001, "chain_getTransaction", NOWHERE)["given"] == NOWHERE

"""Proof documents as nodes serve them: every one is checked by the light client, every error told apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from consensus.authority import Authority
from consensus.chain import Chain
from crypto.address import checksum_address
from crypto.hashing import keccak256
from crypto.signature import SigningKey
from ledger.genesis import Genesis
from ledger.records import account_key
from light.documents import read_document
from light.verify import Trust, verify_document
from rpc.lookup import Committed
from rpc.proof_documents import consistency_document, header_document, state_document, transaction_document
from rpc.recent_blocks import RecentBlocks
from rpc.shapes import Place
from storage import leveldb
from storage.chain_store import ChainStore, create_chain
from storage.chain_view import ChainView
from storage.memory_signing import MemorySigningRecord
from storage.past_state import STATES_KEPT, PastState
from storage.schema import node_key
from tests.model import signing
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY_KEY, BOB, BOB_KEY, CAROL
from tests.node_bench import NodeBench, text
from tests.workbench import make_genesis
from txtypes.table import decode

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
NO_HASH = "0x" + 64 * "0"
METHODS = ("proof_getTransaction", "proof_getHeader", "proof_getConsistency", "proof_getState")


def proven(bench: NodeBench, name: str, *params: Any, **named: Any) -> Json:
    """The document of one call, which the light client accepts."""
    document: Json = bench.call(name, *params, **named)
    verify_document(read_document(document), Trust(bench.genesis.authority, bench.domain.genesis_hash))
    return document


# Transactions


def test_every_transaction_of_a_block_is_proven(bench: NodeBench) -> None:
    for count in (1, 2, 3, 7):
        nonce = bench.node.next_nonce(ALICE)
        hashes = bench.commit(*(bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce + index) for index in range(count)))
        bench.mine()
        for index, name in enumerate(hashes):
            document = proven(bench, "proof_getTransaction", name)
            assert document["transactionHash"] == name
            assert document["inclusion"]["leafIndex"] == hex(index)
            assert document["inclusion"]["treeSize"] == hex(count)


def test_a_proof_ends_in_the_head_that_is_asked_for(bench: NodeBench) -> None:
    name = bench.new_pool()
    bench.mine(9)
    header = bench.call("chain_getHeader", "0x5")
    by_height = proven(bench, "proof_getTransaction", name, "0x5")
    assert by_height["head"] == {"header": header["headerBytes"], "seal": header["seal"]}
    assert by_height["history"]["treeSize"] == "0x5"
    assert proven(bench, "proof_getTransaction", hash=name, head=header["hash"]) == by_height
    latest = proven(bench, "proof_getTransaction", name)
    assert latest["history"]["treeSize"] == "0xa"
    assert proven(bench, "proof_getTransaction", name, "latest") == latest
    own = proven(bench, "proof_getTransaction", name, "0x1")
    assert own["history"] is None
    assert own["head"] == {"header": own["header"], "seal": own["seal"]}


def test_a_committed_submission_comes_with_its_proof(bench: NodeBench) -> None:
    raw = bench.create()

    async def submit_and_mine() -> Any:
        waiting = asyncio.create_task(bench.ask("tx_submit", text(raw), "committed"))
        while not bench.node.pending_count():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        await bench.ask("dev_mine")
        return (await waiting)["result"]

    proof = bench.runner.run(submit_and_mine())["proof"]
    assert proof == proven(bench, "proof_getTransaction", text(keccak256(raw)))
    bench.mine(3)
    later = bench.call("tx_submit", text(raw), "committed")["proof"]
    assert later == proven(bench, "proof_getTransaction", text(keccak256(raw)))
    assert later != proof


def test_transactions_without_a_block_are_told_apart(bench: NodeBench) -> None:
    pending = bench.submit(bench.transfer(ALICE_KEY, BOB, 1, nonce=0))
    error = bench.refuse("PENDING", -32002, "proof_getTransaction", pending)
    assert error["hash"] == pending
    assert "hash" not in bench.refuse("NOT_FOUND", -32001, "proof_getTransaction", NO_HASH)
    bench.submit(bench.transfer(ALICE_KEY, BOB, 2, fee=20, nonce=0))
    assert bench.call("chain_getTransaction", pending)["status"] == "dropped"
    bench.refuse("NOT_FOUND", -32001, "proof_getTransaction", pending)


# Heads


def test_heads_are_told_apart(bench: NodeBench) -> None:
    bench.mine(4)
    name = bench.new_pool()
    bench.mine(2)
    for head in ("0x8", NO_HASH, "0xffffffffffffffff"):
        bench.refuse("HEAD_UNKNOWN", -32002, "proof_getTransaction", name, head)
        bench.refuse("HEAD_UNKNOWN", -32002, "proof_getHeader", "0x5", head)
        bench.refuse("HEAD_UNKNOWN", -32002, "proof_getConsistency", "0x5", head)
        bench.refuse("HEAD_UNKNOWN", -32002, "proof_getConsistency", head, "latest")
    for head in ("0x4", "earliest", bench.call("chain_getHeader", "0x4")["hash"]):
        bench.refuse("HEAD_TOO_OLD", -32002, "proof_getTransaction", name, head)
        bench.refuse("HEAD_TOO_OLD", -32002, "proof_getHeader", "0x5", head)
        bench.refuse("HEAD_TOO_OLD", -32002, "proof_getConsistency", "0x5", head)


def test_the_first_failure_is_that_of_the_thing_itself(bench: NodeBench) -> None:
    bench.refuse("NOT_FOUND", -32001, "proof_getTransaction", NO_HASH, NO_HASH)
    bench.refuse("NOT_FOUND", -32001, "proof_getHeader", "0x1", NO_HASH)


def test_every_header_is_proven_in_every_head(bench: NodeBench) -> None:
    bench.mine(9)
    for head in range(10):
        for height in range(head + 1):
            document = proven(bench, "proof_getHeader", hex(height), hex(head))
            assert document["header"] == bench.call("chain_getHeader", hex(height))["headerBytes"]
            assert (document["history"] is None) == (head == height)
    assert proven(bench, "proof_getHeader", "0x0")["seal"] is None


def test_a_header_has_other_names_than_its_height(bench: NodeBench) -> None:
    bench.mine(3)
    expected = proven(bench, "proof_getHeader", "0x2")
    assert bench.call("proof_getHeader", height=bench.call("chain_getHeader", "0x2")["hash"]) == expected
    assert proven(bench, "proof_getHeader", "latest")["history"] is None
    bench.refuse("NOT_FOUND", -32001, "proof_getHeader", "0x4")
    bench.refuse("NOT_FOUND", -32001, "proof_getHeader", NO_HASH)


def test_every_two_heads_are_consistent(bench: NodeBench) -> None:
    bench.mine(9)
    for second in range(10):
        for first in range(second + 1):
            document = proven(bench, "proof_getConsistency", **{"from": hex(first), "to": hex(second)})
            assert (document["path"] == []) == (first in {0, second})
            assert (document["history"] is None) == (first == second)
    assert proven(bench, "proof_getConsistency", "earliest", "latest")["second"]["seal"] is not None


def test_both_heads_are_needed(bench: NodeBench) -> None:
    bench.refuse("INVALID_PARAMS", -32602, "proof_getConsistency", "0x0")
    bench.refuse("INVALID_PARAMS", -32602, "proof_getConsistency", to="0x0")


# State


def test_records_and_their_absence_are_proven(bench: NodeBench) -> None:
    pool = bench.new_pool()
    bench.commit(bench.payment(BOB_KEY, pool, 300))
    found = proven(bench, "proof_getState", {"cptxHash": pool})
    assert found["record"] == bench.call("pool_get", pool)
    assert found["key"] == {"cptxHash": pool}
    target = proven(bench, "proof_getState", {"cptxHash": pool, "target": text(BOB)})
    assert target["record"] == bench.call("pool_getTarget", pool, text(BOB))
    account = proven(bench, "proof_getState", key={"account": text(ALICE)}, block="0x2")
    assert account["record"] == bench.call("account_get", text(ALICE))
    assert account["key"] == {"account": checksum_address(ALICE)}
    for absent in (
        {"account": text(CAROL)},
        {"cptxHash": NO_HASH},
        {"cptxHash": NO_HASH, "target": text(BOB)},
        {"cptxHash": pool, "target": text(CAROL)},
        {"burned": True},
    ):
        assert proven(bench, "proof_getState", absent)["record"] is None
    over_signed = bench.payment(signing.key_of(4), pool, 701)
    bench.commit(over_signed)
    burned = proven(bench, "proof_getState", {"burned": True})["record"]
    assert burned == {"burned": bench.call("chain_status")["supply"]["burned"]}
    assert proven(bench, "proof_getState", {"cptxHash": pool})["record"]["status"] == "slashed"


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"account": "0x12"},
        {"account": text(ALICE), "cptxHash": NO_HASH},
        {"target": text(BOB)},
        {"cptxHash": NO_HASH, "target": None},
        {"cptxHash": "0x12"},
        {"burned": False},
        {"burned": "true"},
        {"burned": True, "account": text(ALICE)},
        {"pool": NO_HASH},
        text(ALICE),
        None,
        [],
    ],
)
def test_other_keys_are_refused(bench: NodeBench, key: Any) -> None:
    assert "key" in bench.refuse("INVALID_PARAMS", -32602, "proof_getState", key)["expected"]


def test_states_of_unknown_blocks_are_not_found(bench: NodeBench) -> None:
    for block in ("0x1", NO_HASH):
        bench.refuse("NOT_FOUND", -32001, "proof_getState", {"burned": True}, block)


def test_the_last_states_are_kept(bench: NodeBench) -> None:
    """Documents of a state are the same as on the day when it was the newest."""
    keys: list[Json] = [{"account": text(address)} for address in (ALICE, BOB, CAROL)] + [{"burned": True}]
    documents: dict[int, list[Json]] = {0: [bench.call("proof_getState", key) for key in keys]}
    for height in range(1, STATES_KEPT + 12):
        bench.commit(*changes_at(bench, height, keys))
        documents[height] = [proven(bench, "proof_getState", key) for key in keys]
    head = bench.node.view().height
    assert head == STATES_KEPT + 11
    for height, before in documents.items():
        for key, expected in zip(keys, before, strict=False):
            if height < head - STATES_KEPT:
                error = bench.refuse("NOT_READY", -32002, "proof_getState", key, hex(height))
                assert error["expected"] == f"a block from {hex(head - STATES_KEPT)} on"
            else:
                assert bench.call("proof_getState", key, hex(height)) == expected


def changes_at(bench: NodeBench, height: int, keys: list[Json]) -> list[bytes]:
    """The next block of a chain in which pools come, pay and are slashed, accounts appear, and nothing happens."""
    match height % 40:
        case 0 | 5 | 6 | 20:
            return []
        case 1:
            raw = bench.create(100, 1500, 30)
            keys.extend(({"cptxHash": text(keccak256(raw))}, {"cptxHash": text(keccak256(raw)), "target": text(BOB)}))
            return [raw]
        case 3:
            return [bench.payment(BOB_KEY, keys[-2]["cptxHash"], 50)]
        case 16:
            return [bench.payment(BOB_KEY, keys[-2]["cptxHash"], 101, seq=2)]
        case _:
            return [bench.transfer(ALICE_KEY, keccak256(bytes([height]))[:20], height)]


# After a restart


def test_a_reopened_store_serves_the_same(tmp_path: Path) -> None:
    genesis = make_genesis()
    before = documents_of_new_chain(tmp_path / "chain", genesis)
    kv = leveldb.open_existing(tmp_path / "chain").store
    domain = genesis.domain(ChainView(kv).block(0).header.hash())
    after = documents_of(ChainStore(kv), domain)
    assert after == before
    for document in after:
        verify_document(read_document(document), Trust(genesis.authority, domain.genesis_hash))
    kv.close()


def documents_of_new_chain(path: Path, genesis: Genesis) -> list[Json]:
    """Documents of a chain of 20 blocks, which is closed again."""
    store = create_chain(leveldb.create(path), genesis)
    domain = genesis.domain(store.view().block(0).header.hash())
    authority = Authority(Chain(store, genesis, domain, 1 << 20), SigningKey(AUTHORITY_KEY), MemorySigningRecord())
    for nonce in range(20):
        raw = signing.transfer(ALICE_KEY, signing.Domain(genesis.chain_id, domain.genesis_hash), BOB, 1, 10, nonce)
        authority.produce([decode(raw, domain)], 0)
    documents = documents_of(store, domain)
    store.close()
    return documents


def documents_of(store: ChainStore, domain: Any) -> list[Json]:
    """Documents about all heights; the last state is that of block 0."""
    view = store.view()
    head = view.height
    heights = range(head + 1)
    newest = view.sealed_header(head)
    return [
        *(transaction_document(view, domain, committed(view, height), newest) for height in heights[1:]),
        *(header_document(view, domain, height, head) for height in heights),
        *(consistency_document(view, domain, height, head) for height in heights),
        *(state_document(view, domain, PastState(view, height), account_key(BOB)) for height in heights),
    ]


def committed(view: ChainView, height: int) -> Committed:
    """The only transaction of a block."""
    read = RecentBlocks().read(view, height)
    return Committed(read.block.transactions[0], read.receipts[0], Place(height, read.hash, 0), read)


def test_a_lost_node_is_not_made_up(bench: NodeBench) -> None:
    """Nothing is recomputed from blocks: what is not stored is damage, and damage is no proof."""
    bench.mine(8)
    bench.store._kv.write([(node_key(2, 0), None)])
    bench.mine()
    assert proven(bench, "proof_getHeader", "0x1", "0x3")["history"] is not None
    assert bench.error("proof_getHeader", "0x7")["code"] == -32002

"""A node that is followed without belief: proven heads and records, lies, silence."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from crypto.address import checksum_address
from ledger.records import Target
from light.documents import read_document
from light.errors import ProofRefused
from light.handshake import verify_handshake
from light.verify import Trust
from peers.chain_link import ChainLink, NotTrusted, connect_patiently
from peers.node_rpc import NodeAway, NodeRefused, NodeRpc
from tests.model.small_chain import ALICE, BOB, BOB_KEY
from tests.node_bench import NodeBench

from .bench_link import BenchRpc, bench_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

PATIENCE_S = 20
Json = dict[str, Any]


@pytest.fixture
def bench() -> Iterator[NodeBench]:
    found = NodeBench()
    yield found
    found.close()


def run(bench: NodeBench, work: Coroutine[Any, Any, None]) -> None:
    bench.runner.run(asyncio.wait_for(work, PATIENCE_S))


@asynccontextmanager
async def linked(bench: NodeBench, folder: Path) -> AsyncIterator[tuple[ChainLink, BenchRpc]]:
    link, rpc = bench_link(bench, folder)
    await link.connect()
    async with link.running():
        yield link, rpc


class Liar(BenchRpc):
    """A node that changes its answers to one method."""

    def __init__(self, bench: NodeBench) -> None:
        super().__init__(bench)
        self.lies: dict[str, Callable[[Any], Any]] = {}

    async def call(self, method: str, parameters: Mapping[str, Any] | None = None, *, seconds: float = 10.0) -> Any:
        answer = await super().call(method, parameters, seconds=seconds)
        return self.lies[method](answer) if method in self.lies else answer


def liar(bench: NodeBench, folder: Path) -> tuple[ChainLink, Liar]:
    link, _ = bench_link(bench, folder)
    rpc = Liar(bench)
    link.rpc = rpc
    return link, rpc


def test_it_moves_with_every_block_and_over_gaps(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        async with linked(bench, tmp_path) as (link, rpc):
            assert (link.height, link.away) == (0, None)
            for height in (1, 2, 3):
                await rpc.mine()
                assert (await link.wait_above(height - 1)).header.height == height
            await rpc.mine(40)
            assert (await link.wait_above(3)).hash == bench.node.view().tip().hash

    run(bench, work())


def test_parameters_and_domain_are_the_chains(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        async with linked(bench, tmp_path) as (link, _):
            found = link.parameters
            assert (found.block_interval, found.min_fee, found.reward) == (1, 10, 100)
            assert link.domain == bench.domain

    run(bench, work())


def test_records_are_proven_at_the_known_head(bench: NodeBench, tmp_path: Path) -> None:
    pool = bench.new_pool(1000, 1111, 50)
    bench.commit(bench.payment(BOB_KEY, pool, 300))
    name = bytes.fromhex(pool[2:])

    async def work() -> None:
        async with linked(bench, tmp_path) as (link, _):
            found = await link.records(name, BOB)
            assert found.pool is not None
            assert (found.pool.creator, found.pool.spent, found.target) == (ALICE, 300, Target(1, 300))
            nobody, again = await link.many_records([bytes(32), name], ALICE)
            assert (nobody.pool, nobody.target) == (None, Target(0, 0))
            assert (again.pool, again.target) == (found.pool, Target(0, 0))

    run(bench, work())


def test_a_state_that_is_gone_is_asked_for_at_a_newer_head(bench: NodeBench, tmp_path: Path) -> None:
    name = bytes.fromhex(bench.new_pool(1000, 1111, 50)[2:])

    async def work() -> None:
        link, rpc = bench_link(bench, tmp_path)
        await link.connect()
        await rpc.mine(200)
        found = await link.records(name, BOB)
        assert found.head.header.height == link.height == 201

    run(bench, work())


def test_the_documents_of_a_handshake_belong_together(bench: NodeBench, tmp_path: Path) -> None:
    name = bytes.fromhex(bench.new_pool(1000, 1111, 50)[2:])
    bench.mine(5)

    async def work() -> None:
        async with linked(bench, tmp_path) as (link, _):
            found = await link.handshake_documents(name, BOB)
            creation, pool, target = (read_document(found[part]) for part in ("creation", "poolState", "targetState"))
            proven = verify_handshake(creation, pool, target, BOB, link.trust)
            assert proven.head == link.head
            with pytest.raises(NodeRefused) as caught:
                await link.handshake_documents(bytes(32), BOB)
            assert caught.value.reason == "NOT_FOUND"

    run(bench, work())


def test_a_transaction_is_submitted_or_refused_with_the_reason(bench: NodeBench, tmp_path: Path) -> None:
    pool = bench.new_pool(1000, 1111, 50)
    first, wrong = bench.payment(BOB_KEY, pool, 300), bench.payment(BOB_KEY, pool, 400, seq=9)

    async def work() -> None:
        async with linked(bench, tmp_path) as (link, _):
            assert (await link.submit(first))["hash"]
            with pytest.raises(NodeRefused) as caught:
                await link.submit(wrong)
            assert (caught.value.reason, caught.value.expected) == ("BAD_SEQUENCE", "tgtSeq 2")

    run(bench, work())


# Trust


@pytest.mark.parametrize("member", ["minFee", "reward", "blockInterval"])
def test_a_node_cannot_make_up_the_chains_parameters(bench: NodeBench, tmp_path: Path, member: str) -> None:
    async def work() -> None:
        link, rpc = liar(bench, tmp_path)
        rpc.lies["chain_getGenesis"] = lambda found: {**found, "genesis": {**found["genesis"], member: "0x7"}}
        with pytest.raises(ProofRefused) as caught:
            await link.connect()
        assert caught.value.reason == "WRONG_GENESIS"
        with pytest.raises(NodeAway):
            assert link.parameters.min_fee
        rpc.lies.clear()
        await link.connect()
        assert link.parameters.min_fee == bench.genesis.min_fee

    run(bench, work())


def test_a_node_of_another_chain_is_refused(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        link, rpc = bench_link(bench, tmp_path)
        link.trust = Trust(bench.genesis.authority, bytes(32))
        with pytest.raises(NotTrusted, match=f"another chain: the genesis is 0x{bench.domain.genesis_hash.hex()}"):
            await link.connect()
        other, _ = bench_link(bench, tmp_path)
        other.trust = Trust(BOB, bench.domain.genesis_hash)
        with pytest.raises(ProofRefused) as caught:
            await other.connect()
        assert caught.value.reason == "WRONG_AUTHORITY"
        assert rpc.submitted == []

    run(bench, work())


def test_a_head_is_remembered_over_a_restart(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        link, rpc = bench_link(bench, tmp_path)
        await link.connect()
        await rpc.mine(7)
        await link.refresh()
        again, _ = bench_link(bench, tmp_path)
        await again.connect()
        assert again.height == 7

    run(bench, work())


@pytest.mark.parametrize(
    ("method", "lie"),
    [
        ("chain_getHeader", lambda found: {**found, "headerBytes": found["headerBytes"].replace("e5", "e6")}),
        ("chain_getHeader", lambda found: {**found, "headerBytes": found["headerBytes"][2:]}),
        ("chain_getHeader", lambda _: {}),
        ("proof_getConsistency", lambda found: {**found, "path": []}),
        ("proof_getConsistency", lambda found: {**found, "second": found["first"]}),
        ("proof_getConsistency", lambda found: {**found, "kind": "header"}),
    ],
)
def test_a_head_that_is_not_proven_is_not_taken(
    bench: NodeBench, tmp_path: Path, method: str, lie: Callable[[Json], Json]
) -> None:
    async def work() -> None:
        link, rpc = liar(bench, tmp_path)
        await link.connect()
        await rpc.mine(3)
        known = await link.refresh()
        await rpc.mine(5)
        rpc.lies[method] = lie
        with suppress(ProofRefused, NodeRefused):
            await link.refresh()
        assert link.head == known
        rpc.lies.clear()
        assert (await link.refresh()).header.height == 8

    run(bench, work())


@pytest.mark.parametrize(
    "lie",
    [
        lambda found: {**found, "recordBytes": None, "record": None},
        lambda found: {**found, "proof": "0x"},
        lambda found: {**found, "key": {"burned": True}},
        lambda _: None,
    ],
)
def test_a_record_that_is_not_proven_is_not_believed(
    bench: NodeBench, tmp_path: Path, lie: Callable[[Json], Json]
) -> None:
    name = bytes.fromhex(bench.new_pool(1000, 1111, 50)[2:])

    async def work() -> None:
        link, rpc = liar(bench, tmp_path)
        await link.connect()
        rpc.lies["proof_getState"] = lie
        with pytest.raises(ProofRefused):
            await link.records(name, BOB)

    run(bench, work())


def test_an_old_state_is_not_passed_for_the_newest(bench: NodeBench, tmp_path: Path) -> None:
    pool = bench.new_pool(1000, 1111, 50)
    old = bench.call("proof_getState", {"cptxHash": pool})
    bench.commit(bench.payment(BOB_KEY, pool, 300))

    async def work() -> None:
        link, rpc = liar(bench, tmp_path)
        await link.connect()
        rpc.lies["proof_getState"] = lambda found: old if "target" not in found["key"] else found
        with pytest.raises(ProofRefused, match="asked for"):
            await link.records(bytes.fromhex(pool[2:]), BOB)

    run(bench, work())


# Silence


def test_the_last_proven_head_stays_while_the_node_is_away(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        async with linked(bench, tmp_path) as (link, rpc):
            await rpc.mine(2)
            await link.wait_above(0)
            height = link.height
            rpc.is_away = True
            with pytest.raises(NodeAway):
                await link.records(bytes(32), BOB)
            assert link.away is not None
            assert "bench is away" in link.away
            await asyncio.sleep(0.05)
            assert link.away_seconds >= 0.05
            assert link.height == height
            rpc.is_away = False
            await link.refresh()
            assert link.away_seconds == 0

    run(bench, work())


def test_heads_that_stay_unproven_count_as_silence(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        link, rpc = liar(bench, tmp_path)
        await link.connect()
        async with link.running():
            await asyncio.sleep(0.05)
            rpc.lies["proof_getConsistency"] = lambda found: {**found, "path": ["0x" + "00" * 32]}
            await rpc.mine(3)
            await asyncio.sleep(0.2)
            await link.records(bytes(32), BOB)  # answers as if nothing were wrong
            assert link.away_seconds > 0
            rpc.lies.clear()
            await rpc.mine()
            await link.wait_above(3)
            await asyncio.sleep(0.01)
            assert link.away_seconds == 0

    run(bench, work())


def test_connecting_is_tried_until_the_node_is_there(bench: NodeBench, tmp_path: Path) -> None:
    async def work() -> None:
        link, rpc = bench_link(bench, tmp_path)
        rpc.is_away = True
        said: list[str] = []

        def note(why: str) -> None:
            said.append(why)
            rpc.is_away = len(said) < 2

        await connect_patiently(link, note)
        assert said == ["the bench is away"] * 2
        rpc.is_away = True
        with pytest.raises(NodeAway):
            await connect_patiently(link, lambda _: None, patience=0.1)

    run(bench, work())


def test_nothing_is_known_before_the_first_answer(bench: NodeBench, tmp_path: Path) -> None:
    link, _ = bench_link(bench, tmp_path)
    for what in ("head", "domain", "parameters", "height"):
        with pytest.raises(NodeAway):
            getattr(link, what)


@pytest.mark.parametrize("url", ["", "127.0.0.1:8545", "ftp://x", "http://", "http://user@host", "unix:/x"])
def test_a_url_has_to_be_one_of_a_node(url: str) -> None:
    with pytest.raises(ValueError, match="expected a node"):
        NodeRpc(url)


def test_something_that_is_no_node_is_told_as_such() -> None:
    """An HTTP server that answers everything with a page."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\n<ht>")
        await writer.drain()
        writer.close()

    async def work() -> None:
        server = await asyncio.start_server(page, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rpc = NodeRpc(f"http://127.0.0.1:{port}")
        with pytest.raises(NodeAway, match="no Poolchain node"):
            await rpc.call("chain_status")
        with pytest.raises(NodeAway, match="WebSocket"):
            async with rpc.events("newHeads", {}):
                pass
        server.close()
        await server.wait_closed()
        with pytest.raises(NodeAway, match="cannot be reached"):
            await rpc.call("chain_status")
        await rpc.close()
        assert checksum_address(BOB).startswith("0x")

    asyncio.run(work())

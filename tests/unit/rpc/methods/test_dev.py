"""The levers of a devnet, which other nodes do not have."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest

from tests.model.small_chain import ALICE, ALICE_KEY, BOB, CAROL
from tests.node_bench import NodeBench, text


def test_mine_makes_one_block_or_as_many_as_are_asked_for(bench: NodeBench) -> None:
    bench.submit(bench.transfer(ALICE_KEY, BOB, 1))
    assert bench.call("dev_mine") == "0x1"
    assert bench.call("chain_getHeader", "0x1")["header"]["txCount"] == "0x1"
    assert bench.call("dev_mine", count="0x10") == "0x11"
    assert bench.call("chain_status")["head"]["height"] == "0x11"


@pytest.mark.parametrize("rounds", range(1, 6))
def test_a_block_is_made_to_its_end_when_whoever_asked_goes_away(bench: NodeBench, rounds: int) -> None:
    async def story() -> None:
        node = bench.node
        hashes = [await node.faucet(BOB, 5) for _ in range(3)]
        asking = asyncio.create_task(node.mine(1))
        for _ in range(rounds):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking, *node.maker._begun])
        assert node.view().height == 1
        assert node.pending_count() == 0
        assert all(node.view().location(found) is not None and node.pending(found) is None for found in hashes)
        await node.faucet(BOB, 5)
        assert await node.mine(1) == 2

    bench.runner.run(story())


@pytest.mark.parametrize("count", ["0x0", "0xf4241", 1, "1", None])
def test_mine_refuses_none_too_many_and_what_is_no_quantity(bench: NodeBench, count: object) -> None:
    bench.refuse("INVALID_PARAMS", -32602, "dev_mine", count)


@pytest.mark.parametrize("mode", ["on-transaction", "manual", "0x1", "0xe10"])
def test_sealing_is_answered_as_it_is_now(bench: NodeBench, mode: str) -> None:
    assert bench.call("dev_setSealing", mode) == mode
    assert bench.call("chain_status")["sealing"] == mode


@pytest.mark.parametrize("mode", ["0x0", "automatic", 5, None, "0x100000000"])
def test_sealing_refuses_other_modes(bench: NodeBench, mode: object) -> None:
    assert "on-transaction" in bench.refuse("INVALID_PARAMS", -32602, "dev_setSealing", mode)["expected"]


def test_time_is_moved_ahead_and_adds_up(bench: NodeBench) -> None:
    bench.mine()
    before = int(bench.call("chain_getHeader", "latest")["header"]["timestamp"], 16)
    assert bench.call("dev_increaseTime", "0xe10") == "0xe10"
    assert bench.call("dev_increaseTime", "0xe10") == "0x1c20"
    bench.mine()
    after = int(bench.call("chain_getHeader", "latest")["header"]["timestamp"], 16)
    assert 7200 <= after - before < 7260
    assert bench.store.view().clock_offset() == 7200
    bench.refuse("INVALID_PARAMS", -32602, "dev_increaseTime", "0x100000000")


def test_the_faucet_is_an_ordinary_transfer(bench: NodeBench) -> None:
    name = bench.call("dev_faucet", text(CAROL), "0x64")
    entry = bench.call("chain_getTransaction", name)
    assert (entry["type"], entry["status"], entry["fields"]["amount"]) == ("Transfer", "pending", "0x64")
    bench.mine()
    assert bench.call("account_get", text(CAROL))["balance"] == "0x64"


def test_the_faucet_refuses_as_any_transfer_would(bench: NodeBench) -> None:
    bench.refuse("INSUFFICIENT_BALANCE", -32003, "dev_faucet", text(CAROL), hex(10**9))
    bench.refuse("INVALID_PARAMS", -32602, "dev_faucet", text(CAROL), "0x0")


@pytest.mark.parametrize("name", ["dev_mine", "dev_setSealing", "dev_increaseTime", "dev_faucet"])
def test_only_a_devnet_has_them(name: str) -> None:
    with closing(NodeBench(devnet=False)) as bench:
        assert bench.refuse("METHOD_NOT_FOUND", -32601, name, text(ALICE), "0x1")["expected"] == "a devnet"

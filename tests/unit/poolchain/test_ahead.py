"""Blocks come in their order, each with its own transactions, however far ahead signatures are checked."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from ledger.block import Block
from ledger.errors import Refusal
from poolchain import ahead
from tests.unit.consensus.traffic import busy_world
from tests.unit.consensus.world import World


@pytest.fixture(scope="module")
def world() -> World:
    return busy_world(5, 60)


@pytest.mark.parametrize("bound", [0, 3, 5_000])
def test_every_block_comes_with_its_own_transactions(world: World, bound: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "TRANSACTIONS_AHEAD", bound)
    blocks = world.blocks()

    async def story() -> list[Block]:
        seen = []
        async with aclosing(ahead.decoded_ahead(blocks, world.domain)) as found:
            async for block, decode in found:
                assert list(decode(block.transactions)) == world.decode_all(block.transactions)
                seen.append(block)
        return seen

    assert asyncio.run(story()) == blocks


def test_a_transaction_that_is_none_is_refused_when_its_block_is_decoded(world: World) -> None:
    good, *_ = world.blocks()
    bad = Block(good.header, (*good.transactions, b"\x09"), good.seal)

    async def story() -> list[str]:
        outcomes = []
        async with aclosing(ahead.decoded_ahead([good, bad, good], world.domain)) as found:
            async for block, decode in found:
                try:
                    decode(block.transactions)
                except Refusal as refusal:
                    outcomes.append(refusal.reason)
                else:
                    outcomes.append("good")
        return outcomes

    assert asyncio.run(story()) == ["good", "MALFORMED", "good"]


def test_whoever_stops_early_leaves_nothing_behind(world: World) -> None:
    async def story() -> None:
        async with aclosing(ahead.decoded_ahead(world.blocks(), world.domain)) as found:
            async for _ in found:
                break
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(story())

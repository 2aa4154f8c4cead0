"""A block begins when nothing is on its way to its judgement, or after a while; judging waits while it is executed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from poolchain import turns
from poolchain.turns import Turns


def runs(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await story()

    asyncio.run(bounded())


def test_a_block_begins_at_once_where_nobody_judges() -> None:
    async def story() -> None:
        order = Turns()
        async with order.executing():
            pass
        await order.turn()

    runs(story)


def test_judging_waits_for_the_block_and_the_block_for_the_judging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 60.0)

    async def story() -> None:
        order, said = Turns(), []

        async def judge(name: str) -> None:
            with order.judging():
                said.append(f"{name} came")
                await asyncio.sleep(0.05)
                await order.turn()
                said.append(f"{name} judged")

        async def execute() -> None:
            async with order.executing():
                said.append("block")
                late = asyncio.create_task(judge("late"))
                await asyncio.sleep(0.2)
                assert said[-1] == "late came"
            said.append("block done")
            await late

        early = asyncio.create_task(judge("early"))
        await asyncio.sleep(0)
        await execute()
        await early
        assert said == ["early came", "early judged", "block", "late came", "block done", "late judged"]

    runs(story)


def test_a_stream_that_never_ends_does_not_keep_blocks_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_SECONDS", 0.05)

    async def story() -> None:
        order = Turns()
        with order.judging():
            async with order.executing():
                assert not order._not_executing.is_set()

    runs(story)


def test_a_block_that_fails_gives_the_turn_back() -> None:
    async def story() -> None:
        order = Turns()
        with pytest.raises(RuntimeError):
            async with order.executing():
                raise RuntimeError("bad block")
        await order.turn()

    runs(story)


def test_who_waited_for_one_block_waits_for_the_next_that_begins_at_once() -> None:
    async def story() -> None:
        order = Turns()
        with order.closed():
            waiting = asyncio.create_task(order.turn())
            await asyncio.sleep(0)
        async with order.executing():
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting

    runs(story)

"""Batches: order, limits, answers that come later, and turns for others."""

from __future__ import annotations

import asyncio
import json

from rpc.dispatch import Dispatcher
from rpc.limits import Limits

from .toy_methods import LIMITS, REGISTRY, Toy, ask, call, error, notification


def test_batch_answers_stand_in_the_order_of_the_calls() -> None:
    toy = Toy()
    messages: list[object] = [
        call("subtract", 5, 3, id="a"),
        notification("echo", 1),
        call("echo", 2, id=None),
        7,
        call("nope", id=3),
        call("echo", 2, id=None),
    ]
    answers = ask(messages, toy=toy)
    assert [answer["id"] for answer in answers] == ["a", None, None, 3, None]
    assert toy.calls == [1, 2, 2]


def test_batch_above_the_limit_is_one_error_and_nothing_runs() -> None:
    toy = Toy()
    assert len(ask([call("echo", n) for n in range(20)], toy=toy)) == 20
    assert error(ask([call("echo", n) for n in range(21)], toy=toy)) == (
        None,
        -32600,
        "INVALID_REQUEST",
    )
    assert toy.calls == [*range(20)]
    assert error(ask([notification("echo")] * 21, toy=toy))[1] == -32600


def test_array_in_a_batch_is_no_batch() -> None:
    assert error(ask([[call("echo")]])[0]) == (None, -32600, "INVALID_REQUEST")


def test_batch_that_grows_too_large_is_not_executed_to_its_end() -> None:
    toy = Toy()
    batch = [call("echo", str(n) * 4_000, id=n) for n in range(5)]
    answers = ask([*batch, notification("echo"), 7], toy=toy)
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3, 4, None]
    assert [answer["result"][0] for answer in answers[:2]] == ["0", "1"]
    for answer in answers[2:]:
        assert error(answer)[1:] == (-32005, "LIMIT")
    assert len(toy.calls) == 3


def test_answers_that_come_later_keep_their_places() -> None:
    toy = Toy()
    batch = [call("later", 1, id=1), call("later", "refuse", id=2), call("open", id=3)]
    answers = ask(batch, toy=toy)
    assert answers[0] == {"jsonrpc": "2.0", "id": 1, "result": 1}
    assert error(answers[1]) == (2, -32002, "PENDING")
    assert answers[1]["error"]["data"]["hash"] == "0xab"
    assert answers[2]["result"] is None
    assert toy.calls == [1, "refuse"]


def test_cancelled_batch_cancels_what_it_waits_for() -> None:
    async def run() -> int:
        dispatcher = Dispatcher(REGISTRY, Toy(), LIMITS)
        body = json.dumps([call("later", n) for n in range(5)]).encode()
        task = asyncio.create_task(dispatcher.answer(body))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


def test_batch_lets_others_have_their_turn() -> None:
    async def run() -> list[object]:
        toy = Toy()
        dispatcher = Dispatcher(REGISTRY, toy, Limits())
        batch = json.dumps([call("echo", "batch")] * 1_000).encode()
        one = json.dumps(call("echo", "single")).encode()
        await asyncio.gather(dispatcher.answer(batch), dispatcher.answer(one))
        return toy.calls

    assert asyncio.run(run()).index("single") < 100

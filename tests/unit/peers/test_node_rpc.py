"""JSON-RPC to a node over real sockets: an answer, a refusal with its reason, or nobody there."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from peers import node_rpc
from peers.node_rpc import NESTING_MAX, NodeAway, NodeRefused, NodeRpc, parse_answer

from .serving import run, saying, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Json = dict[str, Any]


def node(answer: Callable[[Any], object]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A node that answers a parsed request."""

    async def handle(request: web.Request) -> web.Response:
        return web.json_response(answer(json.loads(await request.read())))

    return handle


def result(request: Json, value: object = None) -> Json:
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error(request: Json, **data: Any) -> Json:
    return {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32003, "message": "no", "data": data}}


def test_a_call_is_json_rpc_with_named_parameters_and_a_number_of_its_own() -> None:
    seen: list[Json] = []

    def answer(request: Json) -> Json:
        seen.append(request)
        return result(request, {"balance": "0x1"})

    async def work() -> None:
        async with serving(node(answer)) as url:
            rpc = NodeRpc(url)
            assert await rpc.call("account_get", {"address": "0x12"}) == {"balance": "0x1"}
            assert await rpc.call("chain_status") == {"balance": "0x1"}
            await rpc.close()

    run(work())
    assert [(found["method"], found["params"]) for found in seen] == [
        ("account_get", {"address": "0x12"}),
        ("chain_status", {}),
    ]
    assert seen[0]["id"] != seen[1]["id"]


def test_a_null_result_is_an_answer() -> None:
    async def work() -> None:
        async with serving(node(result)) as url:
            rpc = NodeRpc(url)
            assert await rpc.call("eth_getBlockByNumber") is None
            await rpc.close()

    run(work())


@pytest.mark.parametrize(
    ("told", "reason", "text"),
    [
        ({"message": "no", "data": {"reason": "BAD_NONCE", "expected": "3", "given": "2"}}, "BAD_NONCE", "no"),
        ({"message": "", "data": {"reason": "BAD_NONCE"}}, "BAD_NONCE", "BAD_NONCE"),
        ({"message": "no"}, "UNKNOWN", "no"),
        ({"message": "no", "data": "words"}, "UNKNOWN", "no"),
        ({"data": {"reason": 7, "expected": None}}, "7", "7"),
        ({}, "UNKNOWN", "UNKNOWN"),
        ({"message": "x" * 1000}, "UNKNOWN", "x" * 200),
    ],
)
def test_a_refusal_has_its_reason_whatever_a_stranger_has_put_there(told: Json, reason: str, text: str) -> None:
    async def work() -> None:
        async with serving(node(lambda request: {"id": request["id"], "error": told})) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeRefused) as caught:
                await rpc.call("tx_submit")
            await rpc.close()
        assert (caught.value.reason, str(caught.value)) == (reason, text)
        assert isinstance(caught.value.expected, str)
        assert isinstance(caught.value.data, dict)

    run(work())


# Batches


def test_the_results_of_a_batch_stand_in_the_order_of_the_calls() -> None:
    async def work() -> None:
        turned = node(lambda requests: [result(request, request["params"]["n"]) for request in reversed(requests)])
        async with serving(turned) as url:
            rpc = NodeRpc(url)
            assert await rpc.call_many([("m", {"n": number}) for number in range(5)]) == [0, 1, 2, 3, 4]
            await rpc.close()

    run(work())


def test_the_first_call_of_a_batch_that_failed_is_told() -> None:
    def answer(requests: list[Json]) -> list[Json]:
        first, second, third = requests
        return [error(third, reason="THIRD"), error(second, reason="SECOND"), result(first)]

    async def work() -> None:
        async with serving(node(answer)) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeRefused) as caught:
                await rpc.call_many([("m", {})] * 3)
            await rpc.close()
        assert caught.value.reason == "SECOND"

    run(work())


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda requests: [result(requests[0])], "no JSON-RPC"),
        (lambda requests: [result(requests[0]), result(requests[0])], "no JSON-RPC"),
        (lambda _: ["words", 7], "no JSON-RPC"),
        (lambda _: "words", "no batch"),
        (lambda _: {}, "no JSON-RPC"),
    ],
)
def test_a_batch_that_is_not_answered_whole_is_no_nodes(answer: Callable[[Any], object], says: str) -> None:
    async def work() -> None:
        async with serving(node(answer)) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeAway, match=says):
                await rpc.call_many([("a", {}), ("b", {})])
            await rpc.close()

    run(work())


def test_a_batch_that_is_refused_as_a_whole_has_one_reason() -> None:
    async def work() -> None:
        whole = node(lambda _: {"id": None, "error": {"message": "too many", "data": {"reason": "INVALID_REQUEST"}}})
        async with serving(whole) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeRefused) as caught:
                await rpc.call_many([("a", {})])
            await rpc.close()
        assert caught.value.reason == "INVALID_REQUEST"

    run(work())


# Nobody there


def test_silence_ends_after_the_time_that_was_given() -> None:
    async def silent(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    async def work() -> None:
        async with serving(silent) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeAway, match=r"gave no answer within 0\.05 seconds"):
                await rpc.call("chain_status", seconds=0.05)
            await rpc.close()

    run(work())


def test_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_rpc, "ANSWER_BYTES_MAX", 1000)

    async def work() -> None:
        async with serving(node(lambda request: result(request, "x" * 1000))) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeAway, match="more than 1000 bytes"):
                await rpc.call("chain_status")
            await rpc.close()

    run(work())


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"\xff", b"[" * (NESTING_MAX + 1) + b"]" * (NESTING_MAX + 1), b"7", b"[]", b"null"]
)
def test_what_is_no_json_rpc_is_no_node(body: bytes) -> None:
    async def work() -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        async with saying(head + body) as url:
            rpc = NodeRpc(url)
            with pytest.raises(NodeAway, match="it is no Poolchain node"):
                await rpc.call("chain_status")
            await rpc.close()

    run(work())


def test_a_connection_that_the_node_has_closed_is_renewed() -> None:
    async def work() -> None:
        async with serving(node(result)) as url:
            rpc = NodeRpc(url)
            await rpc.call("chain_status")
            port = int(url.rsplit(":", 1)[1])
        # The same port, another server: a node that was restarted.
        server = await asyncio.start_server(_one_answer, "127.0.0.1", port)
        assert await rpc.call("chain_status") == "again"
        await rpc.close()
        server.close()
        await server.wait_closed()

    run(work())


async def _one_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{"result":"again"}')
    await writer.drain()
    writer.close()


def test_deep_json_is_refused_and_ordinary_is_read() -> None:
    deep = b"[" * NESTING_MAX + b"]" * NESTING_MAX
    assert isinstance(parse_answer(deep), list)
    with pytest.raises(ValueError, match="too many levels"):
        parse_answer(b"[" + deep + b"]")


# Events


def events(*messages: str, close: bool = True) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A node that takes a subscription and says these things."""

    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.path == "/ws"
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        assert (asked["method"], asked["params"]) == ("chain_subscribe", ["newHeads", {}])
        for message in messages:
            await socket.send_str(message)
        if not close:
            await socket.receive()
        await socket.close()
        return socket

    return handle


def told(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> list[Any]:
    """What comes of a subscription until the connection ends."""
    found: list[Any] = []

    async def work() -> None:
        async with serving(handle) as url:
            rpc = NodeRpc(url)
            try:
                async with rpc.events("newHeads", {}) as results:
                    async for event in results:
                        found.append(event)  # noqa: PERF401  # what came before a failure counts
            finally:
                await rpc.close()

    run(work())
    return found


EVENT = '{"method": "chain_subscription", "params": {"subscription": "0x1", "result": %d}}'


def test_events_come_one_after_the_other_until_the_connection_ends() -> None:
    assert told(events('{"id": 0, "result": "0x1"}', EVENT % 1, EVENT % 2)) == [1, 2]


@pytest.mark.parametrize("rubbish", ["{", "[" * 100])
def test_what_is_no_json_ends_a_subscription(rubbish: str) -> None:
    assert told(events(EVENT % 1, rubbish, EVENT % 2, close=False)) == [1]


@pytest.mark.parametrize(
    "message", ["7", "[]", '{"id": 0, "error": {"code": -32005, "message": "too many"}}', '{"error": null}']
)
def test_a_subscription_that_is_refused_is_told(message: str) -> None:
    with pytest.raises(NodeAway, match="refused the subscription"):
        told(events(message, close=False))

"""JSON-RPC 2.0: the examples of the specification, ids, notifications and failures."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpc.dispatch import Dispatcher
from rpc.limits import Limits

from .toy_methods import LIMITS, REGISTRY, Toy, ask, ask_raw, call, error, notification

if TYPE_CHECKING:
    from rpc.session import Session

EXAMPLES = json.loads(Path(__file__).with_name("jsonrpc_examples.json").read_text())


def shape(answer: Any) -> Any:
    """Reduce errors to their codes, as the specification's examples are written."""
    if isinstance(answer, list):
        return [shape(one) for one in answer]
    if answer is not None and "error" in answer:
        return {**answer, "error": {"code": answer["error"]["code"]}}
    return answer


@pytest.mark.parametrize(("text", "expected"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES])
def test_example_of_the_specification(text: str, expected: object) -> None:
    answer = ask_raw(text.encode())
    assert shape(None if answer is None else json.loads(answer)) == expected


@pytest.mark.parametrize(
    "request_id",
    [None, 0, 1, -1, 2**53, -(2**53), "", "a", "x" * 64, "\u00e9\U0001f600", "1", "null", "\x00"],
)
def test_id_comes_back_with_its_type(request_id: object) -> None:
    answer = ask(call("echo", 7, id=request_id))
    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": 7}
    assert type(answer["id"]) is type(request_id)
    assert error(ask(call("nope", id=request_id)))[0] == request_id


@pytest.mark.parametrize(
    "text",
    [
        "true",
        "false",
        "{}",
        "[]",
        "[1]",
        "1.5",
        "1.0",
        "1e2",
        "1e400",
        "9007199254740993",
        "-9007199254740993",
        "1" * 25,
        "9" * 5_000,
        '"' + "x" * 65 + '"',
        '"\\ud800"',
        '"a\\udc00"',
    ],
)
def test_bad_id_is_an_invalid_request_with_id_null(text: str) -> None:
    toy = Toy()
    body = f'{{"jsonrpc":"2.0","method":"echo","params":[7],"id":{text}}}'
    answer = ask_raw(body.encode(), toy=toy)
    assert answer is not None
    assert error(json.loads(answer)) == (None, -32600, "INVALID_REQUEST")
    batch = ask_raw(f"[{body},{json.dumps(call('echo', 8))}]".encode(), toy=toy)
    assert batch is not None
    first, second = json.loads(batch)
    assert error(first) == (None, -32600, "INVALID_REQUEST")
    assert second["result"] == 8
    assert toy.calls == [8]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"\xef\xbb\xbf{}", b"NaN", b'{"a":1,"a":2}'])
def test_unclear_text_is_a_parse_error_with_id_null(body: bytes) -> None:
    answer = ask_raw(body)
    assert answer is not None
    assert error(json.loads(answer)) == (None, -32700, "PARSE_ERROR")


@pytest.mark.parametrize(
    ("message", "request_id"),
    [
        (1, None),
        ("x", None),
        (None, None),
        (True, None),
        ({}, None),
        ({"method": "echo", "id": 7}, 7),
        ({"jsonrpc": "1.0", "method": "echo", "id": 7}, 7),
        ({"jsonrpc": 2, "method": "echo", "id": 7}, 7),
        ({"jsonrpc": None, "method": "echo"}, None),
        ({"jsonrpc": "2.0", "id": 7}, 7),
        (call(7, id="a"), "a"),
        (call(None), 1),
        (call(["echo"]), 1),
        (call(""), 1),
        (call("x" * 65), 1),
        (call("rpc.secret"), 1),
        (call("rpc."), 1),
        ({**call("echo"), "params": "7"}, 1),
        ({**call("echo"), "params": 7}, 1),
        ({**call("echo"), "params": None}, 1),
        ({**notification("echo"), "params": "7"}, None),
    ],
)
def test_json_that_is_no_request(message: object, request_id: object) -> None:
    toy = Toy()
    assert error(ask(message, toy=toy)) == (request_id, -32600, "INVALID_REQUEST")
    assert toy.calls == []


def test_unknown_members_of_a_request_are_ignored() -> None:
    assert ask({**call("echo", 7), "extra": {"a": [1]}, "ID": 9})["result"] == 7


def test_absent_parameters_are_empty_ones() -> None:
    request = call("echo")
    del request["params"]
    assert ask(request)["result"] is None
    assert ask({**request, "params": {}})["result"] is None


def test_wrong_parameters_name_the_parameter() -> None:
    for params in ([], ["0x01"], [1], {"Nonce": "0x1"}, ["0x1", "0x1"], [True]):
        answer = ask({**call("refuse"), "params": params})
        assert error(answer) == (1, -32602, "INVALID_PARAMS")
    assert "nonce" in ask(call("refuse"))["error"]["message"]


def test_refusal_of_the_ledger_is_answered_with_its_code() -> None:
    answer = ask(call("refuse", "0x3"))
    assert error(answer) == (1, -32003, "BAD_NONCE")
    assert answer["error"]["message"] == "nonce too low: expected nonce 5, given 3"


@pytest.mark.parametrize("how", ["encode", "surrogate", "recursion", "invariant", "disk"])
def test_unforeseen_failure_is_internal_and_logged_not_shown(how: str, caplog: pytest.LogCaptureFixture) -> None:
    answer = ask([call("break", how), call("echo", 7, id=2)])
    assert error(answer[0]) == (1, -32603, "INTERNAL")
    assert answer[1]["result"] == 7
    text = json.dumps(answer)
    assert "secret" not in text
    assert "Traceback" not in text
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is not None


def test_notification_is_executed_in_silence() -> None:
    toy = Toy()
    assert ask(notification("echo", 7), toy=toy) is None
    assert ask(notification("refuse", "bad"), toy=toy) is None
    assert ask(notification("break", "disk"), toy=toy) is None
    assert ask([notification("echo", 8), notification("nope")], toy=toy) is None
    assert toy.calls == [7, 8]


def test_far_too_many_values() -> None:
    limits = replace(LIMITS, values_max=100)
    assert error(ask([1] * 1_000, limits=limits)) == (None, -32600, "INVALID_REQUEST")
    assert error(ask(call("echo", [1] * 1_000), limits=limits)) == (None, -32005, "LIMIT")


def test_answer_that_is_too_large() -> None:
    assert ask(call("echo", "x" * 9_900))["result"] == "x" * 9_900
    answer = ask(call("echo", "x" * 10_000))
    assert error(answer) == (1, -32005, "LIMIT")


def test_nobody_waits_for_the_answer_of_a_notification() -> None:
    toy = Toy()
    assert ask(notification("later", 1), toy=toy) is None
    assert ask([notification("later", 2)], toy=toy) is None
    assert toy.calls == [1, 2]


def test_websocket_only_method_gets_its_session() -> None:
    async def run() -> tuple[Any, Any]:
        dispatcher = Dispatcher(REGISTRY, Toy(), LIMITS)
        body = json.dumps(call("whoami")).encode()
        session = cast("Session", "the session")
        return await dispatcher.answer(body, session), await dispatcher.answer(body)

    with_session, without = map(json.loads, asyncio.run(run()))
    assert with_session["result"] == "the session"
    assert error(without) == (1, -32601, "METHOD_NOT_FOUND")


def test_discover_is_a_method_like_any_other() -> None:
    document = ask(call("rpc.discover"), limits=Limits())["result"]
    assert {m["name"] for m in document["methods"]} == set(REGISTRY.methods)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)
REQUEST = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "id": JSON,
        "method": st.sampled_from([*REGISTRY.methods]) | JSON,
        "params": JSON,
        "more": JSON,
    },
)


@given(st.lists(REQUEST, max_size=25) | REQUEST | JSON)
def test_any_json_gets_a_well_formed_answer(message: object) -> None:
    toy = Toy()
    toy.gate.set()
    answer = ask(message, toy=toy)
    if answer is not None:
        for one in answer if isinstance(answer, list) else [answer]:
            if "result" in one:
                assert one.keys() == {"jsonrpc", "id", "result"}
            else:
                error(one)

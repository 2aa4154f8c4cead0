"""JSON-RPC over a real socket: every row of the JSON-RPC table, with the protocol's answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .toy_server import LIMITS, Edge, request, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    with running() as edge:
        yield edge


@pytest.fixture(autouse=True)
def _untouched(edge: Edge) -> Iterator[None]:
    edge.toy.calls.clear()
    yield
    assert edge.is_honest()
    assert edge.complaints == []


def ask(edge: Edge, body: bytes | str) -> Any:
    answer = edge.send(body.encode() if isinstance(body, str) else body)
    assert answer.status == 200
    return answer.value


def error(answer: Any) -> tuple[object, int, str]:
    assert answer.keys() == {"jsonrpc", "id", "error"}
    return answer["id"], answer["error"]["code"], answer["error"]["data"]["reason"]


ECHO = '{"jsonrpc":"2.0","id":1,"method":"echo","params":[%s]}'
DEEP = 100_000 // 2

PARSE_ERRORS = {
    "empty": b"",
    "brace": b"{",
    "bad UTF-8": (ECHO % '"\xff"').encode("latin-1"),
    "byte order mark": b"\xef\xbb\xbf" + (ECHO % "7").encode(),
    "UTF-16": (ECHO % "7").encode("utf-16"),
    "control character": ECHO % '"\n"',
    "NaN": ECHO % "NaN",
    "Infinity": ECHO % "-Infinity",
    "equal keys in the request": '{"jsonrpc":"2.0","id":1,"id":2,"method":"echo"}',
    "equal keys in a parameter": ECHO % '{"a":1,"a":1}',
    "nesting": ECHO % ("[" * 31 + "]" * 31),
    "open nesting": b"[" * DEEP,
    "closed nesting": b"[" * DEEP + b"]" * DEEP,
    "21 digits": ECHO % ("1" * 21),
    "5,000 digits": ECHO % ("1" * 5_000),
    "fraction": ECHO % "1.5",
    "exponent": ECHO % "1e400",
    "leading zeros": ECHO % "007",
    "plus": ECHO % "+1",
    "underscore": ECHO % "1_000",
    "in a batch": "[" + ECHO % "7" + ",{]",
}


@pytest.mark.parametrize("body", PARSE_ERRORS.values(), ids=PARSE_ERRORS.keys())
def test_parse_error(edge: Edge, body: bytes | str) -> None:
    assert error(ask(edge, body)) == (None, -32700, "PARSE_ERROR")
    assert edge.toy.calls == []


def test_thirty_two_levels_are_fine(edge: Edge) -> None:
    assert "result" in ask(edge, ECHO % ("[" * 30 + "]" * 30))


@pytest.mark.parametrize(
    "body",
    [
        "1",
        '"x"',
        "null",
        "true",
        "[]",
        "{}",
        '{"method":"echo"}',
        '{"jsonrpc":"1.0","method":"echo"}',
        '{"jsonrpc":2,"method":"echo"}',
        '{"jsonrpc":"2.0"}',
        '{"jsonrpc":"2.0","method":7}',
        '{"jsonrpc":"2.0","method":["echo"]}',
        '{"jsonrpc":"2.0","method":"%s"}' % ("x" * 65),
        '{"jsonrpc":"2.0","method":"rpc.nothing"}',
        '{"jsonrpc":"2.0","method":"echo","params":"x"}',
        '{"jsonrpc":"2.0","method":"echo","params":null}',
    ],
)
def test_invalid_request(edge: Edge, body: str) -> None:
    assert error(ask(edge, body)) == (None, -32600, "INVALID_REQUEST")
    assert edge.toy.calls == []


BAD_IDS = ["{}", "[1]", "true", "1.5", "1e400", "9007199254740993", "1" * 30]
BAD_IDS += [json.dumps("x" * 65), json.dumps("\ud800")]


@pytest.mark.parametrize("text", BAD_IDS)
def test_bad_id(edge: Edge, text: str) -> None:
    body = f'{{"jsonrpc":"2.0","method":"echo","params":[7],"id":{text}}}'
    assert error(ask(edge, body)) == (None, -32600, "INVALID_REQUEST")
    assert edge.toy.calls == []


@pytest.mark.parametrize("request_id", [0, -7, 2**53, "", "x" * 64, "7", "\u00e9", None])
def test_good_id_comes_back(edge: Edge, request_id: object) -> None:
    answer = edge.call("echo", 7, id=request_id)
    assert answer == {"jsonrpc": "2.0", "id": request_id, "result": 7}


def test_batch_above_the_limit(edge: Edge) -> None:
    batch = [request("echo", n, id=n) for n in range(LIMITS.batch_max)]
    answers = ask(edge, json.dumps(batch))
    assert [answer["id"] for answer in answers] == [*range(LIMITS.batch_max)]
    edge.toy.calls.clear()
    too_many = [*batch, request("echo")]
    assert error(ask(edge, json.dumps(too_many))) == (None, -32600, "INVALID_REQUEST")
    assert error(ask(edge, "[" + "1," * 40_000 + "1]")) == (None, -32600, "INVALID_REQUEST")
    assert edge.toy.calls == []


def test_batch_of_good_and_bad(edge: Edge) -> None:
    answers = ask(
        edge,
        json.dumps(
            [
                request("echo", 1, id="a"),
                {"jsonrpc": "2.0", "method": "echo", "params": [2]},
                7,
                request("nope", id=3),
                request("sleep", "0x20", id=4),
                request("echo", 5, id=None),
            ]
        ),
    )
    assert [answer["id"] for answer in answers] == ["a", None, 3, 4, None]
    assert [a.get("error", {}).get("code") for a in answers] == [None, -32600, -32601, None, None]
    assert edge.toy.calls == [1, 2, 5]


def test_answer_too_large(edge: Edge) -> None:
    assert len(edge.call("blow", "0x186a0")["result"]) == 100_000
    assert error(edge.call("blow", "0x30d40")) == (1, -32005, "LIMIT")
    answers = ask(edge, json.dumps([request("blow", "0x15f90", id=n) for n in range(4)]))
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
    assert ["result" in answer for answer in answers] == [True, True, False, False]
    assert error(answers[2])[1:] == error(answers[3])[1:] == (-32005, "LIMIT")


def test_unknown_methods_are_forgotten(edge: Edge) -> None:
    assert error(edge.call("no_such")) == (1, -32601, "METHOD_NOT_FOUND")
    for start in range(0, 2_000, LIMITS.batch_max):
        batch = [request(f"name{n}") for n in range(start, start + LIMITS.batch_max)]
        answers = ask(edge, json.dumps(batch))
        assert {answer["error"]["code"] for answer in answers} == {-32601}


NO_BYTES: list[Any] = [7, True, None, [], {}, "", "00", "0X00", "0x0", "0xAB", "0x 00", " 0x00"]
NO_BYTES += ["0x\u0661\u0661", "\ud800", "0x" + "0" * 9_999]
WRONG_PARAMETERS: list[Any] = [[], ["0x00", "0x00"], {"row": "0x00"}, {"raw": "0x00", "more": 1}]


@pytest.mark.parametrize("params", [*WRONG_PARAMETERS, *([value] for value in NO_BYTES)])
def test_wrong_parameters(edge: Edge, params: object) -> None:
    answer = ask(edge, json.dumps({**request("write"), "params": params}))
    assert error(answer) == (1, -32602, "INVALID_PARAMS")
    assert len(answer["error"]["data"]["given"]) <= 81
    assert edge.toy.calls == []


@pytest.mark.parametrize("value", [" 7 ", "1_000", "\u0667", "-0", "+1", "007", "7", "0x", True, 7])
def test_wrong_quantities(edge: Edge, value: object) -> None:
    answer = edge.call("blow", value)
    assert error(answer) == (1, -32602, "INVALID_PARAMS")
    assert answer["error"]["data"]["expected"].startswith("size: ")


def test_notification_of_a_write_is_executed(edge: Edge) -> None:
    answer = edge.send(b'{"jsonrpc":"2.0","method":"write","params":["0x0011"]}')
    assert (answer.status, answer.body) == (204, b"")
    assert edge.toy.calls == [2]


def test_websocket_method_says_where_it_lives(edge: Edge) -> None:
    answer = edge.call("subscribe")
    assert error(answer) == (1, -32601, "METHOD_NOT_FOUND")
    assert "/ws" in answer["error"]["message"]


def test_discover_is_there(edge: Edge) -> None:
    document = edge.call("rpc.discover")["result"]
    assert document["openrpc"] == "1.4.1"
    assert "echo" in {m["name"] for m in document["methods"]}

"""HTTP over a real socket: every row of the HTTP table, with the protocol's answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from rpc.doors import Doors

from .toy_server import (
    JSON_HEADERS,
    LIMITS,
    Answer,
    Edge,
    http_request,
    read_to_end,
    request,
    running,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO = json.dumps(request("echo", 7)).encode()
LISTED = "http://localhost:5173"


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    doors = Doors(hosts=("node.example",), origins=("http://localhost:*",))
    with running(doors=doors) as edge:
        yield edge


@pytest.fixture(autouse=True)
def _untouched(edge: Edge) -> Iterator[None]:
    """Whatever a test did, the server goes on and has not complained."""
    edge.toy.calls.clear()
    yield
    assert edge.is_honest()
    assert edge.complaints == []


def test_request_is_answered(edge: Edge) -> None:
    answer = edge.send(ECHO)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.value == {"jsonrpc": "2.0", "id": 1, "result": 7}


def test_error_has_status_200(edge: Edge) -> None:
    for body in (b"", b"{", b"[]", b"7", json.dumps(request("nope")).encode()):
        answer = edge.send(body)
        assert answer.status == 200
        assert answer.value["error"]["code"] < 0


@pytest.mark.parametrize("batch", [False, True])
def test_notification_is_answered_with_204_and_nothing(edge: Edge, batch: bool) -> None:
    message = {"jsonrpc": "2.0", "method": "echo", "params": [8]}
    answer = edge.send(json.dumps([message, message] if batch else message).encode())
    assert (answer.status, answer.body) == (204, b"")
    assert edge.toy.calls == ([8, 8] if batch else [8])


def test_connection_serves_many_requests(edge: Edge) -> None:
    with edge.connect() as client:
        for number in range(50):
            body = json.dumps(request("echo", number)).encode()
            client.sendall(http_request(body))
            assert client.recv(65536).endswith(b'"result":%d}' % number)


def test_pipelined_requests_are_answered_in_order(edge: Edge) -> None:
    requests = [http_request(json.dumps(request("echo", n, id=n)).encode()) for n in range(5)]
    last = http_request(ECHO, "Connection: close")
    answers = edge.talk(b"".join(requests) + last)
    bodies = [part.split(b"\r\n\r\n")[1] for part in answers.split(b"HTTP/1.1 200 OK")[1:]]
    assert [json.loads(body)["result"] for body in bodies] == [0, 1, 2, 3, 4, 7]


def test_body_in_pieces_is_one_request(edge: Edge) -> None:
    with edge.connect() as client:
        for byte in http_request(ECHO, "Connection: close"):
            client.sendall(bytes([byte]))
        assert read_to_end(client).endswith(b'"result":7}')


def test_peer_that_shuts_down_its_side_still_gets_its_answer(edge: Edge) -> None:
    with edge.connect() as client:
        client.sendall(http_request(json.dumps(request("sleep", "0x64")).encode()))
        client.shutdown(1)
        assert read_to_end(client).endswith(b'"result":100}')


@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"])
def test_other_verbs_are_not_allowed(edge: Edge, verb: str) -> None:
    answer = edge.send(None, verb=verb)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("path", ["/x", "//", "/ws/", "/docs", "/openapi.json", "/redoc", "/%00"])
@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_unknown_paths_are_not_found(edge: Edge, verb: str, path: str) -> None:
    assert edge.send(ECHO, verb=verb, path=path).status == 404


def test_health_tells_whether_and_why_not(edge: Edge) -> None:

    ready = edge.send(verb="GET", path="/health")
    assert (ready.status, ready.value["reason"]) == (200, None)
    edge.not_ready.append("storage failed")
    try:
        answer = edge.send(verb="GET", path="/health")
    finally:
        edge.not_ready.clear()
    assert (answer.status, answer.value["reason"]) == (503, "storage failed")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "Application/JSON",
    ],
)
def test_json_is_taken(edge: Edge, content_type: str) -> None:
    assert edge.send(ECHO, {"Content-Type": content_type}).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/plain; charset=application/json",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/json-rpc",
        "application/jsonx",
        "application/json, text/plain",
        "*/*",
    ],
)
def test_other_content_types_are_not(edge: Edge, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    assert edge.send(ECHO, headers).status == 415
    assert edge.toy.calls == []


@pytest.mark.parametrize("path", ["/", "/health", "/x"])
@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_foreign_host_is_refused(edge: Edge, host: str, path: str) -> None:
    answer = edge.send(ECHO, {**JSON_HEADERS, "Host": host}, path=path)
    assert answer.status == 403
    assert edge.toy.calls == []


@pytest.mark.parametrize("host", ["node.example", "NODE.example:443", "[::1]:1", "localhost"])
def test_listed_host_is_served(edge: Edge, host: str) -> None:
    assert edge.send(ECHO, {**JSON_HEADERS, "Host": host}).status == 200


def test_absent_or_repeated_host_is_a_bad_request(edge: Edge) -> None:
    for lines in ("", "Host: localhost\r\nHost: localhost\r\n"):
        answer = edge.talk(f"GET /health HTTP/1.1\r\n{lines}\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400 ")
    assert edge.talk(b"GET /health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def send_from(edge: Edge, origin: str) -> Answer:
    return edge.send(ECHO, {**JSON_HEADERS, "Origin": origin})


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://localhost"])
def test_unlisted_origin_is_refused(edge: Edge, origin: str) -> None:
    answer = send_from(edge, origin)
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers
    assert edge.toy.calls == []


def test_listed_origin_may_read(edge: Edge) -> None:
    answer = send_from(edge, LISTED)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, LISTED)
    preflight = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
    allowed = edge.send(None, preflight, verb="OPTIONS")
    assert (allowed.status, allowed.body) == (204, b"")
    assert allowed.headers["access-control-allow-origin"] == LISTED
    assert allowed.headers["access-control-allow-headers"] == "content-type"
    health = edge.send(None, {"Origin": LISTED}, verb="GET", path="/health")
    assert health.headers["access-control-allow-origin"] == LISTED
    evil = {**preflight, "Origin": "https://evil.example"}
    assert edge.send(None, evil, verb="OPTIONS").status == 403


def test_own_pages_may_call_without_cors(edge: Edge) -> None:
    answer = send_from(edge, f"http://127.0.0.1:{edge.port}")
    assert answer.status == 200
    assert "access-control-allow-origin" not in answer.headers


def test_body_at_the_limit_is_read(edge: Edge) -> None:
    body = ECHO + b" " * (LIMITS.body_bytes_max - len(ECHO))
    assert edge.send(body).value["result"] == 7


@pytest.mark.parametrize("size", [LIMITS.body_bytes_max + 1, 40_000_000])
def test_body_above_the_limit_is_refused_and_told_so(edge: Edge, size: int) -> None:
    answer = edge.send(ECHO + b" " * (size - len(ECHO)))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert edge.toy.calls == []


def test_declared_length_alone_is_enough_to_refuse(edge: Edge) -> None:
    for length in (LIMITS.body_bytes_max + 1, 10**17, 10**19):
        answer = edge.talk(http_request(b"", length=length))
        assert answer.startswith(b"HTTP/1.1 413 ")


def test_chunked_body_is_read_and_has_the_same_limit(edge: Edge) -> None:
    head = http_request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    small = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ECHO), ECHO)
    with edge.connect() as client:
        client.sendall(head + small)
        assert client.recv(65536).endswith(b'"result":7}')
    chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    edge.toy.calls.clear()
    assert edge.talk(head + chunk * 100).startswith(b"HTTP/1.1 413 ")
    assert edge.toy.calls == []


def test_expecting_client_is_told_before_it_sends(edge: Edge) -> None:
    with edge.connect() as client:
        client.sendall(http_request(b"", "Expect: 100-continue", length=LIMITS.body_bytes_max + 1))
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
    with edge.connect() as client:
        client.sendall(http_request(b"", "Expect: 100-continue", length=len(ECHO)))
        assert client.recv(65536).startswith(b"HTTP/1.1 100 ")
        client.sendall(ECHO)
        assert client.recv(65536).endswith(b'"result":7}')


@pytest.mark.parametrize(
    "data",
    [
        http_request(ECHO, "Transfer-Encoding: chunked"),
        http_request(ECHO).replace(b"Content-Length: ", b"Content-Length: -"),
        http_request(ECHO).replace(b"Content-Length: ", b"Content-Length: +"),
        http_request(ECHO).replace(b"Content-Length: ", b"Content-Length: x"),
        http_request(ECHO, "Content-Length: 3"),
        http_request(ECHO, "X-Large: " + "x" * 70_000),
        http_request(ECHO, *[f"X-{n}: {'x' * 1_000}" for n in range(70)]),
        http_request(ECHO).replace(b"HTTP/1.1", b"HTTP/7"),
        http_request(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: gzip"),
        http_request(b"zz\r\n").replace(b"Content-Length: 4", b"Transfer-Encoding: chunked"),
        http_request(ECHO).replace(b"Host:", b"Ho st:"),
        http_request(ECHO).replace(b"POST /", b"POST /\x80"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"\x00" * 100,
        b"\r\r\r\n",
        b"nonsense\r\n\r\n",
        b"x" * 70_000,
    ],
    ids=range(17),
)
def test_what_is_not_http_is_a_bad_request(edge: Edge, data: bytes) -> None:
    assert edge.talk(data).startswith(b"HTTP/1.1 400 ")
    assert edge.toy.calls == []


def test_length_that_is_too_short_leaves_rubbish_behind(edge: Edge) -> None:
    answer = edge.talk(http_request(ECHO + b"\x00rest", length=len(ECHO)))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"HTTP/1.1 400 " in answer


def test_early_refusal_leaves_the_connection_usable(edge: Edge) -> None:
    with edge.connect() as client:
        wrong = http_request(ECHO).replace(b"application/json", b"text/plain")
        client.sendall(wrong[:-5])
        assert client.recv(65536).startswith(b"HTTP/1.1 415 ")
        client.sendall(wrong[-5:] + http_request(ECHO))
        assert client.recv(65536).endswith(b'"result":7}')


def test_failing_method_is_a_json_rpc_error(edge: Edge) -> None:
    answer = edge.call("fail")
    assert answer["error"]["code"] == -32603
    assert answer["error"]["data"]["reason"] == "INTERNAL"

"""The client keeps its connection, types what it gets, and says in a sentence why there is no answer."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from poolchain.failure import EXIT_REFUSED, EXIT_UNAVAILABLE, BadArgument, Unavailable
from poolchain.rpc_client import RpcClient, RpcFailure

from .fake_rpc import Error, FakeRpc, Raw, fake_rpc

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def fake() -> Iterator[FakeRpc]:
    with fake_rpc({"echo": lambda params: params}) as fake:
        yield fake


@pytest.fixture
def client(fake: FakeRpc) -> Iterator[RpcClient]:
    client = RpcClient(fake.url)
    yield client
    client.close()


def test_parameters_go_by_name_or_by_position_over_one_connection(fake: FakeRpc, client: RpcClient) -> None:
    assert client.call("echo", a="0x1", b=None) == {"a": "0x1", "b": None}
    assert client.call("echo", "x", 1) == ["x", 1]
    assert client.call("echo") == []
    assert fake.connections == 1


def test_connection_that_the_node_closed_is_made_anew(fake: FakeRpc, client: RpcClient) -> None:
    fake.answers["last"] = lambda _: Raw(200, b'{"result": 1}', close=True)
    assert client.call("last") == 1
    time.sleep(0.1)
    assert client.call("echo") == []
    assert fake.connections == 2


def test_request_without_an_answer_is_not_sent_again(fake: FakeRpc, client: RpcClient) -> None:
    fake.answers["cut"] = lambda _: Raw(200, b"", cut=True)
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        client.call("cut")
    assert caught.value.reason == "UNREACHABLE"
    assert fake.calls == [("cut", [])]
    assert client.call("echo") == []


def test_error_has_all_that_the_node_said(fake: FakeRpc, client: RpcClient) -> None:
    fake.answers["bad"] = Error("BAD_NONCE", -32003, "nonce too low", expected="nonce 3", given="1", hash="0x12")
    with pytest.raises(RpcFailure, match="nonce too low") as caught:
        client.call("bad")
    error = caught.value
    assert (error.code, error.reason, error.expected, error.given) == (-32003, "BAD_NONCE", "nonce 3", "1")
    assert error.exit_status == EXIT_REFUSED
    assert error.as_json() == {
        "reason": "BAD_NONCE",
        "message": "nonce too low",
        "expected": "nonce 3",
        "given": "1",
        "hash": "0x12",
        "code": -32003,
    }


@pytest.mark.parametrize("reason", ["STORAGE_FAILED", "NOT_READY", "INTERNAL"])
def test_trouble_of_the_node_is_not_a_refusal(fake: FakeRpc, client: RpcClient, reason: str) -> None:
    fake.answers["bad"] = Error(reason)
    with pytest.raises(RpcFailure) as caught:
        client.call("bad")
    assert caught.value.exit_status == EXIT_UNAVAILABLE


@pytest.mark.parametrize(
    ("status", "data"),
    [(404, b"<h1>Not here</h1>"), (403, b"foreign host"), (200, b"{}"), (200, b"[]"), (200, b"\xff")],
)
def test_what_is_no_json_rpc_is_said_so(fake: FakeRpc, client: RpcClient, status: int, data: bytes) -> None:
    fake.answers["odd"] = lambda _: Raw(status, data)
    with pytest.raises(Unavailable, match=f"HTTP status {status} and no JSON-RPC: is it a Poolchain node") as caught:
        client.call("odd")
    assert caught.value.reason == "UNREACHABLE"


def test_port_where_nothing_listens_names_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match="nothing listens at http") as caught:
            RpcClient(url).call("echo")
    assert caught.value.exit_status == EXIT_UNAVAILABLE


def test_silent_node_is_given_up(fake: FakeRpc) -> None:
    def sleep(_: Any) -> None:
        time.sleep(0.5)

    fake.answers["sleep"] = sleep
    with pytest.raises(Unavailable, match="no answer in time"):
        RpcClient(fake.url, timeout_seconds=0.1).call("sleep")


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8545", "ftp://a", "http://", "http://a:b", "http://a:99999", "http://me:pw@a", "http://[::1"]
)
def test_bad_url_is_refused(url: str) -> None:
    with pytest.raises(BadArgument, match="--rpc takes an address such as"):
        RpcClient(url)

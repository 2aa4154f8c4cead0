"""The load generator against a server that answers as it is told: in pieces, with errors, too late."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from benchmarks.caller import Caller, request, submit_many, submit_one, whole_length
from benchmarks.load import Load, drive

OK = b'{"jsonrpc":"2.0","id":1,"result":"0x1"}'
REFUSED = b'{"jsonrpc":"2.0","id":1,"error":{"code":-32005}}'
Answer = Callable[[socket.socket, bytes], None]


def http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def at_once(connection: socket.socket, _: bytes) -> None:
    connection.sendall(http(OK))


@contextmanager
def server(answer: Answer) -> Iterator[int]:
    """A server on 127.0.0.1 with a thread for each connection; the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve(connection: socket.socket) -> None:
            with closing(connection), suppress(OSError):
                received = b""
                while data := connection.recv(1 << 16):
                    received += data
                    while (length := whole_length(received.replace(b"Content-L", b"content-l"))) is not None:
                        if len(received) < length:
                            break
                        one, received = received[:length], received[length:]
                        answer(connection, one)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_every_request_of_every_lane_is_sent_in_order() -> None:
    seen: list[bytes] = []

    def remember(connection: socket.socket, received: bytes) -> None:
        seen.append(received)
        at_once(connection, received)

    lanes = [[request("m", lane, number) for number in range(5)] for lane in range(3)]
    with server(remember) as port:
        driven = drive(Load(port, lanes, until_committed=False))
    assert (driven.failed, len(driven.latencies)) == (0, 15)
    for lane in lanes:
        assert [one for one in seen if one in lane] == lane


def test_an_answer_in_pieces_is_one_answer() -> None:
    def in_pieces(connection: socket.socket, _: bytes) -> None:
        for byte in http(OK):
            connection.sendall(bytes([byte]))

    with server(in_pieces) as port:
        driven = drive(Load(port, [[request("m")] * 4], until_committed=False))
    assert (driven.failed, len(driven.latencies)) == (0, 4)


def test_large_requests_and_answers_of_changing_length_pass() -> None:
    answers = iter([http(b'"' + b"a" * size + b'"') for size in (10, 300_000, 20, 100_000, 100_000)])
    with server(lambda connection, _: connection.sendall(next(answers))) as port:
        driven = drive(Load(port, [[submit_many([bytes(291)] * 5_000)] * 5], until_committed=False))
    assert (driven.failed, len(driven.latencies)) == (0, 5)


def test_errors_are_counted_and_the_first_are_kept() -> None:
    with server(lambda connection, _: connection.sendall(http(REFUSED))) as port:
        driven = drive(Load(port, [[request("m")] * 5], until_committed=False))
    assert driven.failed == 5
    assert all("-32005" in error for error in driven.errors)


def test_an_answer_that_is_not_200_is_an_error() -> None:
    with server(lambda connection, _: connection.sendall(http(OK).replace(b"200 OK", b"503 No"))) as port:
        assert drive(Load(port, [[request("m")]], until_committed=False)).failed == 1


def test_a_closed_connection_ends_the_load() -> None:
    with server(lambda connection, _: connection.close()) as port, pytest.raises(OSError, match=r"closed|reset"):
        drive(Load(port, [[request("m")]], until_committed=False))


def test_the_clock_runs_until_nothing_is_pending() -> None:
    statuses = iter(["0x2", "0x1", "0x0"])

    def answer(connection: socket.socket, received: bytes) -> None:
        if b"chain_status" in received:
            body = b'{"result":{"pending":"%s","head":{"height":"0x7"}}}' % next(statuses).encode()
            connection.sendall(http(body))
        else:
            at_once(connection, received)

    with server(answer) as port:
        driven = drive(Load(port, [[request("m")]]))
    assert driven.height == 7
    assert driven.started < driven.answered < driven.committed
    assert driven.seconds == driven.committed - driven.started


def test_a_caller_gets_the_result() -> None:
    with server(at_once) as port, Caller(port) as caller:
        assert caller.call("m") == "0x1"


def test_a_caller_raises_for_an_error() -> None:
    with (
        server(lambda connection, _: connection.sendall(http(REFUSED))) as port,
        Caller(port) as caller,
        pytest.raises(RuntimeError, match="-32005"),
    ):
        caller.call("m")


def test_submissions_are_the_protocols() -> None:
    assert submit_one(b"\x01\xff", "committed").endswith(b'"method": "tx_submit", "params": ["0x01ff", "committed"]}')
    assert submit_many([b"\x01", b"\x02"]).endswith(b'"method": "tx_submitMany", "params": [["0x01", "0x02"]]}')


@pytest.mark.parametrize(
    ("received", "length"),
    [
        (b"", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n", 45),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\na: content-length: 9\r\n\r\nxx", 67),
    ],
)
def test_the_length_of_an_answer_is_known_with_its_head(received: bytes, length: int | None) -> None:
    assert whole_length(received) == length

"""A server as a process: how it starts, what it says when it cannot, and how signals end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from poolchain.http_server import CannotListen, serve

from .toy_server import http_request, read_to_end, request

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SLEEP = http_request(json.dumps(request("sleep", "0x1f4")).encode())
SLEEP_LONG = http_request(json.dumps(request("sleep", "0xea60")).encode())


@contextlib.contextmanager
def process(port: int = 0, leaving_seconds: float = 0.0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.functional.toy_process"]
    child = subprocess.Popen(
        [*command, str(port), str(leaving_seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def start(child: subprocess.Popen[str]) -> int:
    """Wait until it listens; return the port."""
    assert line(child) == "entered"
    host, port = line(child).split()
    assert host == "127.0.0.1"
    return int(port)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_in_order(number: int) -> None:
    with process() as child:
        port = start(child)
        with socket.create_connection(("127.0.0.1", port)):  # half-open ones do not hold it up
            began = time.monotonic()
            child.send_signal(number)
            out, err = child.communicate(timeout=10)
        assert time.monotonic() - began < 2
        assert out.split() == ["leaving", "left", "done"]
        assert err == ""
        assert child.returncode == 0


def test_request_under_way_is_finished() -> None:
    with process() as child:
        port = start(child)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(SLEEP)
            time.sleep(0.1)
            child.send_signal(signal.SIGTERM)
            assert read_to_end(client).endswith(b'"result":500}')
        assert child.wait(10) == 0


def test_request_without_end_is_answered_that_the_node_stops() -> None:
    with process() as child:
        port = start(child)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(SLEEP_LONG)
            time.sleep(0.1)
            child.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port))
            assert read_to_end(client).startswith(b"HTTP/1.1 503 ")
        assert child.wait(10) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_further_signals_do_not_cut_the_end_short(number: int) -> None:
    with process(leaving_seconds=0.7) as child:
        start(child)
        for _ in range(8):
            child.send_signal(number)
            time.sleep(0.05)
        assert line(child) == "leaving"
        for _ in range(5):
            child.send_signal(number)
            time.sleep(0.05)
        out, err = child.communicate(timeout=10)
        assert out.split() == ["left", "done"]
        assert err == ""
        assert child.returncode == 0


def test_signal_before_it_listens_counts() -> None:
    with process() as child:
        assert line(child) == "entered"
        os.kill(child.pid, signal.SIGTERM)
        out, _ = child.communicate(timeout=10)
        assert out.split()[-3:] == ["leaving", "left", "done"]
        assert child.returncode == 0


def test_taken_port_is_one_sentence_with_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with process(port=port) as child:
            out, err = child.communicate(timeout=10)
    assert child.returncode == 1
    assert out == ""  # the lifespan was never entered
    assert err == (
        f"Port {port} on 127.0.0.1 is taken by another program: stop that one, or choose "
        "another port with --port (0 takes any free one).\n"
    )


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("192.0.2.1", 0, "192.0.2.1 is not an address of this machine: choose another with --host."),
        ("127.0.0.1", 65_536, "Port 65536 does not exist: ports go from 0 to 65535."),
        ("127.0.0.1", -1, "Port -1 does not exist: ports go from 0 to 65535."),
    ],
)
def test_bad_address_is_one_sentence(host: str, port: int, sentence: str) -> None:
    with pytest.raises(CannotListen) as caught:
        asyncio.run(serve(None, host, port, lambda *_: None))
    assert str(caught.value) == sentence


def test_port_is_free_again_at_once() -> None:
    with process() as child:
        port = start(child)
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(SLEEP)
            client.recv(1_000)
            child.send_signal(signal.SIGTERM)
            child.wait(10)
    with process(port=port) as child:
        assert start(child) == port
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0

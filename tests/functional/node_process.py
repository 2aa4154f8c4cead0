"""A real node for black-box tests: `python -m poolchain devnet` in a process and a directory of its own.

    with NodeProcess(tmp_path) as node:
        node.call("eth_chainId")

The process is ended by its own pid: `terminate` as an operator would, `kill` as a crash would, and `start` goes on in
the same data directory. Every call has a connection of its own, so that threads can share a node.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
START_S = 30
STOP_S = 20
CALL_S = 40
"""Longer than wait "committed" may take."""


class RpcFailure(Exception):
    """The `error` member of an answer."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(json.dumps(error))
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")

    @property
    def reason(self) -> str:
        return str(self.data["reason"])


class Reply(NamedTuple):
    """What came over HTTP."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes


class NodeProcess:
    """One devnet; `options` are further arguments of the command, such as "--seal", "manual"."""

    def __init__(
        self, folder: Path, *options: str, command: str = "devnet", environment: Mapping[str, str] | None = None
    ) -> None:
        """Keep the chain in `folder`/devnet; nothing is started yet."""
        self.data_dir = folder / "devnet"
        self.options = options
        self.banner: dict[str, Any] = {}
        self._command = command
        self._environment = {**os.environ, **(environment or {})}
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The process

    def start(self, *options: str) -> dict[str, Any]:
        """Start in the data directory, with further options for this once; return the banner."""
        assert self._process is None, "the node is running"
        self._starts += 1
        command = [sys.executable, "-m", "poolchain", self._command, "--data-dir", str(self.data_dir), "--port", "0"]
        with self._output("out").open("wb") as out, self._output("err").open("wb") as err:
            self._process = subprocess.Popen(
                [*command, "--json", *self.options, *options],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.banner = json.loads(self._first_line())
        if "rpc" not in self.banner:
            # With --json a failure is one object, too.
            self.wait()
            raise RuntimeError(f"the node did not start: {self.banner}")
        return self.banner

    @property
    def pid(self) -> int:
        assert self._process is not None, "the node is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def terminate(self, with_signal: signal.Signals = signal.SIGTERM) -> int:
        """Ask the node to stop, as an operator would; return its exit status."""
        os.kill(self.pid, with_signal)
        return self.wait()

    def kill(self) -> None:
        """End the node as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait until the node has ended; return its exit status."""
        assert self._process is not None, "the node is not running"
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
            raise
        finally:
            self._process = None

    def restart(self, *options: str) -> dict[str, Any]:
        """Stop the node and start it again in the same data directory; return the new banner."""
        self.terminate()
        return self.start(*options)

    def close(self) -> None:
        """End the node if it is still there."""
        if self.running:
            self.kill()
        elif self._process is not None:
            self.wait()

    def errors(self) -> str:
        """What the node has written to standard error since its latest start."""
        return self._output("err").read_text("utf-8", "replace")

    def _output(self, name: str) -> Path:
        return self._folder / f"node-{self._starts}.{name}"

    def _first_line(self) -> bytes:
        out = self._output("out")
        deadline = time.monotonic() + START_S
        while b"\n" not in (found := out.read_bytes()):
            if not self.running or time.monotonic() > deadline:
                found = out.read_bytes()
                self.close()
                raise RuntimeError(f"the node did not start:\n{found.decode()}\n{self.errors()}")
            time.sleep(0.01)
        return found.split(b"\n", 1)[0]

    # Calls

    @property
    def url(self) -> str:
        return str(self.banner["rpc"])

    def call(self, method: str, /, *params: Any, **named: Any) -> Any:
        """The result of one call; raises RpcFailure."""
        answer = self.ask(method, *params, **named)
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def ask(self, method: str, /, *params: Any, **named: Any) -> dict[str, Any]:
        """The whole answer to one call."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": named or list(params)}
        answer: dict[str, Any] = self.post_json(request)
        return answer

    def batch(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> list[dict[str, Any]]:
        """The answers to (method, parameters by position), in the order of the calls."""
        requests = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, (method, params) in enumerate(calls)
        ]
        answers: list[dict[str, Any]] = self.post_json(requests)
        return answers

    def post_json(self, value: Any) -> Any:
        """The JSON that the node answers to this JSON."""
        reply = self.request("POST", "/", json.dumps(value).encode())
        assert reply.status == 200, reply
        return json.loads(reply.body)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One HTTP exchange; the type of a body is application/json unless `headers` say otherwise."""
        at = urlsplit(self.url)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=CALL_S)
        try:
            sent = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, body, {**sent, **(headers or {})})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

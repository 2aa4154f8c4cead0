"""A real cacher for black-box tests: `python -m poolchain serve` in a process and a directory of its own.

    with NodeProcess(tmp_path) as node, CacherProcess(tmp_path, node.url, price=10**12) as cacher:
        cacher.request("GET", "/status")

`resource` puts chunks on its shelf, so that no origin is needed. The process is ended by its own pid.
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
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from peers.chunk_store import ChunkStore, cut_path

from .node_process import ROOT, START_S, STOP_S, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from peers.manifest import Manifest

CALL_S = 30


def tokens(amount: int) -> str:
    """Base units as the command line takes tokens."""
    whole, fraction = divmod(amount, 10**18)
    return f"{whole}.{fraction:018}"


class CacherProcess:
    """One seller; `options` are further arguments of the command, such as "--margin", "5"."""

    def __init__(self, folder: Path, rpc: str, *options: str, price: int = 10**15, account: str = "devnet:1") -> None:
        self.data_dir = folder / f"serve-{account.replace(':', '-')}"
        self.banner: dict[str, Any] = {}
        self._arguments = ["--rpc", rpc, "--from", account, "--price", tokens(price), "--data-dir", str(self.data_dir)]
        self._arguments += ["--json", *options]
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resource(self, chunks: Sequence[bytes], *, chunk_bytes: int) -> Manifest:
        """Put a resource of one file on the shelf before the start; every chunk but the last has `chunk_bytes`."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        source = self.data_dir / "content.bin"
        source.write_bytes(b"".join(chunks))
        manifest = cut_path(source, chunk_bytes=chunk_bytes, price_per_chunk=1)
        with ChunkStore(self.data_dir / "chunks" / manifest.resource_id.hex(), manifest) as store:
            for index, chunk in enumerate(chunks):
                store.put(index, manifest.verify_chunk(index, chunk))
        return manifest

    # The process

    def start(self, patience_s: float = START_S) -> dict[str, Any]:
        """Start at the port that it had before; return the first status. Raises RuntimeError."""
        assert self._process is None, "the cacher is running"
        self._starts += 1
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "poolchain", "serve", *self._arguments, "--port", str(self._port)]
        with self._output("out").open("wb") as out, self._output("err").open("wb") as err:
            self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        deadline = time.monotonic() + patience_s
        while not (lines := self.lines()):
            if not self.running or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(f"the cacher did not start:\n{self.errors()}")
            time.sleep(0.02)
        if "error" in lines[0]:
            self.wait()
            raise RuntimeError(f"the cacher did not start: {lines[0]}")
        self.banner = lines[0]
        self._port = urlsplit(self.url).port or 0
        return self.banner

    @property
    def url(self) -> str:
        return str(self.banner["url"])

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the cacher is not running"
        return self._process.pid

    def terminate(self) -> int:
        """Ask it to stop, which settles; return its exit status."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        assert self._process is not None, "the cacher is not running"
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S)
            raise
        finally:
            self._process = None

    def close(self) -> None:
        if self.running:
            self.kill()
        elif self._process is not None:
            self.wait()

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines printed since the latest start."""
        text = self._output("out").read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def errors(self) -> str:
        return self._output("err").read_text("utf-8", "replace")

    def _output(self, name: str) -> Path:
        return self.data_dir / f"process-{self._starts}.{name}"

    # Requests

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One HTTP exchange on a connection of its own."""
        at = urlsplit(self.url)
        connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=CALL_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.request("GET", "/status").body)
        return found

"""Programs as processes that start in a moment: forked from a server that has imported everything once.

    with Program("poolchain.cli", ["publish", path, "--json"], out=folder / "origin.out") as origin:
        origin.first_line()["url"]

A program is a module with `main(arguments)`. It is ended by its own pid.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

START_S = 30.0
STOP_S = 40.0
PRELOADED = [
    "pytest",
    "aiohttp.web",
    "tests.peers_attack.programs.honest",
    "poolchain.commands.fetch",
    "poolchain.commands.publish",
    "poolchain.commands.serve",
    "tests.peers_attack.programs.buyer",
    "tests.peers_attack.programs.askew",
    "tests.peers_attack.programs.crashing",
    "tests.peers_attack.programs.hostile_cacher",
    "tests.peers_attack.programs.hostile_viewer",
]
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(PRELOADED)


class Program:
    """One process; what it prints is in the file `out`."""

    def __init__(
        self, module: str, arguments: Sequence[object], *, out: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.out = out
        out.write_bytes(b"")
        told = [str(argument) for argument in arguments]
        self._process = _CONTEXT.Process(target=_run, args=(module, told, str(out), dict(environment or {})))
        self._process.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    @property
    def was_killed(self) -> bool:
        return self._process.exitcode == -signal.SIGKILL

    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines that it has printed."""
        text = self.out.read_text("utf-8", "replace")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines() if line.startswith("{")]

    def first_line(self) -> dict[str, Any]:
        """Wait for the first JSON line."""
        deadline = time.monotonic() + START_S
        while not (found := self.lines()):
            if not self.running and not self.lines():
                raise RuntimeError(f"ended without a word: {self.out.read_text('utf-8', 'replace')}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"did not start: {self.out.read_text('utf-8', 'replace')}")
            time.sleep(0.01)
        return found[0]

    def terminate(self) -> int | None:
        """Ask it to stop; return its exit status."""
        self._process.terminate()
        return self.wait()

    def wait(self, seconds: float = STOP_S) -> int | None:
        """Wait until it ends by itself; return its exit status."""
        self._process.join(seconds)
        assert self._process.exitcode is not None, f"still running: {self.out.read_text('utf-8', 'replace')[-2000:]}"
        return self._process.exitcode

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._process.join(STOP_S)


def _run(module: str, arguments: list[str], out: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    status = importlib.import_module(module).main(arguments)
    sys.stdout.flush()
    sys.exit(status)

"""Runs `poolchain` as a user does, and looks at its output and its exit status.

In this process, because starting two hundred others takes a minute; `spawn` starts a real one.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from poolchain import cli

from .node_process import ROOT

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 180


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON object that was printed."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def reason(self) -> str:
        return str(self.document["error"]["reason"])


class CommandLine:
    """A user with a home directory and a node."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("POOLCHAIN_")} | {
            "POOLCHAIN_HOME": str(home),
            "POOLCHAIN_RPC": url,
        }

    def run(self, *arguments: str, **environment: str) -> Outcome:
        """Carry out `poolchain ARGUMENTS` in this process."""
        out, err = io.StringIO(), io.StringIO()
        changed = mock.patch.dict(os.environ, self._environment | environment, clear=True)
        with changed, mock.patch("sys.stdin", io.StringIO()), redirect_stdout(out), redirect_stderr(err):
            status = cli.run(arguments)
        return Outcome(status, out.getvalue(), err.getvalue())

    def spawn(self, *arguments: str, **environment: str) -> Outcome:
        """Carry out `poolchain ARGUMENTS` in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "poolchain", *arguments],
            cwd=ROOT,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Carry out a command that succeeds; return what it prints with --json."""
        outcome = self.run(*arguments, "--json")
        assert outcome.status == 0, outcome
        return outcome.document

    def refuse(self, status: int, *arguments: str) -> str:
        """Carry out a command that fails with this status; return the reason."""
        outcome = self.run(*arguments, "--json")
        assert outcome.status == status, outcome
        return outcome.reason

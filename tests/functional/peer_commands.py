"""The commands of peers as processes: `publish` and `play` print one JSON object and serve until they are ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Self

from .node_process import ROOT, START_S, STOP_S

if TYPE_CHECKING:
    from pathlib import Path


class PeerCommand:
    """`python -m poolchain ARGUMENTS --port 0 --json` in a process of its own."""

    def __init__(self, folder: Path, name: str, *arguments: str, home: Path | None = None, rpc: str = "") -> None:
        self.banner: dict[str, Any] = {}
        self._command = [sys.executable, "-m", "poolchain", *arguments, "--port", "0", "--json"]
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        self._environment = {**os.environ, "POOLCHAIN_HOME": str(home or folder / "home"), "POOLCHAIN_RPC": rpc}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        deadline = time.monotonic() + START_S
        while b"\n" not in self._out.read_bytes():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise RuntimeError(f"did not start: {self._out.read_text()} {self._err.read_text()}")
            time.sleep(0.02)
        self.banner = json.loads(self._out.read_text().splitlines()[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        return str(self.banner["url"])

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(STOP_S)
            self._process = None


def ffmpeg(*arguments: str) -> None:
    """Debian's ffmpeg, unmodified; it has to end well."""
    done = subprocess.run(
        ["ffmpeg", "-nostdin", "-loglevel", "error", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        env={**os.environ, "no_proxy": "*"},
    )
    assert done.returncode == 0, done.stderr


def make_hls(folder: Path, *coded: str, picture: str, seconds: int) -> None:
    """Fill a new folder with a test picture and a tone: a playlist, index.m3u8, and what it names."""
    folder.mkdir()
    image = ["-f", "lavfi", "-i", f"testsrc2={picture}:duration={seconds}"]
    tone = ["-f", "lavfi", "-i", f"sine=duration={seconds}"]
    ffmpeg(*image, *tone, *coded, "-f", "hls", "-hls_list_size", "0", str(folder / "index.m3u8"))

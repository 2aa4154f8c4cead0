"""anvil, Foundry's development node, as a process of its own, and the contract that it runs.

Both come from the npm packages of benchmarks/solidity. npm's anvil is a script that starts the program of the
platform's own package; here that program is started itself, so that no Node.js shares the machine.
"""

from __future__ import annotations

import json
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from .caller import Caller
from .figures import NotMeasured

FOLDER: Final = Path(__file__).parent / "solidity"
CHAIN_ID: Final = 31337
_SYSTEMS: Final = {"Linux": "linux", "Darwin": "darwin"}
_MACHINES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_COMPILE_SECONDS: Final = 120.0


def program() -> Path:
    """Return anvil's program; raises NotMeasured where it is not installed."""
    system, machine = _SYSTEMS.get(platform.system()), _MACHINES.get(platform.machine().lower())
    found = FOLDER / "node_modules/@foundry-rs" / f"anvil-{system}-{machine}" / "bin/anvil"
    if not found.is_file():
        raise NotMeasured("anvil is not installed: npm ci in benchmarks/solidity (make bench does it where npm is)")
    return found


@lru_cache(maxsize=1)
def bytecode() -> bytes:
    """Return what makes the contract, compiled once in a process; raises NotMeasured without Node.js or solc."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules/solc").is_dir():
        raise NotMeasured("Node.js or its package solc is not installed (benchmarks/solidity)")
    done = subprocess.run(  # noqa: S603 - node, as the PATH has it
        [node, "compile.mjs"], cwd=FOLDER, capture_output=True, text=True, timeout=_COMPILE_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return bytes.fromhex(json.loads(done.stdout)["bytecode"])


@contextmanager
def anvil(folder: Path, *options: str) -> Iterator[int]:
    """Run anvil with these options, its home in `folder`; yields its port."""
    port = _free_port()
    with (folder / "anvil.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - the program that npm has checked
            [program(), "--port", str(port), "--quiet", *options],
            cwd=folder,
            env={"HOME": str(folder), "TMPDIR": str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_until_ready(process, port, folder / "anvil.log")
        yield port
    finally:
        _end(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), Caller(port) as caller:
            caller.call("eth_chainId")
            return
        time.sleep(0.01)
    raise RuntimeError(f"anvil did not start: {log.read_text('utf-8', 'replace')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End anvil, which keeps nothing: kindly, then not."""
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

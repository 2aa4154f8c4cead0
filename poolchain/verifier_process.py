"""The program of one verifier: reads groups of signed bytes, answers who signed them, ends with its socket.

Messages, in both directions, are a length (4 bytes) and what Python's `marshal` makes of a value, since both ends are
this program's own processes: first a function by its module and name, the chain id and the genesis hash, then lists of
bytes. Each list is answered with the list of what the function returns.
"""

from __future__ import annotations

import gc
import marshal
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, BinaryIO, Final

from crypto.eip712 import Domain

LENGTH_BYTES: Final = 4
Answer = Callable[[bytes, Domain], Any]
"""A function of a module: what is asked of each item on a chain; its value is one that `marshal` knows."""


def packed(message: Any) -> bytes:
    """Return a message as it is written."""
    data = marshal.dumps(message)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def main() -> None:
    """Serve the socket whose descriptor is the first argument, until its other end is closed; the other: niceness."""
    # Ctrl-C goes to all processes of a terminal; the node decides when its verifiers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # where that is not allowed
        os.nice(int(sys.argv[2]))
    line = socket.socket(fileno=int(sys.argv[1]))
    with line, line.makefile("rb") as requests, suppress(EOFError, ConnectionError):
        module, name, chain_id, genesis_hash = _read(requests)
        answer: Answer = getattr(import_module(module), name)
        domain = Domain.of(chain_id, genesis_hash)
        gc.freeze()
        while True:
            line.sendall(packed([answer(item, domain) for item in _read(requests)]))


def _read(requests: BinaryIO) -> Any:
    """Return the next message; raises EOFError when there is none."""
    length = int.from_bytes(requests.read(LENGTH_BYTES), "big")
    return marshal.loads(requests.read(length))  # noqa: S302 - from our own parent


if __name__ == "__main__":
    main()

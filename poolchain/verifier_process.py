"""The program of one verifier: reads groups of raw transactions, answers what was found, ends with its socket.

Messages, in both directions, are a length (4 bytes) and what Python's `marshal` makes of a value, since both ends are
this program's own processes: first the chain id and the genesis hash, then lists of raw transactions. Each list is
answered with the list of what `verify` returns.
"""

from __future__ import annotations

import gc
import marshal
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, BinaryIO, Final

from crypto.eip712 import Domain
from crypto.hashing import keccak256
from ledger.errors import Refusal
from txtypes.table import kind_of, signers_of

LENGTH_BYTES: Final = 4
Verified = tuple[bytes, tuple[bytes, ...]]
"""Transaction hash and signers; whoever asks takes the fields from the bytes, which is less than sending them."""
Refused = tuple[str, str, str]
"""Reason, expected, given."""


def verify(raw: bytes, domain: Domain) -> Verified | Refused:
    """Return the hash of raw bytes and who signed them, or why nobody did; whether they are well formed is not seen."""
    try:
        return keccak256(raw), signers_of(kind_of(raw), raw, domain)
    except Refusal as refusal:
        return refusal.reason, refusal.expected, refusal.given


def packed(message: Any) -> bytes:
    """Return a message as it is written."""
    data = marshal.dumps(message)
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def main() -> None:
    """Serve the socket whose descriptor is the one argument, until its other end is closed."""
    # Ctrl-C goes to all processes of a terminal; the node decides when its verifiers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    line = socket.socket(fileno=int(sys.argv[1]))
    with line, line.makefile("rb") as requests, suppress(EOFError, ConnectionError):
        domain = Domain.of(*_read(requests))
        while True:
            line.sendall(packed([verify(raw, domain) for raw in _read(requests)]))


def _read(requests: BinaryIO) -> Any:
    """Return the next message; raises EOFError when there is none."""
    length = int.from_bytes(requests.read(LENGTH_BYTES), "big")
    return marshal.loads(requests.read(length))  # noqa: S302 - from our own parent


if __name__ == "__main__":
    main()

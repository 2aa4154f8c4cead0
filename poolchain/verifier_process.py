"""The program of one verifier: reads groups of raw transactions, answers what was found, ends with its socket.

Messages are pickled, since both ends are this program's own processes: first the chain id and the genesis hash, then
lists of raw transactions. For each list it writes a length (4 bytes) and a pickled list of what `verify` returns.
"""

from __future__ import annotations

import gc
import pickle
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

from crypto.eip712 import Domain
from ledger.errors import Refusal
from txtypes.table import decode

LENGTH_BYTES: Final = 4
Verified = tuple[bytes, Any, tuple[bytes, ...]]
"""Transaction hash, fields, signers."""
Refused = tuple[str, str, str]
"""Reason, expected, given."""


def verify(raw: bytes, domain: Domain) -> Verified | Refused:
    """Return what a raw transaction says and who signed it, or why it is not one."""
    try:
        found = decode(raw, domain)
    except Refusal as refusal:
        return refusal.reason, refusal.expected, refusal.given
    return found.hash, found.fields, found.signers


def main() -> None:
    """Serve the socket whose descriptor is the one argument, until its other end is closed."""
    # Ctrl-C goes to all processes of a terminal; the node decides when its verifiers end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    line = socket.socket(fileno=int(sys.argv[1]))
    with line, line.makefile("rb") as requests, suppress(EOFError, ConnectionError):
        domain = Domain.of(*pickle.load(requests))  # noqa: S301 - from our own parent
        while True:
            raws = pickle.load(requests)  # noqa: S301 - likewise
            answer = pickle.dumps([verify(raw, domain) for raw in raws], pickle.HIGHEST_PROTOCOL)
            line.sendall(len(answer).to_bytes(LENGTH_BYTES, "big") + answer)


if __name__ == "__main__":
    main()

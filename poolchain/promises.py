"""What this user has promised from each pool, written down before it is signed.

The chain knows only what was settled. Whoever signs for more than the deposit is slashed, so the highest amount signed
to each target is kept here, and the check and the entry happen under one lock: no crash and no second process can
sign what together is too much.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .failure import Unavailable
from .home import home
from .private_files import make_private_directory, write_over


class Promises:
    """The highest amount ever signed to each target of one pool, in base units. Made by `open_promises`."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one; raises Unavailable for one that cannot be understood."""
        self._path = path
        self._amounts = _read(path)

    def targets(self) -> list[bytes]:
        """Return the addresses that something was promised to."""
        return [*self._amounts]

    def amount(self, target: bytes) -> int:
        """Return the highest amount promised to a target."""
        return self._amounts.get(target, 0)

    def record(self, target: bytes, amount: int) -> None:
        """Make durable that `amount` is about to be signed; a smaller one than before changes nothing."""
        if amount > self.amount(target):
            amounts = {**self._amounts, target: amount}
            document = {"0x" + address.hex(): hex(promised) for address, promised in amounts.items()}
            write_over(self._path, json.dumps(document, indent=2).encode() + b"\n")
            self._amounts = amounts


@contextmanager
def open_promises(genesis_hash: bytes, cptx_hash: bytes) -> Iterator[Promises]:
    """Give the promises of one pool, to this process alone while it is inside."""
    directory = home() / "promises" / f"0x{genesis_hash.hex()}"
    make_private_directory(directory)
    with (directory / f"0x{cptx_hash.hex()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Promises(directory / f"0x{cptx_hash.hex()}.json")


def _read(path: Path) -> dict[bytes, int]:
    try:
        found = json.loads(path.read_bytes())
        return {bytes.fromhex(address[2:]): int(amount, 16) for address, amount in found.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError, TypeError) as error:
        raise Unavailable(f"{path} is damaged; what was promised from this pool is in it.", reason="DAMAGED") from error

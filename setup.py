"""Builds the rooms of the rules as machine code, if POOLCHAIN_COMPILE=1 asks for it (`make compiled`).

Everything else about building is in pyproject.toml. The sources are the same either way: mypyc compiles the Python that
is here, by the annotations that mypy checks.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

_ROOMS = ("crypto", "ledger", "txtypes", "consensus")
"""Pure, and what a transaction spends its time in."""
_MODULES = (
    "storage/chain_store.py",
    "storage/chain_view.py",
    "storage/past_state.py",
    "storage/schema.py",
    "storage/undo.py",
)
"""The part of the storage room that only makes and reads bytes."""
_PEERS = ("peers/book.py", "peers/open_books.py", "peers/payment.py", "peers/price_list.py", "peers/till.py")
"""How a payment is judged: pure, like the rules."""
_INTERPRETED = ("crypto/node_tree.py", "crypto/bulk_hashes.py", "ledger/courtesy.py")
"""A class with an interpreted one, of a library, for its base; what chooses between two ways at its start; and
where a block in the making gives up the interpreter's lock: compiled code never does."""
_QUICK_HASHES = ("crypto._quick_hashes", ["crypto/_quick_hashes.c"])
"""The one source that is not Python: what `crypto/plain_hashes.py` says, in one call for many hashes."""


def _sources() -> list[str]:
    """Return the modules to compile; a package's own file stays Python, so that it is found in its folder."""
    rooms = [str(path) for room in _ROOMS for path in sorted(Path(room).glob("*.py"))]
    return [
        path for path in (*rooms, *_MODULES, *_PEERS) if Path(path).name != "__init__.py" and path not in _INTERPRETED
    ]


def _extensions() -> list[object]:
    if os.environ.get("POOLCHAIN_COMPILE") != "1":
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 - only there for who compiles

    return [*mypycify(_sources(), opt_level="2", debug_level="0"), Extension(*_QUICK_HASHES)]


setup(ext_modules=_extensions())

"""Refuses to run on another distribution's code.

The rooms have plain names (`ledger`, `storage` ...), which a package installed beside Poolchain
may bear too and which Python would then prefer silently. So each room has to be the folder next
to this package. Running under `python -O` is refused as well: nothing here relies on `assert`,
but a library might.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("crypto", "ledger", "txtypes", "consensus", "storage", "light", "peers", "rpc")


def find_intruder(home: Path) -> str | None:
    """One sentence on the first room that is not loaded from the folder `home`, or None."""
    for room in ROOMS:
        spec = find_spec(room)
        place = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if place != home / room:
            return (
                f"poolchain needs its own package '{room}' in {home / room}, "
                f"but Python would load {place or 'none'}; install Poolchain in a clean environment."
            )
    return None


def refuse_strangers() -> None:
    """Ends the process with status 2 and one sentence unless this is Poolchain's own code."""
    problem = find_intruder(Path(__file__).resolve().parent.parent)
    if sys.flags.optimize:
        problem = "poolchain does not run under python -O: it would remove checks."
    if problem:
        sys.stderr.write(problem + "\n")
        raise SystemExit(2)

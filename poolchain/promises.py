"""The one ledger of what this user has promised from a pool, whatever command promised it.

Whoever signs for more than the deposit is slashed, and the chain knows only what was settled. `payment sign`, `fetch`
and `play` keep what they sign to all targets of a pool in one file (`peers.payer_ledger`): on disk before it is signed,
under one lock.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from crypto.words import AMOUNT_LIMIT
from peers.payer_ledger import LedgerInUse, LedgerRefused, PayerLedger

from .failure import Unavailable
from .home import home
from .private_files import make_private_directory

PATIENCE_SECONDS: Final = 10.0
"""Signing takes some milliseconds: others are waited for, but not a purchase that goes on."""
_PAUSE_SECONDS: Final = 0.02
_NO_LIMIT: Final = AMOUNT_LIMIT << 64


def viewer_folder() -> Path:
    """Return where what this user buys, pays and has promised is."""
    return home() / "viewer"


def pools_folder() -> Path:
    """Return where the ledgers of all pools are."""
    return viewer_folder() / "pools"


def open_promises(genesis_hash: bytes, cptx_hash: bytes) -> PayerLedger:
    """Open the ledger of a pool, for this process alone; the limit is the caller's to keep. Raises Unavailable."""
    make_private_directory(pools_folder())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return PayerLedger.of_pool(pools_folder(), genesis_hash, cptx_hash, deposit=_NO_LIMIT)
        except LedgerInUse as error:
            if time.monotonic() >= deadline:
                raise Unavailable(f"{error}.", reason="LEDGER") from error
            time.sleep(_PAUSE_SECONDS)
        except LedgerRefused as error:
            raise Unavailable(f"{error}.", reason="LEDGER") from error

"""Where a user's chains, keys and promises are."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """Return POOLCHAIN_HOME, else ~/.poolchain."""
    return Path(os.environ.get("POOLCHAIN_HOME") or Path.home() / ".poolchain")

"""A place for tests that open a store hundreds of times and care about bytes, not about the disk."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY = Path("/dev/shm")  # where syncing costs nothing, however busy the disk is


@pytest.fixture(scope="module")
def fast_folder() -> Iterator[Path]:
    parent = IN_MEMORY if os.access(IN_MEMORY, os.W_OK | os.X_OK) else None
    with tempfile.TemporaryDirectory(prefix="poolchain-test-", dir=parent) as folder:
        yield Path(folder)

"""The fixture of the ledger."""

from __future__ import annotations

import pytest

from tests.workbench import Workbench


@pytest.fixture
def bench() -> Workbench:
    return Workbench()

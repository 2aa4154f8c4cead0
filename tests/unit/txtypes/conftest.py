"""The fixture of the transaction types."""

from __future__ import annotations

import pytest

from tests.workbench import Workbench


@pytest.fixture
def bench() -> Workbench:
    return Workbench()

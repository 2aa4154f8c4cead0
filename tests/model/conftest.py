"""The fixture of the scenarios."""

import pytest

from .small_chain import Chain


@pytest.fixture
def chain() -> Chain:
    return Chain()

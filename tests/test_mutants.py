"""A few edits of the ledger, each of which the unit tests notice; all of them: `python -m tests.mutants`."""

from __future__ import annotations

import pytest

from tests.mutants import MUTANTS, SMOKE, misplaced, survivors


def test_every_edit_has_its_place() -> None:
    """An edit of a line that was rewritten would test nothing: adapt it."""
    assert misplaced(MUTANTS) == []


@pytest.mark.slow
def test_edits_are_noticed() -> None:
    assert survivors(SMOKE) == []

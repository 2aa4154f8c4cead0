"""A few edits of the ledger, each of which the unit tests notice; all of them: `python -m tests.mutants`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.mutants import MUTANTS, SMOKE, Mutant, copied_tree, files_testing, misplaced, passes, survives

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    with copied_tree() as folder:
        yield folder


def test_every_edit_has_its_place() -> None:
    """An edit of a line that was rewritten would test nothing: adapt it."""
    assert misplaced(MUTANTS) == []


def test_tests_pass_without_any_edit(tree: Path) -> None:
    assert passes(tree, sorted({test for mutant in SMOKE for test in files_testing(mutant.file)}))


@pytest.mark.parametrize("mutant", SMOKE, ids=lambda mutant: f"{mutant.file} {mutant.old.strip()}")
def test_edit_is_noticed(mutant: Mutant, tree: Path) -> None:
    assert not survives(mutant, tree)

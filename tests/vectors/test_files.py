"""The committed vector files: they are what the generator makes, and they keep the form that README.md promises."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from .generate import FOLDER, make_all, render

OTHERS = "proof_"
"""Files that begin so are made elsewhere."""
NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if not path.name.startswith(OTHERS))


def test_files_are_what_the_generator_makes() -> None:
    made = {file.name: render(file) for file in make_all()}
    assert sorted(made) == NAMES
    stale = [name for name, content in made.items() if (FOLDER / f"{name}.json").read_text("ascii") != content]
    assert not stale, f"make vectors; then look at what changed in {', '.join(stale)}"


@pytest.mark.parametrize("name", NAMES)
def test_form(name: str) -> None:
    file = json.loads((FOLDER / f"{name}.json").read_text("ascii"))
    assert list(file) == ["description", "format", "cases"]
    assert len({case["name"] for case in file["cases"]}) == len(file["cases"])
    for case in file["cases"]:
        wanted = ["error", "why"] if "error" in case else ["expected"]
        assert list(case) == ["name", "kind", "input", *wanted], case["name"]
        assert not list(numbers(case)), case["name"]


def numbers(value: Any) -> list[Any]:
    """JSON numbers: there are none, for JavaScript loses the large ones."""
    if isinstance(value, dict | list):
        return [number for item in (value.values() if isinstance(value, dict) else value) for number in numbers(item)]
    return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []


def test_at_least_half_of_all_cases_are_invalid() -> None:
    kinds: Counter[bool] = Counter()
    for name in NAMES:
        kinds.update("error" in case for case in json.loads((FOLDER / f"{name}.json").read_text("ascii"))["cases"])
    assert kinds[True] >= kinds[False] > 300


def test_readme_names_every_file_and_every_error() -> None:
    readme = (FOLDER / "README.md").read_text("utf-8")
    errors: set[str] = set()
    for name in NAMES:
        assert f"`{name}.json`" in readme
        file = json.loads((FOLDER / f"{name}.json").read_text("ascii"))
        errors |= {case["error"] for case in file["cases"] if "error" in case}
    assert {error for error in errors if f"`{error}`" not in readme} == set()

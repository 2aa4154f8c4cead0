"""Reads the vector files and compares an implementation with them, case by case."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
Case = dict[str, Any]
Answer = Callable[[Case], Case]
"""An implementation's answer to a case's `input`: its `expected`; raises Wrong for what it refuses."""


class Wrong(Exception):
    """The input is refused, with the name of the error and the implementation's own words."""

    def __init__(self, error: str, words: object = "") -> None:
        super().__init__(f"{error}: {words}")
        self.error = error
        self.words = str(words)


def data(shown: str) -> bytes:
    """The bytes of 0x-hex."""
    assert shown.startswith("0x"), shown
    return bytes.fromhex(shown[2:])


def text(value: bytes) -> str:
    return "0x" + value.hex()


def cases(file: str, *kinds: str) -> list[Case]:
    """The cases of a file, of some kinds or of all, in their order."""
    found: list[Case] = json.loads((FOLDER / f"{file}.json").read_text("ascii"))["cases"]
    return [case for case in found if not kinds or case["kind"] in kinds]


def check(case: Case, answer: Answer, words: Mapping[str, str]) -> str | None:
    """What is wrong with an implementation's answer to one case; None if nothing is.

    `words` has for a `why` of the file the regular expression of the implementation's own words.
    """
    found: object
    try:
        found = answer(case["input"])
    except Wrong as wrong:
        if wrong.error != case.get("error"):
            return f"refused with {wrong}"
        pattern = words.get(case["why"], "")
        return None if re.search(pattern, wrong.words) else f"refused for another reason, {wrong}"
    if "error" in case:
        return f"not refused, though {case['error']}: {case['why']}"
    return None if found == case["expected"] else f"answered {found}"


def check_all(chosen: list[Case], answer: Answer, words: Mapping[str, str]) -> None:
    """Check some cases and fail with all that are answered wrongly."""
    assert chosen
    found = [(case["name"], problem) for case in chosen if (problem := check(case, answer, words))]
    if found:
        pytest.fail("\n".join(f"{name}: {problem[:400]}" for name, problem in found), pytrace=False)

"""The form that all vector files share, and the few ways in which values are written."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

Case = dict[str, Any]


class VectorFile(NamedTuple):
    """One file of vectors."""

    name: str
    """Without the ending .json."""
    description: str
    format: list[str]
    cases: list[Case]

    def as_json(self) -> dict[str, Any]:
        names = [case["name"] for case in self.cases]
        doubles = sorted({name for name in names if names.count(name) > 1})
        assert not doubles, f"{self.name}: names given twice: {doubles}"
        return {"description": self.description, "format": self.format, "cases": self.cases}


def valid(kind: str, name: str, given: Case, expected: Case) -> Case:
    return {"name": name, "kind": kind, "input": given, "expected": expected}


def invalid(kind: str, name: str, given: Case, error: str, why: str) -> Case:
    return {"name": name, "kind": kind, "input": given, "error": error, "why": why}


def paragraphs(note: str) -> list[str]:
    """The paragraphs of a note, each on one line."""
    return [" ".join(paragraph.split()) for paragraph in note.strip().split("\n\n")]


def text(data: bytes) -> str:
    return "0x" + data.hex()


def texts(items: list[bytes]) -> list[str]:
    return [text(item) for item in items]


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def dice(seed: str) -> random.Random:
    """The same numbers at every run: random.Random promises that for a string seed and these methods."""
    return random.Random(seed)


def counting(length: int) -> bytes:
    """The bytes 0, 1, 2 ... 250, 0, 1 ..."""
    return bytes(index % 251 for index in range(length))

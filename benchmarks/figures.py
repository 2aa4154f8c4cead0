"""What a benchmark measures, what was asked of it, and how both are shown.

A part of the benchmark yields samples. Machines are shared, and their speed may change by half within a minute: every
ratio is taken to the last reference before and the first one after; over all rounds the least, the middle and the
greatest are shown.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple


class Sample(NamedTuple):
    """One measured value."""

    name: str
    """Stable words for what was measured, as "settlements by tx_submitMany"."""
    unit: str
    """As "per second", "ms", "MB", "us of processor time"."""
    value: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What was asked of the median: at least (or at most) `bound`, or `bound` times the `reference` beside it."""

    name: str
    """That of the samples."""
    bound: float
    reference: str | None = None
    """Name of the samples that the ratio is taken to."""
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured, and where."""

    quick: bool
    """The small form, which takes seconds and only shows that the part works."""
    seed: int
    folder: Path
    """Empty, on the disk to be measured, removed afterwards."""
    kept: Path | None = None
    """Stays for all rounds: for what takes minutes to make. None where there is but one round."""
    huge: bool = False
    """Whether to measure what takes a quarter of an hour to make, too."""


Part = Callable[[Scale], Iterable[Sample]]
"""One measurement; leaves no process behind. Raises NotMeasured."""


class NotMeasured(Exception):
    """Something that a part needs is missing here; the argument says what in one sentence."""


class Reading(NamedTuple):
    """The value of a sample, and when it was taken."""

    second: float
    value: float


Rounds = Sequence[Mapping[str, Sequence[Reading]]]
"""For every round the readings by name, in the order in which they were taken."""


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return least, middle and greatest value."""
    return min(values), statistics.median(values), max(values)


def values_of(name: str, rounds: Rounds) -> list[float]:
    """Return all values with a name, in the order of the rounds."""
    return [reading.value for found in rounds for reading in found.get(name, ())]


def _seconds_of(name: str, rounds: Rounds) -> list[float]:
    return [round(reading.second, 1) for found in rounds for reading in found.get(name, ())]


def ratios(name: str, reference: str, rounds: Rounds) -> list[float]:
    """Return each value with a name as a multiple of the reference beside it in its round."""
    return [
        reading.value / _beside(reading, found[reference])
        for found in rounds
        if found.get(reference)
        for reading in found.get(name, ())
    ]


def _beside(reading: Reading, references: Sequence[Reading]) -> float:
    """Return the mean of the last reference before a reading and the first after it, or the one of them there is."""
    before = [found.value for found in references if found.second <= reading.second]
    after = [found.value for found in references if found.second > reading.second]
    return statistics.mean(before[-1:] + after[:1])


class _Row(NamedTuple):
    label: str
    values: Sequence[float]
    remark: str = ""


def table(units: Mapping[str, str], rounds: Rounds, goals: Sequence[Goal]) -> list[str]:
    """Return the lines of the report: every name with its spread, then what was asked of it."""
    rows = []
    for name, unit in units.items():
        rows.append(_Row(f"{name}, {unit}", values_of(name, rounds)))
        rows += [_goal_row(goal, rounds) for goal in goals if goal.name == name]
    width = max((len(row.label) for row in rows), default=0)
    return [f"{'':{width}}{'min':>12}{'median':>12}{'max':>12}", *(_line(row, width) for row in rows)]


def report(units: Mapping[str, str], rounds: Rounds, goals: Sequence[Goal]) -> dict[str, Any]:
    """Return the same as JSON, with every single value, and the seconds at which they were taken."""
    figures = [
        {"name": name, "unit": unit, "values": values_of(name, rounds), "seconds": _seconds_of(name, rounds)}
        for name, unit in units.items()
    ]
    asked = [
        {
            "name": goal.name,
            "reference": goal.reference,
            "bound": goal.bound,
            "atMost": goal.at_most,
            "values": (values := _measured(goal, rounds)),
            "met": _is_met(goal, values),
        }
        for goal in goals
        if goal.name in units
    ]
    return {"figures": figures, "goals": asked}


def _measured(goal: Goal, rounds: Rounds) -> list[float]:
    return ratios(goal.name, goal.reference, rounds) if goal.reference else values_of(goal.name, rounds)


def _is_met(goal: Goal, values: Sequence[float]) -> bool | None:
    """Tell whether the median is what was asked; None where nothing was measured."""
    if not values:
        return None
    middle = statistics.median(values)
    return middle <= goal.bound if goal.at_most else middle >= goal.bound


def _goal_row(goal: Goal, rounds: Rounds) -> _Row:
    values = _measured(goal, rounds)
    asked = f"{'at most' if goal.at_most else 'at least'} {goal.bound:g}"
    label = f"    goal: {asked} of {goal.reference}" if goal.reference else f"    goal: {asked}"
    words = {None: "not measured", True: "met", False: "MISSED"}
    return _Row(label, values, words[_is_met(goal, values)])


def _line(row: _Row, width: int) -> str:
    numbers = "".join(f"{_number(value):>12}" for value in spread(row.values)) if row.values else ""
    return f"{row.label:{width}}{numbers}  {row.remark}".rstrip()


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 3
    return f"{value:,.{digits}f}"

"""Spreads, ratios to what was measured beside, and whether what was asked for is met."""

from __future__ import annotations

import pytest

from benchmarks.figures import Goal, Reading, ratios, report, spread, table, values_of

RATE, LIMIT, WAIT = "settlements", "the limit", "waiting"
UNITS = {RATE: "per second", LIMIT: "per second", WAIT: "ms"}
ROUNDS = [
    {RATE: [Reading(2, 50.0)], LIMIT: [Reading(1, 100.0)], WAIT: [Reading(0, 4.0), Reading(2, 6.0)]},
    {
        RATE: [Reading(20, 20.0), Reading(23, 30.0)],
        LIMIT: [Reading(10, 1000.0), Reading(15, 60.0), Reading(21, 40.0), Reading(22, 60.0)],
        WAIT: [Reading(5, 5.0)],
    },
    {WAIT: [Reading(31, 9.0)]},
]


def test_a_spread_is_least_middle_and_greatest() -> None:
    assert spread([5.0, 1.0, 2.0]) == (1.0, 2.0, 5.0)
    assert spread([4.0]) == (4.0, 4.0, 4.0)


def test_values_come_in_the_order_of_the_rounds() -> None:
    assert values_of(RATE, ROUNDS) == [50.0, 20.0, 30.0]
    assert values_of("unknown", ROUNDS) == []


def test_ratios_are_taken_to_the_mean_of_the_reference_just_before_and_just_after_in_the_round() -> None:
    assert ratios(RATE, LIMIT, ROUNDS) == [50 / 100, 20 / ((60 + 40) / 2), 30 / 60]


def test_a_round_without_the_reference_gives_no_ratio() -> None:
    assert ratios(WAIT, LIMIT, ROUNDS) == [0.04, 0.06, 0.005]
    assert ratios(RATE, "unknown", ROUNDS) == []


@pytest.mark.parametrize(
    ("goal", "values", "met"),
    [
        (Goal(RATE, 30.0), [50.0, 20.0, 30.0], True),
        (Goal(RATE, 30.1), [50.0, 20.0, 30.0], False),
        (Goal(RATE, 0.5, LIMIT), [0.5, 0.4, 0.5], True),
        (Goal(RATE, 0.51, LIMIT), [0.5, 0.4, 0.5], False),
        (Goal(WAIT, 5.5, at_most=True), [4.0, 6.0, 5.0, 9.0], True),
        (Goal(WAIT, 5.4, at_most=True), [4.0, 6.0, 5.0, 9.0], False),
        (Goal(RATE, 1.0, "unknown"), [], None),
    ],
)
def test_a_goal_is_judged_by_the_median_of_what_it_asks_for(goal: Goal, values: list[float], met: bool | None) -> None:
    (asked,) = report(UNITS, ROUNDS, [goal])["goals"]
    assert (asked["values"], asked["met"]) == (values, met)
    assert (asked["name"], asked["reference"], asked["bound"], asked["atMost"]) == (
        goal.name,
        goal.reference,
        goal.bound,
        goal.at_most,
    )


def test_the_report_has_every_value_and_no_goal_of_a_part_that_did_not_run() -> None:
    found = report(UNITS, ROUNDS, [Goal("elsewhere", 1.0)])
    assert found["goals"] == []
    assert found["figures"][0] == {
        "name": RATE,
        "unit": "per second",
        "values": [50.0, 20.0, 30.0],
        "seconds": [2, 20, 23],
    }
    assert [figure["name"] for figure in found["figures"]] == list(UNITS)


def test_the_table_shows_each_name_and_below_it_what_was_asked() -> None:
    goals = [Goal(RATE, 0.45, LIMIT), Goal(RATE, 3.0, "the peer"), Goal(WAIT, 5.0, at_most=True)]
    head, *lines = table(UNITS, ROUNDS, goals)
    assert head.split() == ["min", "median", "max"]
    assert [line.partition("  " if at in (0, 3, 4) else ":")[0] for at, line in enumerate(lines)] == [
        "settlements, per second",
        "    goal",
        "    goal",
        "the limit, per second",
        "waiting, ms",
        "    goal",
    ]
    assert lines[4].split()[2:] == ["4.000", "5.500", "9.000"]
    assert lines[1].endswith("met")
    assert lines[2].endswith("not measured")
    assert lines[5].endswith("MISSED")


def test_the_columns_stand_below_each_other() -> None:
    long = "a name that is longer than all others, of which there are some, and much longer than most"
    lines = table({long: "ms", WAIT: "ms"}, [{long: [Reading(0, 1.0)], WAIT: [Reading(1, 2.0)]}], [])
    assert len({len(line) for line in lines}) == 1

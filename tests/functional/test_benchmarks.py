"""The benchmarks measure a real node, and their figures are worth nothing where its results are wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import imports, latency, peers_latency, yardstick
from benchmarks.__main__ import main
from benchmarks.checks import Wrong
from benchmarks.figures import NotMeasured, Sample, Scale
from benchmarks.market import Market, check_market, make_market
from benchmarks.runs import MANY, ONE_BY_ONE_COMMITTED, Way, deal, drive_new_node
from benchmarks.transfers import Senders

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "yardstick": (),
    "import": imports.GOALS,
    "latency": latency.GOALS,
    "peers-latency": peers_latency.GOALS,
}


def test_a_quick_run_reports_every_goal_of_its_parts(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--json", str(file), "--folder", str(tmp_path)]
    done = subprocess.run([*command, "--only", *PARTS], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(file.read_text())
    figures = {figure["name"]: figure["values"] for figure in found["figures"]}
    assert all(len(values) == 1 and values[0] > 0 for values in figures.values())
    assert figures[yardstick.LIMIT][0] == figures[yardstick.ALL_CORES][0] / 2
    goals = [goal for goals in PARTS.values() for goal in goals]
    assert [(asked["name"], asked["reference"]) for asked in found["goals"]] == [
        (goal.name, goal.reference) for goal in goals
    ]
    for goal, asked in zip(goals, found["goals"], strict=True):
        assert (
            (asked["met"] is None)
            == (not asked["values"])
            == (goal.reference is not None and goal.reference not in figures)
        )
        if asked["values"] and goal.reference:
            assert asked["values"] == [figures[goal.name][0] / figures[goal.reference][0]]
    assert (found["quick"], found["notMeasured"], found["failed"]) == (True, {}, {})
    for name in figures:
        assert name in done.stdout
    assert list(tmp_path.glob("poolchain-bench-*")) == []


def test_a_part_that_fails_is_reported_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(_: Scale) -> Iterator[Sample]:
        yield Sample("before", "ms", 1.0)
        raise Wrong("fees: expected 2, found 1")

    def lacks(_: Scale) -> Iterator[Sample]:
        if tmp_path.exists():
            raise NotMeasured("there is no npm here")
        yield Sample("never", "ms", 0.0)

    def goes_on(_: Scale) -> Iterator[Sample]:
        yield Sample("after", "ms", 2.0)

    monkeypatch.setattr("benchmarks.__main__.PARTS", {"fails": fails, "lacks": lacks, "goes on": goes_on})
    monkeypatch.setattr("sys.argv", ["benchmarks", "--quick", "--json", str(tmp_path / "found.json")])
    assert main() == 1
    found = json.loads((tmp_path / "found.json").read_text())
    assert [figure["name"] for figure in found["figures"]] == ["before", "after"]
    assert found["failed"] == {"fails": "fees: expected 2, found 1"}
    assert found["notMeasured"] == {"lacks": "there is no npm here"}
    shown = capsys.readouterr().out
    assert "FAILED: fails: fees: expected 2, found 1" in shown
    assert "not measured: lacks: there is no npm here" in shown


@pytest.mark.parametrize("way", [MANY, ONE_BY_ONE_COMMITTED], ids=lambda way: f"{way.in_call} in a call")
def test_a_market_is_settled_and_each_figure_counts_all_of_it(tmp_path: Path, way: Way) -> None:
    market = Market(4, 3, 2)
    opened = make_market(tmp_path, market)
    run = drive_new_node(tmp_path, deal(way.lanes, opened.sign()), way)
    check_market(tmp_path, opened)
    assert run.count == market.total == 24
    rate, node, generator = run.samples("settlements")
    assert rate.value == 24 / run.driven.seconds
    assert node.value > 0
    assert generator.value > 0


def test_a_settlement_that_is_missing_is_found(tmp_path: Path) -> None:
    opened = make_market(tmp_path, Market(1, 3))
    (raws,) = opened.sign()
    drive_new_node(tmp_path, [raws[:2]], MANY)
    with pytest.raises(Wrong, match="spent of pool 0"):
        check_market(tmp_path, opened)


def test_a_refused_transaction_ends_the_benchmark(tmp_path: Path) -> None:
    senders = Senders(1, 3)
    ((first, second, third),) = senders.sign(senders.make(tmp_path))
    with pytest.raises(Wrong, match="NONCE_GAP"):
        drive_new_node(tmp_path, [[first, third, second]], MANY)

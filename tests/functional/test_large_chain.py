"""Chains that are loaded in bulk: what follows from their blocks, what is only a whole, and copies of them."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bench_chain import AUTHORITY, DATA, open_made
from benchmarks.checks import Wrong
from benchmarks.figures import Scale
from benchmarks.growth import check_wanted, want
from benchmarks.large_chain import load_chain
from benchmarks.large_plan import CREATORS, Plan, plan_of_keys
from benchmarks.large_sets import copy_of, pool_ids
from poolchain.data_directory import DataDirectory
from poolchain.integrity import check_all
from poolchain.opening import open_chain

ROOT = Path(__file__).resolve().parents[2]
EXECUTED = Plan(pools=3_000, settled=2_500, payees=1_000, height=400, in_block=500, executed=True)


def verify(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "poolchain", "verify", "--data-dir", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_all_of_an_executed_chain_follows_from_its_blocks(tmp_path: Path) -> None:
    load_chain(tmp_path / DATA, EXECUTED)
    done = verify(tmp_path / DATA)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 400 blocks are valid and all that is stored follows from them." in done.stdout


def test_links_seals_and_the_roots_over_all_records_of_any_other_are_right(tmp_path: Path) -> None:
    plan = Plan(pools=6_000, settled=2_000, payees=700, height=0, in_block=1_000)
    load_chain(tmp_path, plan)
    look_at_all(tmp_path, plan)
    assert verify(tmp_path).returncode == 1


def look_at_all(path: Path, plan: Plan) -> None:
    with open_chain(DataDirectory(path), AUTHORITY) as opened:
        view = opened.store.view()
        check_all(view, opened.genesis, opened.domain)
        assert view.height == plan.body_blocks + 130
        assert sum(1 for _ in view.records()) == 6_000 + 2_000 + 700 + CREATORS + 10 + 1
        first, last = pool_ids(view, plan, [0, 5_999])
        assert (view.location(first), view.location(last)) == ((1, 0), (6, 999))


def test_a_chain_is_made_once_and_every_round_has_a_copy_of_its_own(tmp_path: Path) -> None:
    plan, kept = plan_of_keys(4_000), tmp_path / "kept"
    heights = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        copy = copy_of(Scale(quick=True, seed=1, folder=folder, kept=kept), plan, "copy")
        with open_made(copy) as opened:
            heights.append(opened.chain.tip.header.height)
            opened.authority(AUTHORITY).produce_empty(1, 0)
    assert heights == [1_000, 1_000]
    assert len(list(kept.iterdir())) == 1


def test_settlements_that_are_missing_are_found(tmp_path: Path) -> None:
    plan = plan_of_keys(4_000)
    load_chain(tmp_path / DATA, plan)
    wanted = want(tmp_path, plan, 10, random.Random(1))
    assert sum(map(len, wanted.plans.values())) == 10
    with pytest.raises(Wrong):
        check_wanted(tmp_path, wanted)

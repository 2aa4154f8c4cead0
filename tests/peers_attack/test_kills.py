"""Viewer and cacher killed at every point of their write paths: nothing over-signed, lost or left unsettled."""

from __future__ import annotations

import random
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from .kills import BUYER, CACHER, EAGER, Arena, Crash
from .programs.crashing import CACHER_POINTS, VIEWER_POINTS
from .stage import KEYS, POOLCHAIN, PRICE, Stage, wait_until

if TYPE_CHECKING:
    from pathlib import Path

GATE_ROUNDS = 200
CHUNKS = 40
FORGETTING = ("forget before", "forget after")


def test_every_named_point_once(tmp_path: Path) -> None:
    with Stage(tmp_path, chunks=CHUNKS) as stage:
        arena = Arena(stage)
        cacher_points = [point for point in CACHER_POINTS if point not in FORGETTING]
        for on_viewer, on_cacher in zip_longest(VIEWER_POINTS, cacher_points, fillvalue=""):
            arena.play(Crash(on_viewer), Crash(on_cacher))
        for point in FORGETTING:
            arena.slash(Crash(point))
        expected = {f"viewer: {point}" for point in VIEWER_POINTS} | {f"cacher: {point}" for point in CACHER_POINTS}
        assert arena.hit == expected
        assert arena.kills == len(expected)
        print(f"{arena.rounds} rounds, {arena.kills} kills")


def test_a_cacher_that_was_killed_settles_by_itself_before_the_pool_expires(tmp_path: Path) -> None:
    with Stage(tmp_path, chunks=5) as stage:
        command = stage.serve(2, "--margin", 50, "--worth", 10**6, "--quiet", 1000, first=PRICE)
        selling = stage.program(POOLCHAIN, *command)
        buyer = stage.program(BUYER, *stage.purchase(tmp_path / "viewer", selling.first_line()["url"], origin=False))
        assert buyer.wait() == 0, buyer.out.read_text()
        pool = buyer.lines()[0]["pool"]
        selling.kill()
        assert stage.paid(pool, KEYS[2].address) == 0
        blocks = int(stage.pool(pool)["expiresAt"], 16) - int(stage.node.call("eth_blockNumber"), 16)
        stage.node.call("dev_mine", hex(blocks - 60))
        selling = stage.program(POOLCHAIN, *command)
        selling.first_line()
        assert stage.paid(pool, KEYS[2].address) == 0
        stage.node.call("dev_mine", hex(20))
        assert wait_until(lambda: stage.paid(pool, KEYS[2].address)) == 5 * PRICE
        assert stage.pool(pool)["status"] == "open"


@pytest.mark.gate
def test_two_hundred_rounds_at_random_points(tmp_path: Path) -> None:
    rng = random.Random(20487)
    cacher_points = [point for point in CACHER_POINTS if not point.startswith(("forget", "store"))]
    with Stage(tmp_path, chunks=CHUNKS) as stage:
        neighbour = stage.program(POOLCHAIN, *stage.serve(CACHER + 1, *EAGER, first=PRICE))
        arena = Arena(stage, neighbour)
        for _ in range(GATE_ROUNDS):
            on_viewer = Crash(rng.choice(VIEWER_POINTS), rng.choice((1, 1, 2, 5, 20)))
            on_cacher = Crash(rng.choice(cacher_points), rng.choice((1, 1, 2, 5, 20)))
            arena.play(on_viewer, on_cacher)
        assert {name for name in arena.hit if name.startswith("viewer")} == {
            f"viewer: {name}" for name in VIEWER_POINTS
        }
        assert {f"cacher: {name}" for name in cacher_points} <= arena.hit
        print(f"{arena.rounds} rounds, {arena.kills} kills, {len(arena.hit)} points")

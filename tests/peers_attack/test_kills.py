"""Viewer and cacher killed at every point of their write paths: nothing over-signed, lost or left unsettled."""

from __future__ import annotations

import random
from itertools import zip_longest
from typing import TYPE_CHECKING

import pytest

from .kills import Arena, Crash
from .programs.crashing import CACHER_POINTS, VIEWER_POINTS
from .stage import Stage

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


@pytest.mark.gate
def test_two_hundred_rounds_at_random_points(tmp_path: Path) -> None:
    rng = random.Random(20487)
    cacher_points = [point for point in CACHER_POINTS if not point.startswith(("forget", "store"))]
    with Stage(tmp_path, chunks=CHUNKS) as stage:
        arena = Arena(stage)
        for _ in range(GATE_ROUNDS):
            on_viewer = Crash(rng.choice(VIEWER_POINTS), rng.choice((1, 1, 2, 5, 20)))
            on_cacher = Crash(rng.choice(cacher_points), rng.choice((1, 1, 2, 5, 20)))
            arena.play(on_viewer, on_cacher)
        assert {name for name in arena.hit if name.startswith("viewer")} == {
            f"viewer: {name}" for name in VIEWER_POINTS
        }
        assert {f"cacher: {name}" for name in cacher_points} <= arena.hit
        print(f"{arena.rounds} rounds, {arena.kills} kills, {len(arena.hit)} points")

"""What was paid for and on its way, as a process that starts again reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peers.under_way import UnderWay

if TYPE_CHECKING:
    from pathlib import Path

ALICE, BOB = b"\xaa" * 20, b"\xbb" * 20
SLOT_BYTES = 28


def again(path: Path) -> dict[bytes, list[int]]:
    """What the next process is told; the one before has not closed anything."""
    found = UnderWay(path)
    found.close()
    return found.before


def test_what_has_not_ended_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    found = UnderWay(path)
    assert found.before == {}
    for target, index in ((ALICE, 0), (ALICE, 7), (BOB, 2**63), (BOB, 5)):
        found.begin(target, index)
    found.end(ALICE, 0)
    found.end(BOB, 5)
    found.end(BOB, 99)  # never begun
    assert again(path) == {ALICE: [7], BOB: [2**63]}


def test_it_is_there_until_it_ends_however_often_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    UnderWay(path).begin(ALICE, 3)
    assert again(path) == again(path) == {ALICE: [3]}
    found = UnderWay(path)
    found.end(ALICE, 3)
    assert again(path) == {}


def test_places_are_used_again_so_that_the_file_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    found = UnderWay(path)
    for index in range(1000):
        found.begin(ALICE, index)
        found.begin(ALICE, index)  # the same once more takes no place
        if index >= 3:
            found.end(ALICE, index - 3)
    assert path.stat().st_size == 4 * SLOT_BYTES
    assert sorted(again(path)[ALICE]) == [997, 998, 999]


def test_a_torn_last_slot_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "under-way"
    found = UnderWay(path)
    found.begin(ALICE, 1)
    found.begin(BOB, 2)
    path.write_bytes(path.read_bytes()[:-1])
    assert again(path) == {ALICE: [1]}

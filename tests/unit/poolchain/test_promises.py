"""What was promised from a pool is on disk before it is signed, and only grows."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest

from poolchain.failure import Failure
from poolchain.promises import open_promises

if TYPE_CHECKING:
    from pathlib import Path

GENESIS, POOL = bytes([1] * 32), bytes([2] * 32)
BOB, CAROL = bytes([3] * 20), bytes([4] * 20)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLCHAIN_HOME", str(tmp_path))


def test_promises_are_kept_for_each_target() -> None:
    with open_promises(GENESIS, POOL) as promises:
        assert (promises.targets(), promises.amount(BOB)) == ([], 0)
        promises.record(BOB, 5)
        promises.record(CAROL, 2**128 - 1)
    with open_promises(GENESIS, POOL) as promises:
        assert (promises.amount(BOB), promises.amount(CAROL)) == (5, 2**128 - 1)
        assert sorted(promises.targets()) == [BOB, CAROL]


def test_smaller_promise_changes_nothing() -> None:
    with open_promises(GENESIS, POOL) as promises:
        promises.record(BOB, 5)
        promises.record(BOB, 4)
        assert promises.amount(BOB) == 5


@pytest.mark.parametrize(("genesis", "pool"), [(POOL, POOL), (GENESIS, GENESIS)])
def test_other_chains_and_pools_have_their_own(genesis: bytes, pool: bytes) -> None:
    with open_promises(GENESIS, POOL) as promises:
        promises.record(BOB, 5)
    with open_promises(genesis, pool) as promises:
        assert promises.amount(BOB) == 0


@pytest.mark.parametrize("text", ["", "[]", "{", '{"0xzz": "0x1"}', '{"0x01": 5}'])
def test_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    with open_promises(GENESIS, POOL) as promises:
        promises.record(BOB, 5)
    (file,) = tmp_path.rglob("*.json")
    file.write_text(text)
    with pytest.raises(Failure, match="is damaged") as caught, open_promises(GENESIS, POOL):
        pass
    assert caught.value.reason == "DAMAGED"


def _promise_one_more() -> None:
    with open_promises(GENESIS, POOL) as promises:
        promises.record(BOB, promises.amount(BOB) + 1)


def test_processes_take_turns() -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_promise_one_more) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    with open_promises(GENESIS, POOL) as promises:
        assert promises.amount(BOB) == 4


def test_crash_before_the_disk_has_it_leaves_the_old_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_promises(GENESIS, POOL) as promises:
        promises.record(BOB, 5)

        def full_disk(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="No space left"):
            promises.record(BOB, 6)
        assert promises.amount(BOB) == 5
    with open_promises(GENESIS, POOL) as promises:
        assert promises.amount(BOB) == 5

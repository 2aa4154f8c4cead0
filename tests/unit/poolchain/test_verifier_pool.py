"""Whatever goes wrong in a pool of verifiers, whoever asked hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from crypto.eip712 import Domain
from poolchain import verifier_pool
from poolchain.transaction_check import verify
from poolchain.verifier_pool import GROUP_MAX, IN_PLACE_MAX, VerifierPool, _Group, _Verifier
from poolchain.verifier_process import packed
from tests.workbench import Workbench

from .pools import run_closing, until

BENCH = Workbench()
COUNTS = [1, IN_PLACE_MAX, IN_PLACE_MAX + 1, 2 * GROUP_MAX]


class Unexpected(Exception):
    """What nobody has thought of."""


def stumble(item: bytes, found: Any) -> Any:
    if item == b"bad":
        raise Unexpected
    return found


def new_pool() -> VerifierPool[Any]:
    return VerifierPool(verify, BENCH.domain, stumble, processes_max=2)


def with_pool(story: Callable[[VerifierPool[Any]], Awaitable[None]]) -> None:
    run_closing(new_pool, story)


@pytest.mark.parametrize("count", COUNTS)
def test_an_error_goes_to_whoever_asked(count: int) -> None:
    async def story(pool: VerifierPool[Any]) -> None:
        with pytest.raises(Unexpected):
            await pool.many([b"bad"] * count)
        found = await asyncio.gather(*(pool.one(b"bad") for _ in range(count)), return_exceptions=True)
        assert [type(error) for error in found] == [Unexpected] * count
        assert len(await pool.many([b"good"] * count)) == count

    with_pool(story)


@pytest.mark.parametrize("count", COUNTS)
def test_without_a_process_everything_is_found_in_place(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")

    async def story(pool: VerifierPool[Any]) -> None:
        assert len(await pool.many([b"good"] * count)) == count
        assert pool.pids == []

    with_pool(story)


def test_without_a_thread_to_start_one_everything_is_found_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(asyncio, "to_thread", refuse)

    async def story(pool: VerifierPool[Any]) -> None:
        assert len(await pool.many([b"good"] * GROUP_MAX)) == GROUP_MAX

    with_pool(story)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were started."""
    pids: list[int] = []
    popen = subprocess.Popen

    def counted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = popen(*arguments, **options)
        pids.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", counted)
    return pids


def test_a_process_that_has_never_answered_is_not_started_again(started: list[int]) -> None:
    def known_only_here(item: bytes, _: Domain) -> bytes:
        return item

    async def story(pool: VerifierPool[Any]) -> None:
        for _ in range(3):
            assert await pool.many([b"good"] * GROUP_MAX) == [b"good"] * GROUP_MAX
            await until(lambda: not pool.pids and pool._starting is None)
        assert len(started) == 2

    run_closing(lambda: VerifierPool(known_only_here, BENCH.domain, stumble, processes_max=2), story)


def test_after_a_pause_what_could_not_be_started_is_started(
    started: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier_pool, "_PAUSE_SECONDS", 0.2)
    executable = sys.executable
    monkeypatch.setattr(sys, "executable", "/nonexistent")

    async def story(pool: VerifierPool[Any]) -> None:
        await pool.many([b"good"] * GROUP_MAX)
        await until(lambda: pool._starting is None)
        assert pool.pids == []
        monkeypatch.setattr(sys, "executable", executable)
        await pool.many([b"good"] * GROUP_MAX)
        assert started == [], "the pause is not over"
        await asyncio.sleep(0.3)
        await start(pool)
        assert sorted(pool.pids) == sorted(started)

    with_pool(story)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier_pool, "_SILENCE_SECONDS", 0.6)
    monkeypatch.setattr(verifier_pool, "_SECOND_LOOK_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
def test_a_process_that_is_stopped_is_ended_and_its_work_done_here(started: list[int]) -> None:
    async def story(pool: VerifierPool[Any]) -> None:
        await start(pool)
        await pool.many([b"good"] * (4 * GROUP_MAX))
        stopped = started[0]
        os.kill(stopped, signal.SIGSTOP)
        for _ in range(2):
            assert len(await pool.many([b"good"] * (8 * GROUP_MAX))) == 8 * GROUP_MAX
        await until(lambda: stopped not in pool.pids)
        await pool.many([b"good"] * GROUP_MAX)
        await until(lambda: len(pool.pids) == 2 and pool._starting is None)
        assert started[1] in pool.pids, "who answers is left alone"
        await asyncio.sleep(1.5)
        assert len(pool.pids) == 2, "who has nothing to do may be silent"
        assert pool._watching is None

    with_pool(story)


def test_silence_counts_from_the_last_answer_or_from_the_first_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)

    async def story(process: subprocess.Popen[bytes]) -> None:
        nonlocal now
        group = _Group([b"good"], asyncio.get_running_loop().create_future())
        verifier = _Verifier(process, lambda *_: None, lambda _: None)
        now = 1_000.0
        silent = []

        def after(seconds: float) -> None:
            nonlocal now
            now += seconds
            silent.append(verifier.is_silent)

        after(0)  # it has nothing to do
        verifier.take(group)
        after(119)  # it may still be starting
        verifier.take(group)
        after(2)
        verifier.data_received(packed([b"answer"]))
        after(29)  # it answers, though it always has work
        after(2)
        verifier.is_suspect = True
        verifier.data_received(packed([b"answer"]))
        after(0)
        assert silent == [False, False, True, False, True, False]
        assert not verifier.is_suspect

    with subprocess.Popen(["sleep", "60"]) as process:
        asyncio.run(story(process))
        process.kill()


@pytest.mark.usefixtures("impatient")
def test_all_of_us_may_be_stopped_for_a_while(started: list[int]) -> None:
    """What is found silent first may only just have gone on."""

    async def story(pool: VerifierPool[Any]) -> None:
        await start(pool)
        await pool.many([b"good"] * (4 * GROUP_MAX))
        for pid in started:
            os.kill(pid, signal.SIGSTOP)
        asking = asyncio.create_task(pool.many([b"good"] * (8 * GROUP_MAX)))
        await until(lambda: all(verifier.is_suspect for verifier in pool._verifiers))
        for pid in started:
            os.kill(pid, signal.SIGCONT)
        assert len(await asking) == 8 * GROUP_MAX
        assert sorted(pool.pids) == sorted(started)

    with_pool(story)


def test_one_group_at_a_time_goes_to_each_process_once(started: list[int]) -> None:
    """So that none that works is taken for one that never has."""

    async def story(pool: VerifierPool[Any]) -> None:
        await start(pool)
        for _ in range(2):
            await pool.many([b"good"] * (IN_PLACE_MAX + 1))
        assert all(verifier.has_answered for verifier in pool._verifiers)
        assert len(started) == 2

    with_pool(story)


@pytest.fixture
def handed_out(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Process and number of items of each group that was handed out."""
    groups: list[tuple[int, int]] = []
    take = _Verifier.take

    def noted(verifier: _Verifier, group: Any) -> None:
        groups.append((verifier.pid, len(group.items)))
        take(verifier, group)

    monkeypatch.setattr(_Verifier, "take", noted)
    return groups


async def start(pool: VerifierPool[Any]) -> None:
    await pool.many([b"good"] * GROUP_MAX)
    await until(lambda: len(pool.pids) == 2 and pool._starting is None)


@pytest.mark.parametrize(
    ("count", "sizes"),
    [(3, [[3]]), (7, [[7]]), (8, [[4], [4]]), (13, [[5], [5, 3]]), (32, [[8, 8], [8, 8]])],
)
def test_what_comes_at_once_is_divided_among_the_processes(
    count: int, sizes: list[list[int]], handed_out: list[tuple[int, int]]
) -> None:
    """So that none waits for the others' to be checked, one after the other."""

    async def story(pool: VerifierPool[Any]) -> None:
        await start(pool)
        for ask in (lambda items: asyncio.gather(*map(pool.one, items)), pool.many):
            handed_out.clear()
            assert len(await ask([b"good"] * count)) == count
            by_process = [[size for pid, size in handed_out if pid == one] for one in {pid for pid, _ in handed_out}]
            assert sorted(by_process) == sizes

    with_pool(story)


def test_a_few_are_checked_in_place_only_where_no_process_is_at_work(handed_out: list[tuple[int, int]]) -> None:
    async def story(pool: VerifierPool[Any]) -> None:
        await start(pool)
        handed_out.clear()
        await asyncio.gather(pool.many([b"good"]), pool.one(b"good"))
        assert handed_out == []
        await asyncio.gather(pool.many([b"good"] * GROUP_MAX), pool.many([b"good"]), pool.one(b"good"))
        assert sorted(size for _, size in handed_out) == [1, 1, *[GROUP_MAX // 4] * 4]

    with_pool(story)


def test_a_process_that_dies_during_the_close_has_no_successor(started: list[int]) -> None:
    async def story(pool: VerifierPool[Any]) -> None:
        await pool.many([b"good"] * (4 * GROUP_MAX))
        asking = [asyncio.create_task(pool.many([b"good"] * (4 * GROUP_MAX))) for _ in range(8)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        for pid in started:
            os.kill(pid, signal.SIGKILL)
        assert [len(found) for found in await asyncio.gather(*asking)] == [4 * GROUP_MAX] * 8
        await closing
        assert len(started) == 2

    with_pool(story)


def test_who_asked_just_before_the_end_is_answered() -> None:
    async def run() -> None:
        pool = new_pool()
        asking = [asyncio.create_task(pool.one(b"good")) for _ in range(GROUP_MAX)]
        await asyncio.sleep(0)
        await pool.close()
        async with asyncio.timeout(10):
            assert len(await asyncio.gather(*asking)) == GROUP_MAX

    asyncio.run(run())


def test_a_cancelled_close_leaves_nobody_waiting() -> None:
    async def story(pool: VerifierPool[Any]) -> None:
        asking = asyncio.create_task(pool.many([b"good"] * GROUP_MAX))
        await asyncio.sleep(0)
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        closing.cancel()
        assert len(await asking) == GROUP_MAX

    with_pool(story)

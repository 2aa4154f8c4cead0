"""A worker does one thing after the other, and the loop hears of each."""

from __future__ import annotations

import asyncio
import threading

from peers.worker import Worker


def test_results_and_errors_come_back_to_the_loop_in_order() -> None:
    async def work() -> None:
        worker = Worker("test")
        found: list[int | Exception] = []
        done = asyncio.Event()

        def take(result: int | Exception) -> None:
            assert threading.current_thread() is threading.main_thread()
            found.append(result)
            if len(found) == 3:
                done.set()

        worker.do(lambda: 1, take)
        worker.do(lambda: 1 // 0, take)
        worker.do(lambda: 3, take)
        async with asyncio.timeout(10):
            await done.wait()
        worker.close()
        assert (found[0], type(found[1]), found[2]) == (1, ZeroDivisionError, 3)

    asyncio.run(work())


def test_close_waits_for_what_was_asked_for() -> None:
    done: list[str] = []

    async def work() -> None:
        worker = Worker("test")
        released = threading.Event()
        worker.do(lambda: released.wait(10), lambda _: None)
        worker.do(lambda: done.append("last"), lambda _: None)
        released.set()
        worker.close()

    asyncio.run(work())
    assert done == ["last"]


def test_an_ended_loop_is_not_told() -> None:
    worker = Worker("test")
    released = threading.Event()

    async def work() -> None:
        worker.do(lambda: released.wait(10), lambda _: None)

    asyncio.run(work())
    released.set()
    worker.close()

"""Chunks are handed out in playing order, urgent ones first, each to one worker at a time."""

from __future__ import annotations

import asyncio

from peers.queue_of_chunks import ChunkQueue


def anything(_: int) -> bool:
    return True


def taken(queue: ChunkQueue, count: int) -> list[int | None]:
    return [queue.take(anything) for _ in range(count)]


def test_playing_order_within_the_window() -> None:
    queue = ChunkQueue(window=3)
    queue.want([4, 2, 0, 3, 1])
    assert taken(queue, 4) == [0, 1, 2, None]
    queue.arrived(1)
    assert queue.take(anything) is None, "the window begins at the first that is not here"
    queue.arrived(0)
    assert taken(queue, 3) == [3, 4, None]


def test_what_is_urgent_comes_first_whatever_the_window() -> None:
    queue = ChunkQueue(window=2)
    queue.want(range(10))
    queue.want([7], urgent=True)
    assert taken(queue, 2) == [7, 0]


def test_a_chunk_that_is_given_back_comes_before_all_others() -> None:
    queue = ChunkQueue(window=10)
    queue.want(range(5))
    assert taken(queue, 3) == [0, 1, 2]
    queue.give_back(1)
    assert taken(queue, 2) == [1, 3]


def test_whoever_cannot_have_a_chunk_leaves_it_to_others() -> None:
    queue = ChunkQueue(window=10)
    queue.want(range(3))
    assert queue.take(lambda index: index == 2) == 2
    assert queue.take(lambda index: index > 5) is None
    assert taken(queue, 3) == [0, 1, None]


def test_a_certain_chunk_is_taken_once() -> None:
    queue = ChunkQueue(window=10)
    queue.want([1])
    assert queue.take_this(1)
    assert not queue.take_this(1)
    assert queue.take(anything) is None


def test_nothing_is_wanted_twice_while_it_is_under_way() -> None:
    queue = ChunkQueue(window=10)
    queue.want([1, 1])
    assert queue.take(anything) == 1
    queue.want([1])
    assert queue.take(anything) is None
    assert not queue.is_done
    queue.arrived(1)
    assert queue.is_done


def test_waiting_ends_with_the_chunk_and_with_any_change() -> None:
    async def work() -> None:
        queue = ChunkQueue(window=10)
        queue.want([1])
        waiting = [asyncio.create_task(queue.wait_for(1)), asyncio.create_task(queue.wait_for_change())]
        await asyncio.sleep(0)
        queue.arrived(1)
        async with asyncio.timeout(5):
            await asyncio.gather(*waiting)
            waiting = [asyncio.create_task(queue.wait_for_change()) for _ in range(2)]
            await asyncio.sleep(0)
            queue.wake()
            await asyncio.gather(*waiting)

    asyncio.run(work())

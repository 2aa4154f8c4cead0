"""A session's queue is bounded: events of a reader that does not read close it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from rpc.limits import Limits
from rpc.session import Session, encode_notification

LIMITS = Limits(websocket_queue_max=4, websocket_queue_bytes_max=100)


def with_session(test: Callable[[Session], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(test(Session(LIMITS)), 5)

    asyncio.run(run())


def test_messages_come_out_in_order() -> None:
    async def test(session: Session) -> None:
        assert session.send(b"1")
        assert session.notify("chain_subscription", {"subscription": "0x1"})
        assert await session.next_message() == b"1"
        message = await session.next_message()
        assert message is not None
        assert json.loads(message) == {
            "jsonrpc": "2.0",
            "method": "chain_subscription",
            "params": {"subscription": "0x1"},
        }
        assert message == encode_notification("chain_subscription", {"subscription": "0x1"})

    with_session(test)


def test_next_message_is_waited_for() -> None:
    async def test(session: Session) -> None:
        waiter = asyncio.create_task(session.next_message())
        await asyncio.sleep(0)
        session.send(b"1")
        assert await waiter == b"1"
        waiter = asyncio.create_task(session.next_message())
        await asyncio.sleep(0)
        session.close()
        assert await waiter is None

    with_session(test)


def test_one_message_too_many_closes() -> None:
    async def test(session: Session) -> None:
        closed: list[int] = []
        session.on_close(lambda: closed.append(1))
        assert all(session.send(b"x") for _ in range(4))
        assert not session.send(b"x")
        assert session.is_closed
        assert closed == [1]
        assert not session.send(b"x")
        assert await session.next_message() is None
        await session.wait_closed()
        await session.wait_for_room()
        session.close()
        assert closed == [1]

    with_session(test)


def test_too_many_bytes_close() -> None:
    async def test(session: Session) -> None:
        assert session.send(b"x" * 100)
        assert await session.next_message() == b"x" * 100
        assert session.send(b"x" * 60)
        assert not session.send(b"x" * 60)
        assert session.is_closed

    with_session(test)


def test_callback_of_a_closed_session_is_called_at_once() -> None:
    async def test(session: Session) -> None:
        closed: list[int] = []
        session.close()
        session.on_close(lambda: closed.append(1))
        assert closed == [1]

    with_session(test)


def test_room_is_half_of_the_queue() -> None:
    async def test(session: Session) -> None:
        await session.wait_for_room()
        for _ in range(3):
            session.send(b"x")
        waiter = asyncio.create_task(session.wait_for_room())
        await asyncio.sleep(0)
        assert not waiter.done()
        await session.next_message()
        await waiter

    with_session(test)

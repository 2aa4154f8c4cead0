"""Signatures checked by other processes: the same answers in the same order, whatever becomes of the processes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from ledger.errors import Refusal
from ledger.transaction import AnyTransaction
from poolchain.verifier_pool import GROUP_MAX
from poolchain.verifiers import Decoded, Verifiers
from tests.model import signing
from tests.model.small_chain import ALICE_KEY, BOB, BOB_KEY, RESOURCE
from tests.workbench import Workbench
from txtypes.table import decode

from .pools import run_closing, until

BENCH = Workbench()
GOOD = [
    *(signing.transfer(ALICE_KEY, BENCH.signing, BOB, 1, 10, nonce) for nonce in range(40)),
    *(signing.create_pool(ALICE_KEY, BENCH.signing, RESOURCE, 5, 9, 3, 10, nonce) for nonce in range(40)),
    *(signing.service_payment(ALICE_KEY, BOB_KEY, BENCH.signing, 7, bytes(32), seq, 10) for seq in range(1, 41)),
]
BAD = [b"", b"\x09", GOOD[0][:-1], GOOD[0][:-1] + b"\x05", b"\xff" * 291, b"\x03" + b"\xff" * 290]
MIXED = [raw for pair in zip(GOOD, BAD * 20, strict=True) for raw in pair]
T = TypeVar("T")


def with_verifiers(story: Callable[[Verifiers], Awaitable[T]], processes: int = 2) -> T:
    return run_closing(lambda: Verifiers(BENCH.domain, processes), story)


def members(found: AnyTransaction) -> tuple[object, ...]:
    return found.kind, found.raw, found.hash, found.fields, found.signers


def expected(raw: bytes) -> tuple[object, ...]:
    try:
        return members(decode(raw, BENCH.domain))
    except Refusal as refusal:
        return refusal.reason, refusal.expected, refusal.given


def shown(found: Decoded) -> tuple[object, ...]:
    return (found.reason, found.expected, found.given) if isinstance(found, Refusal) else members(found)


def test_answers_are_those_of_decode_in_order() -> None:
    found = with_verifiers(lambda verifiers: verifiers.decode_many(MIXED))
    assert list(map(shown, found)) == list(map(expected, MIXED))


def test_few_are_checked_without_a_process() -> None:
    async def story(verifiers: Verifiers) -> None:
        assert list(map(shown, await verifiers.decode_many(MIXED[:2]))) == list(map(expected, MIXED[:2]))
        assert members(await verifiers.decode(GOOD[0])) == expected(GOOD[0])
        assert verifiers.pids == []

    with_verifiers(story)


def test_those_that_come_one_by_one_at_the_same_moment_are_checked_together() -> None:
    async def story(verifiers: Verifiers) -> None:
        found = await asyncio.gather(*map(verifiers.decode, MIXED), return_exceptions=True)
        assert [shown(item) for item in found if not isinstance(item, BaseException)] == list(map(expected, GOOD))
        assert [shown(item) for item in found if isinstance(item, Refusal)] == list(map(expected, BAD * 20))
        assert len(verifiers.pids) == 2

    with_verifiers(story)


def test_calls_at_the_same_time_each_get_their_own() -> None:
    async def story(verifiers: Verifiers) -> None:
        parts = [MIXED[at : at + size] for at, size in ((0, 240), (3, 5), (100, 64), (7, 65), (0, 129))]
        for part, found in zip(parts, await asyncio.gather(*map(verifiers.decode_many, parts)), strict=True):
            assert list(map(shown, found)) == list(map(expected, part))

    with_verifiers(story)


@pytest.mark.parametrize("survivors", [0, 1])
def test_what_a_killed_process_had_is_checked_all_the_same(survivors: int) -> None:
    async def story(verifiers: Verifiers) -> None:
        await verifiers.decode_many(MIXED[:GROUP_MAX])
        waiting = [asyncio.create_task(verifiers.decode_many(MIXED)) for _ in range(8)]
        await asyncio.sleep(0)
        for pid in verifiers.pids[survivors:]:
            os.kill(pid, signal.SIGKILL)
        for found in await asyncio.gather(*waiting):
            assert list(map(shown, found)) == list(map(expected, MIXED))
        assert list(map(shown, await verifiers.decode_many(MIXED))) == list(map(expected, MIXED))

    with_verifiers(story)


@pytest.mark.parametrize("survivors", [0, 1])
def test_another_takes_the_place_of_a_killed_process_when_there_is_more_to_do(survivors: int) -> None:
    async def story(verifiers: Verifiers) -> None:
        for _ in range(3):
            while len(verifiers.pids) < 2 or not all(one.has_answered for one in verifiers._pool._verifiers):
                await verifiers.decode_many(MIXED)
            killed = verifiers.pids[survivors:]
            for pid in killed:
                os.kill(pid, signal.SIGKILL)
            await until(lambda: len(verifiers.pids) == survivors)
            await verifiers.decode_many(MIXED)
            await until(lambda: len(verifiers.pids) == 2)
            assert not set(verifiers.pids) & set(killed)
        assert len(verifiers._pool._ended) <= 2 - survivors, "those before are forgotten"

    with_verifiers(story)


def test_processes_end_with_the_verifiers_and_what_waits_is_still_answered() -> None:
    async def story(verifiers: Verifiers) -> list[int]:
        await verifiers.decode_many(MIXED)
        started = verifiers.pids
        waiting = asyncio.create_task(verifiers.decode_many(MIXED))
        await asyncio.sleep(0)
        await verifiers.close()
        assert list(map(shown, await waiting)) == list(map(expected, MIXED))
        return started

    for pid in with_verifiers(story):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_verifiers_give_way(processes: int) -> None:
    async def story(verifiers: Verifiers) -> None:
        await verifiers.decode_many(MIXED)
        ours = os.getpriority(os.PRIO_PROCESS, 0)
        found = [os.getpriority(os.PRIO_PROCESS, pid) for pid in verifiers.pids]
        assert found == [min(19, ours + 10)] * processes

    with_verifiers(story, processes)

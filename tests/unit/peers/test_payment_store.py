"""Books on disk: one sync for all of a moment, a crash at any moment, and a disk that fails."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.records import Target
from peers.book import Book
from peers.payment_store import PaymentStore, StoreFailed, decode_book, encode_book
from storage.kv import StorageDamaged, StorageFailure, StorageRefused
from storage.memory import Fault, Faults, MemoryDisk, MemoryKeyValue

from .books import CREATOR, POOL_ID, SELLER, book, pay, taken

if TYPE_CHECKING:
    from collections.abc import Iterable

GENESIS = bytes(32)
ROOT = Path(__file__).resolve().parents[3]


class SlowDisk(MemoryKeyValue):
    """Counts batches, and holds each until it is let go."""

    def __init__(self, disk: MemoryDisk | None = None) -> None:
        super().__init__(disk)
        self.batches: list[int] = []
        self.gate = threading.Semaphore(0)

    def write(self, puts_and_deletes: Iterable[tuple[bytes, bytes | None]]) -> None:
        entries = [*puts_and_deletes]
        self.gate.acquire()
        self.batches.append(len(entries))
        super().write(entries)


def named(number: int) -> Book:
    return taken(book(), 100)._replace(cptx_hash=number.to_bytes(32, "big"))


def store_on(disk: MemoryKeyValue) -> PaymentStore:
    return PaymentStore(disk, GENESIS, SELLER.address)


# The bytes of a book


@given(
    kept=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    height=st.integers(0, 2**64 - 1),
    amounts=st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1)),
)
def test_a_book_is_the_same_after_the_disk(
    kept: tuple[bool, bool, bool], height: int, amounts: tuple[int, int]
) -> None:
    payments = [pay(amount) if is_kept else None for amount, is_kept in zip((100, 90, 80), kept, strict=True)]
    found = book(Target(3, 7))._replace(
        height=height,
        best=payments[0],
        settling=payments[1],
        evidence=payments[2],
        delivered=amounts[0],
        settling_fee=amounts[1],
    )
    assert decode_book(POOL_ID, SELLER.address, encode_book(found)) == found


@pytest.mark.parametrize("data", [b"", bytes(10), encode_book(book()) + b"\x00", encode_book(book())[:-1] + b"\x08"])
def test_other_bytes_are_damage(data: bytes) -> None:
    with pytest.raises(StorageDamaged):
        decode_book(POOL_ID, SELLER.address, data)


# Saving and loading


def test_what_was_saved_is_there_after_opening_again(tmp_path: Path) -> None:
    async def write() -> None:
        store = PaymentStore.open(tmp_path / "payments", GENESIS, SELLER.address)
        await store.save(named(1), 5)
        await store.save(named(2))
        await store.save(named(1)._replace(delivered=200), 6)
        await store.close()

    async def read() -> None:
        store = PaymentStore.open(tmp_path / "payments", GENESIS, SELLER.address)
        assert [*store.load()] == [named(1)._replace(delivered=200), named(2)]
        assert await store.was_paid(named(1).cptx_hash, 5)
        assert await store.was_paid(named(1).cptx_hash, 6)
        assert not await store.was_paid(named(1).cptx_hash, 7)
        assert not await store.was_paid(named(2).cptx_hash, 5)
        await store.close()

    asyncio.run(write())
    asyncio.run(read())


def test_a_closed_pool_is_forgotten_with_its_chunks() -> None:
    async def work() -> None:
        disk = MemoryDisk()
        store = store_on(MemoryKeyValue(disk))
        before = disk.contents()
        for index in (0, 1, 2**64 - 1):
            await store.save(named(1), index)
        await store.save(named(2), 0)
        await asyncio.gather(store.save(named(1), 9), store.forget(named(1).cptx_hash))
        assert [*store.load()] == [named(2)]
        assert not await store.was_paid(named(1).cptx_hash, 2**64 - 1)
        await store.forget(named(2).cptx_hash)
        await store.close()
        assert disk.contents() == before

    asyncio.run(work())


def test_one_store_is_for_one_address_on_one_chain() -> None:
    disk = MemoryDisk()
    first = MemoryKeyValue(disk)
    PaymentStore(first, GENESIS, SELLER.address)
    first.close()
    for genesis, target in ((b"\x01" * 32, SELLER.address), (GENESIS, CREATOR.address)):
        again = MemoryKeyValue(disk)
        with pytest.raises(StorageRefused, match="another address or chain"):
            PaymentStore(again, genesis, target)
        again.close()


def test_a_second_process_cannot_open_it(tmp_path: Path) -> None:
    async def work() -> None:
        store = PaymentStore.open(tmp_path / "payments", GENESIS, SELLER.address)
        with pytest.raises(StorageRefused):
            PaymentStore.open(tmp_path / "payments", GENESIS, SELLER.address)
        await store.close()

    asyncio.run(work())


def test_a_draft_left_by_a_crash_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "payments.new").mkdir()
    (tmp_path / "payments.new" / "LOG").write_text("half made")

    async def work() -> None:
        store = PaymentStore.open(tmp_path / "payments", GENESIS, SELLER.address)
        assert [*store.load()] == []
        await store.close()

    asyncio.run(work())
    assert not (tmp_path / "payments.new").exists()


# Group commit


def test_what_comes_during_a_sync_shares_the_next_one() -> None:
    async def work() -> None:
        disk = SlowDisk()
        disk.gate.release()
        store = store_on(disk)
        first = asyncio.create_task(store.save(named(0)))
        await asyncio.sleep(0.01)
        rest = [asyncio.create_task(store.save(named(number), 0)) for number in range(1, 50)]
        await asyncio.sleep(0.01)
        assert not first.done()
        disk.gate.release()
        await first
        assert not any(task.done() for task in rest)
        disk.gate.release()
        await asyncio.gather(*rest)
        assert disk.batches == [1, 1, 98]
        disk.gate.release()
        await store.close()

    asyncio.run(work())


def test_of_one_book_only_the_newest_state_is_written() -> None:
    async def work() -> None:
        disk = SlowDisk()
        disk.gate.release(100)
        store = store_on(disk)
        await asyncio.gather(*(store.save(named(1)._replace(delivered=number)) for number in range(40)))
        assert sum(disk.batches) == 3  # the identity, the first, the newest
        assert [found.delivered for found in store.load()] == [39]
        await store.close()

    asyncio.run(work())


def test_a_chunk_counts_as_paid_only_when_it_is_synced() -> None:
    async def work() -> None:
        disk = SlowDisk()
        disk.gate.release()
        store = store_on(disk)
        saving = asyncio.create_task(store.save(named(1), 5))
        await asyncio.sleep(0.01)
        asking = asyncio.create_task(store.was_paid(named(1).cptx_hash, 5))
        await asyncio.sleep(0.01)
        assert not asking.done()
        disk.gate.release(100)
        assert await asking
        assert saving.done()
        await store.close()

    asyncio.run(work())


def test_who_goes_away_does_not_take_the_payment_with_him() -> None:
    async def work() -> None:
        disk = SlowDisk()
        disk.gate.release()
        store = store_on(disk)
        gone = asyncio.create_task(store.save(named(1)))
        await asyncio.sleep(0.01)
        stays = asyncio.create_task(store.save(named(2)))
        late = asyncio.create_task(store.save(named(3)))
        await asyncio.sleep(0.01)
        gone.cancel()
        late.cancel()
        disk.gate.release(100)
        await stays
        assert [*store.load()] == [named(1), named(2), named(3)]
        await store.close()

    asyncio.run(work())


# A disk that fails


@pytest.mark.parametrize("entries_kept", [0, 1, None])
def test_a_failed_commit_is_told_to_everyone(entries_kept: int | None) -> None:
    async def work() -> None:
        fault = Fault(StorageFailure("no space left"), entries_kept)
        store = store_on(MemoryKeyValue(faults=Faults(writes={3: fault})))
        await store.save(named(0))
        saves = [asyncio.create_task(store.save(named(number), number)) for number in range(1, 20)]
        results = await asyncio.gather(*saves, return_exceptions=True)
        assert all(isinstance(result, StoreFailed) for result in results)
        assert all("no space left" in str(result) for result in results)
        assert store.failed.is_set()
        with pytest.raises(StoreFailed):
            await store.save(named(0))
        await store.close()

    asyncio.run(work())


def test_those_who_wait_for_the_next_sync_are_told_too() -> None:
    async def work() -> None:
        disk = SlowDisk()
        disk.gate.release()
        store = store_on(disk)
        disk._session.faults = Faults(writes={2: Fault(StorageFailure("gone"))})
        first = asyncio.create_task(store.save(named(1)))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(store.save(named(2)))
        await asyncio.sleep(0.01)
        disk.gate.release(2)
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [StoreFailed, StoreFailed]
        assert disk.batches == [1, 1]
        await store.close()

    asyncio.run(work())


# A crash


_CHILD = """
import asyncio, sys
from pathlib import Path
from peers.payment_store import PaymentStore
from tests.unit.peers.books import SELLER, book, pay

async def one(store, number):
    found = book()._replace(cptx_hash=number.to_bytes(32, "big"))
    for amount in range(1, 10**6):
        found = found._replace(best=pay(amount, cptx_hash=found.cptx_hash), delivered=amount)
        await store.save(found, amount)
        sys.stdout.write(f"{number} {amount}\\n")
        sys.stdout.flush()

async def main():
    store = PaymentStore.open(Path(sys.argv[1]), bytes(32), SELLER.address)
    await asyncio.gather(*(one(store, number) for number in range(8)))

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 40, 400])
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "payments"
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        told += [line for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    acknowledged: dict[int, int] = {}
    for line in told:
        number, amount = map(int, line.split())
        acknowledged[number] = amount

    async def check() -> None:
        store = PaymentStore.open(path, GENESIS, SELLER.address)
        found = {int.from_bytes(kept.cptx_hash, "big"): kept for kept in store.load()}
        for number, amount in acknowledged.items():
            kept = found[number]
            assert kept.delivered >= amount
            assert kept.best is not None
            assert kept.best.promise.amount == kept.delivered
            for index in (1, amount, kept.delivered):
                assert await store.was_paid(kept.cptx_hash, index)
            assert not await store.was_paid(kept.cptx_hash, kept.delivered + 1)
        await store.close()

    asyncio.run(check())

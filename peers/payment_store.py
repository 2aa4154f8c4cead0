"""A cacher's books on disk: nothing is delivered before the payment for it is synced (group commit).

One writer: whatever arrived while a batch was being synced goes into the next one, so that a sync is shared by all
payments of its moment. A commit that fails is told to everyone who waits for it and to all later ones: the cacher
stops, because what is not on disk was not received. One LevelDB for one address on one chain:

    i                        identity: format, genesis hash, address
    b || cptxHash            the book
    c || cptxHash || index   a chunk that was paid for; no value
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ledger.records import POOL_BYTES, TARGET_BYTES, Pool, Target
from storage.directory import sync_directory
from storage.kv import KeyValue, StorageDamaged, StorageError, StorageRefused
from storage.leveldb import Settings, create, open_existing

from .book import Book
from .payment import PAYMENT_BYTES, Payment
from .worker import Worker

_IDENTITY: Final = b"i"
_BOOK: Final = b"b"
_CHUNK: Final = b"c"
_FORMAT: Final = b"poolchain-payments 1 "
_FIXED_BYTES: Final = POOL_BYTES + TARGET_BYTES + 8 + 16 + 16 + 1
_SETTINGS: Final = Settings(block_cache_bytes=8 << 20)
_DELETED_AT_ONCE: Final = 10_000


class StoreFailed(Exception):
    """The disk refused a write: nothing may be delivered any more. The argument says why."""


class ChunkSet:
    """Numbers of chunks, a bit for each."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        """Begin with none."""
        self._bits = bytearray()

    def __contains__(self, index: int) -> bool:
        """Tell whether a number is there."""
        place = index >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (index & 7) & 1)

    def add(self, index: int) -> None:
        """Put a number in."""
        place = index >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << (index & 7)


@dataclass(slots=True)
class _Batch:
    """What is written together, and who waits for it."""

    entries: dict[bytes, bytes | None] = field(default_factory=dict)
    waiters: list[asyncio.Future[None]] = field(default_factory=list)


class PaymentStore:
    """The open books of one address. Used by one event loop; only `load` and opening block."""

    def __init__(self, store: KeyValue, genesis_hash: bytes, target: bytes) -> None:
        """Take an open store, which becomes this address's if it is empty; raises StorageRefused."""
        found = store.get(_IDENTITY)
        if found is None:
            store.write([(_IDENTITY, _identity(genesis_hash, target))])
        elif found != _identity(genesis_hash, target):
            raise StorageRefused("these payments are of another address or chain")
        self.failure: str | None = None
        """Why nothing can be written any more."""
        self.failed = asyncio.Event()
        self.target = target
        """Whose books they are."""
        self._store = store
        self._writer = Worker("payments")
        self._next = _Batch()
        self._writing: _Batch | None = None
        self._paid: dict[bytes, ChunkSet] = {}
        """Of the pools that were asked about: the chunks that were paid for, whether synced or not."""

    @classmethod
    def open(cls, path: Path, genesis_hash: bytes, target: bytes) -> PaymentStore:
        """Open or make the store in a directory; raises StorageError (StorageRefused while another process has it)."""
        if not path.exists():
            _make(path, genesis_hash, target)
        store = open_existing(path, _SETTINGS).store
        try:
            return cls(store, genesis_hash, target)
        except StorageError:
            store.close()
            raise

    def load(self) -> Iterator[Book]:
        """Yield every book as it was last saved; raises StorageError."""
        for key, value in self._store.iterate(_BOOK, _CHUNK):
            yield decode_book(key[1:], self.target, value)

    async def save(self, book: Book, paid_chunk: int | None = None) -> None:
        """Write a book, and the chunk that was paid for; it is synced when this returns. Raises StoreFailed."""
        entries: dict[bytes, bytes | None] = {_BOOK + book.cptx_hash: encode_book(book)}
        if paid_chunk is not None:
            entries[_chunk_key(book.cptx_hash, paid_chunk)] = b""
            if book.cptx_hash in self._paid:
                self._paid[book.cptx_hash].add(paid_chunk)
        await self._commit(entries)

    async def was_paid(self, cptx_hash: bytes, index: int) -> bool:
        """Tell whether a chunk was paid for in this pool; waits while that is being synced. Raises StoreFailed."""
        paid = self._paid.get(cptx_hash)
        if paid is None:
            paid = self._paid[cptx_hash] = self._load_paid(cptx_hash)
        if index not in paid:
            return False
        key = _chunk_key(cptx_hash, index)
        if key in self._next.entries or (self._writing is not None and key in self._writing.entries):
            await self._commit({})
        return True

    async def forget(self, cptx_hash: bytes) -> None:
        """Delete a book and its chunks; raises StoreFailed."""
        await self._commit({})  # so that what is on its way is seen
        self._paid.pop(cptx_hash, None)
        keys = [*self._chunk_keys(cptx_hash)]
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            await self._commit(dict.fromkeys(keys[first : first + _DELETED_AT_ONCE]))
        await self._commit({_BOOK + cptx_hash: None})

    async def close(self) -> None:
        """Write what is waiting and close."""
        with contextlib.suppress(StoreFailed):
            await self._commit({})
        self._writer.close()
        self._store.close()

    def _load_paid(self, cptx_hash: bytes) -> ChunkSet:
        """Return the chunks that were paid for, also those that are being written. Raises StorageError."""
        paid = ChunkSet()
        on_their_way = [*self._next.entries, *(self._writing.entries if self._writing else ())]
        prefix = _CHUNK + cptx_hash
        for key in [*self._chunk_keys(cptx_hash), *(key for key in on_their_way if key.startswith(prefix))]:
            paid.add(int.from_bytes(key[len(prefix) :], "big"))
        return paid

    def _chunk_keys(self, cptx_hash: bytes) -> Iterator[bytes]:
        start, stop = _chunk_key(cptx_hash, 0), _chunk_key(cptx_hash, (1 << 64) - 1)
        return (key for key, _ in self._store.iterate(start, stop + b"\x00"))

    async def _commit(self, entries: dict[bytes, bytes | None]) -> None:
        if self.failure is not None:
            raise StoreFailed(self.failure)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.entries.update(entries)
        self._next.waiters.append(done)
        if self._writing is None:
            self._write_next()
        await done

    def _write_next(self) -> None:
        self._writing, self._next = self._next, _Batch()
        entries = [*self._writing.entries.items()]
        self._writer.do(lambda: self._write(entries), self._written)

    def _write(self, entries: list[tuple[bytes, bytes | None]]) -> None:
        if entries:
            self._store.write(entries)

    def _written(self, error: Exception | None) -> None:
        """Tell everyone who waited, and begin with what came meanwhile."""
        batch, self._writing = self._writing or _Batch(), None
        if error is not None:
            self.failure = f"the payments could not be written: {error}"
            self.failed.set()
            batch.waiters += self._next.waiters
            self._next = _Batch()
        for waiter in batch.waiters:
            if waiter.done():  # whoever waited went away; what was paid stays paid
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(StoreFailed(self.failure))
        if self._next.waiters:
            self._write_next()


def _make(path: Path, genesis_hash: bytes, target: bytes) -> None:
    """Make an empty store beside its place and move it there, so that a crash leaves none or a whole one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    store = create(draft, _SETTINGS)
    store.write([(_IDENTITY, _identity(genesis_hash, target))])
    store.close()
    draft.replace(path)
    sync_directory(path.parent)


def _identity(genesis_hash: bytes, target: bytes) -> bytes:
    return _FORMAT + genesis_hash + target


def encode_book(book: Book) -> bytes:
    """Return the bytes of a book: both records, height, delivered, fee (16 each but the height's 8), and payments."""
    payments = (book.best, book.settling, book.evidence)
    record = book.pool.encode() + book.record.encode() + book.height.to_bytes(8, "big")
    amounts = book.delivered.to_bytes(16, "big") + book.settling_fee.to_bytes(16, "big")
    there = bytes([sum(1 << place for place, payment in enumerate(payments) if payment is not None)])
    return record + amounts + there + b"".join(payment.encode() for payment in payments if payment is not None)


def decode_book(cptx_hash: bytes, target: bytes, data: bytes) -> Book:
    """Return the book of its bytes; raises StorageDamaged."""
    there = data[_FIXED_BYTES - 1] if len(data) >= _FIXED_BYTES else 0xFF
    if there > 0b111 or len(data) != _FIXED_BYTES + there.bit_count() * PAYMENT_BYTES:
        raise StorageDamaged(f"the book of pool 0x{cptx_hash.hex()} has {len(data)} bytes that make no sense")
    at, payments = _FIXED_BYTES, []
    for place in range(3):
        is_there = bool(there >> place & 1)
        payments.append(Payment.decode(data[at : at + PAYMENT_BYTES]) if is_there else None)
        at += PAYMENT_BYTES * is_there
    middle = POOL_BYTES + TARGET_BYTES
    return Book(
        cptx_hash=cptx_hash,
        target=target,
        pool=Pool.decode(data[:POOL_BYTES]),
        record=Target.decode(data[POOL_BYTES:middle]),
        height=int.from_bytes(data[middle : middle + 8], "big"),
        delivered=int.from_bytes(data[middle + 8 : middle + 24], "big"),
        settling_fee=int.from_bytes(data[middle + 24 : middle + 40], "big"),
        best=payments[0],
        settling=payments[1],
        evidence=payments[2],
    )


def _chunk_key(cptx_hash: bytes, index: int) -> bytes:
    return _CHUNK + cptx_hash + index.to_bytes(8, "big")

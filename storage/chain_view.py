"""Everything about the chain at one head: what answers of one request are read from.

A view stays the same while the head moves on, and may be read from any thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crypto.merkle import Frontier
from ledger.block import Block, SealedHeader
from ledger.executed import Tip
from ledger.page_changes import changed
from ledger.receipt import RECEIPT_BYTES, Receipt
from ledger.supply import Supply

from . import schema, undo
from .kv import ReadView, StorageDamaged


class Location(NamedTuple):
    """Where a transaction is: the height of its block and its place in it."""

    height: int
    index_in_block: int


@dataclass(frozen=True, slots=True)
class PoolFilter:
    """Which pools to list; None lets all pass."""

    creator: bytes | None = None
    target: bytes | None = None
    """Only pools from which this address was settled."""
    resource_id: bytes | None = None

    def index(self) -> bytes:
        """Return the prefix of the narrowest index: creators and targets have few pools, resources many."""
        if self.creator is not None:
            return schema.BY_CREATOR + self.creator
        if self.target is not None:
            return schema.BY_TARGET + self.target
        if self.resource_id is not None:
            return schema.BY_RESOURCE + self.resource_id
        return schema.ALL_POOLS


class ChainView:
    """One moment of a chain store, under the head of that moment."""

    def __init__(self, reader: ReadView) -> None:
        """Read through a snapshot, or through the store itself where nothing else writes."""
        self._reader = reader
        self.height = int.from_bytes(self._need(schema.META_HEAD), "big")

    def get(self, key: bytes) -> bytes | None:
        """Return the record under a state key (ledger.state.StateReader)."""
        return self._reader.get(schema.RECORD + key)

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        """Return open pools with expiresAt <= height in the order (expiresAt, id), at most `limit` (StateReader)."""
        due: list[bytes] = []
        for key, _ in self._reader.iterate(schema.DUE, schema.DUE + schema.number(height + 1)):
            if len(due) == limit:
                break
            due.append(key[-32:])
        return due

    def page(self, key: bytes) -> bytes | None:
        """Return a page of the state tree."""
        return self.page_with(key, self.tail(key))

    def page_with(self, key: bytes, tail: bytes) -> bytes | None:
        """Return a page of the state tree whose tail is known."""
        page = self._reader.get(schema.PAGE + key)
        return changed(key[0], page, tail) if tail else page

    def tail(self, key: bytes) -> bytes:
        """Return what has changed in a stored page since it was written; empty where nothing has."""
        return self._reader.get(schema.TAIL + key) or b""

    def history_node(self, level: int, index: int) -> bytes:
        """Return a finished node of the tree over block hashes (crypto.merkle.NodeReader)."""
        return self._need(schema.node_key(level, index))

    def tip(self) -> Tip:
        """Return the head as the next block's parent."""
        header = self.sealed_header(self.height).header
        numbers = self._need(schema.META_SUPPLY)
        supply = Supply(*(int.from_bytes(numbers[at : at + 16], "big") for at in (0, 16, 32)))
        return Tip(header, header.hash(), Frontier(header.height, self.history_node), supply)

    def genesis_bytes(self) -> bytes:
        """Return the canonical bytes of the genesis file."""
        return self._need(schema.META_GENESIS)

    def block(self, height: int) -> Block:
        """Return the block of a height from 0 up to the head's."""
        return Block.decode(self.block_bytes(height))

    def block_bytes(self, height: int) -> bytes:
        """Return the encoded block of a height from 0 up to the head's."""
        return self._need(schema.sealed_header_key(height)) + self._need(schema.transactions_key(height))

    def sealed_header(self, height: int) -> SealedHeader:
        """Return the block of a height without its transactions, which may be megabytes."""
        return SealedHeader.decode(self._need(schema.sealed_header_key(height)))

    def height_of(self, block_hash: bytes) -> int | None:
        """Return the height of the block with this hash."""
        found = self._reader.get(schema.hash_key(block_hash))
        return int.from_bytes(found, "big") if found else None

    def receipts(self, height: int) -> Sequence[Receipt]:
        """Return the receipts of a block, in the order of its transactions."""
        data = self.receipt_bytes(height)
        return [Receipt.decode(data[at : at + RECEIPT_BYTES]) for at in range(0, len(data), RECEIPT_BYTES)]

    def receipt_bytes(self, height: int) -> bytes:
        """Return the stored receipts of a block, RECEIPT_BYTES for each transaction."""
        return self._need(schema.receipts_key(height))

    def expired(self, height: int) -> Sequence[bytes]:
        """Return the ids of the pools that expired in a block, in order."""
        data = self._reader.get(schema.expired_key(height)) or b""
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    def location(self, transaction_hash: bytes) -> Location | None:
        """Return where a committed transaction is."""
        found = self._reader.get(schema.location_key(transaction_hash))
        return Location(int.from_bytes(found[:8], "big"), int.from_bytes(found[8:], "big")) if found else None

    def pools(self, wanted: PoolFilter, behind: bytes | None) -> Iterator[tuple[bytes, bytes]]:
        """Yield (place, id) of pools in the order (createdAt, index), behind a place, from the narrowest index.

        Only that index is applied: the caller checks the other members of the filter on the records.
        """
        prefix = wanted.index()
        start = prefix + behind + b"\x00" if behind is not None else prefix
        for key, cptx_hash in self._reader.iterate(start, schema.after(prefix)):
            yield key[-schema.ORDER_BYTES :], cptx_hash

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all (state key, record), for full verification."""
        for key, record in self._reader.iterate(schema.RECORD, schema.after(schema.RECORD)):
            yield key[1:], record

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Return all (key, value) that follow from the blocks alone, for full verification."""
        for key, value in self._reader.iterate(b"", b"\xff"):
            if key[:1] == schema.PAGE:
                # What of a page is in its tail depends on how it came about: a bulk loader's pages have none.
                yield key, self.page(key[1:]) or value
            elif key != schema.META_CLOCK_OFFSET and key[:1] != schema.TAIL:
                yield key, value

    def changed_keys(self, height: int) -> list[bytes]:
        """Return the state keys that the block of a height changed; none where its undo is no longer kept."""
        places = undo.places_in(self.undo_list(height))
        packed = [self.undo_entry(height, place) for place in places if place[:1] == schema.RECORD]
        return sorted(key for entry in packed for key, _ in undo.items_in(entry))

    def undo_list(self, height: int) -> bytes:
        """Return what the undo of a block is in (storage.undo); empty where it changed nothing, or is not kept."""
        return self._reader.get(undo.undo_list_key(height)) or b""

    def undo_entry(self, height: int, place: bytes) -> bytes:
        """Return an entry that the list of a block names by kind || bucket."""
        return self._need(undo.undo_key(height, place[:1], place[1:]))

    def clock_offset(self) -> int:
        """Return the seconds by which a devnet's clock was moved ahead."""
        return int.from_bytes(self._reader.get(schema.META_CLOCK_OFFSET) or b"", "big")

    def close(self) -> None:
        """Let go of the snapshot."""
        self._reader.close()

    def _need(self, key: bytes) -> bytes:
        found = self._reader.get(key)
        if found is None:
            raise StorageDamaged(f"the database lacks the entry {key[:1].decode()}{key[1:].hex()}")
        return found

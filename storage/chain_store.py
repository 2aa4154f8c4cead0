"""Blocks, state, tree and indexes of one chain in one key-value store: one synced batch for every group of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.block import Block
from ledger.executed import ExecutedBlock, Tip
from ledger.genesis import Genesis
from ledger.records import Pool, PoolStatus, tree_key
from ledger.supply import Supply
from ledger.tree_build import build_pages

from . import schema
from .chain_view import ChainView
from .kv import KeyValue, StorageDamaged, StorageRefused
from .past_state import STATES_KEPT

Entry = tuple[bytes, bytes | None]


class ChainStore:
    """One chain on disk (or in memory). One thread writes; any thread reads views."""

    def __init__(self, kv: KeyValue) -> None:
        """Stand on a store that holds a chain; raises StorageRefused for one that does not."""
        if (found := kv.get(schema.META_SCHEMA)) != schema.SCHEMA_VERSION:
            raise StorageRefused(f"expected a chain of schema {schema.SCHEMA_VERSION!r}, found {found!r}")
        self._kv = kv
        self._view = ChainView(kv.snapshot())

    def view(self) -> ChainView:
        """Return everything at the present head."""
        return self._view

    def tip(self) -> Tip:
        """Return the head as the next block's parent."""
        return self._view.tip()

    def state(self) -> ChainView:
        """Return the state after the head, as a view that stays the same."""
        return self._view

    def read_page(self, key: bytes) -> bytes | None:
        """Return a page of the state tree after the head."""
        return self._view.page(key)

    def commit(self, blocks: Sequence[ExecutedBlock]) -> None:
        """Write sealed blocks that follow the head in one synced batch, then show the new head."""
        entries: list[Entry] = []
        for executed in blocks:
            entries += _block_entries(executed)
            entries += self._state_entries(executed)
            entries += self._undo_entries(executed)
        last = blocks[-1].tip
        entries.append((schema.META_SUPPLY, _encode_supply(last.supply)))
        # The head comes last: whatever a torn batch could leave, it would not be a new head.
        entries.append((schema.META_HEAD, schema.number(last.header.height)))
        self._kv.write(entries)
        # The former view is left to whoever still reads from it; its snapshot goes with the last of them.
        self._view = ChainView(self._kv.snapshot())

    def require_alive(self) -> None:
        """Raise StorageFailure if a write has failed: nothing may be acknowledged any more."""
        self._kv.require_alive()

    def put_clock_offset(self, seconds: int) -> None:
        """Keep the seconds by which a devnet's clock was moved ahead."""
        self._kv.write([(schema.META_CLOCK_OFFSET, schema.number(seconds))])

    def close(self) -> None:
        """Close the database; views taken before stay readable until they are dropped."""
        self._kv.close()

    def _state_entries(self, executed: ExecutedBlock) -> Iterator[Entry]:
        """Yield records, tree pages and the indexes over pools."""
        for key, record in executed.result.changes.items():
            yield schema.RECORD + key, record
        for key, page in executed.tree.pages.items():
            yield schema.PAGE + key, page
        height = executed.tip.header.height
        # A pool's place in the order (createdAt, index) is that of its CreatePool.
        new_places = {found: schema.order(height, at) for at, found in enumerate(executed.transaction_hashes)}
        for key, record in executed.result.changes.items():
            if key[:1] == b"p" and record is not None:
                is_new = executed.result.before[key] is None
                yield from _pool_entries(key[1:], Pool.decode(record), new_places[key[1:]] if is_new else None)
            elif key[:1] == b"t" and executed.result.before[key] is None:
                cptx_hash, target = key[1:33], key[33:]
                yield schema.BY_TARGET + target + (new_places.get(cptx_hash) or self._place(cptx_hash)), cptx_hash

    def _place(self, cptx_hash: bytes) -> bytes:
        """Return the place of a pool that an earlier block created."""
        location = self._view.location(cptx_hash)
        if location is None:
            raise StorageDamaged(f"the database lacks the creation of the pool 0x{cptx_hash.hex()}")
        return schema.order(*location)

    def _undo_entries(self, executed: ExecutedBlock) -> Iterator[Entry]:
        """Yield what the block replaced, and the end of what is too old to be proved."""
        height = executed.tip.header.height
        undo = {schema.undo_key(b"S", key, height): executed.result.before[key] for key in executed.result.changes}
        undo |= {schema.undo_key(b"Q", key, height): page for key, page in executed.tree.replaced.items()}
        for key, old in undo.items():
            yield key, old or b""
        if undo:
            yield schema.undo_list_key(height), b"".join(len(key).to_bytes(1, "big") + key for key in undo)
        yield from self._forget_entries(height - STATES_KEPT)

    def _forget_entries(self, height: int) -> Iterator[Entry]:
        if height < 0 or (keys := self._kv.get(schema.undo_list_key(height))) is None:
            return
        yield schema.undo_list_key(height), None
        at = 0
        while at < len(keys):
            end = at + 1 + keys[at]
            yield keys[at + 1 : end], None
            at = end


def create_chain(kv: KeyValue, genesis: Genesis) -> ChainStore:
    """Write block 0 of a genesis into an empty store; raises StorageRefused for one that holds a chain."""
    if kv.get(schema.META_SCHEMA) is not None:
        raise StorageRefused("there is a chain in this database already")
    records = genesis.allocations()
    pages: list[Entry] = []
    state_root = build_pages(
        sorted((tree_key(key), record) for key, record in records.items()),
        lambda key, page: pages.append((schema.PAGE + key, page)),
    )
    header = genesis.header(state_root)
    entries: list[Entry] = [(schema.RECORD + key, record) for key, record in records.items()]
    entries += pages
    entries += [
        (schema.block_key(0), Block(header, (), None).encode()),
        (schema.receipts_key(0), b""),
        (schema.hash_key(header.hash()), schema.number(0)),
        (schema.META_GENESIS, genesis.canonical_bytes()),
        (schema.META_HEAD, schema.number(0)),
        (schema.META_SUPPLY, _encode_supply(Supply(genesis.supply, 0, 0))),
        (schema.META_SCHEMA, schema.SCHEMA_VERSION),
    ]
    kv.write(entries)
    return ChainStore(kv)


def _block_entries(executed: ExecutedBlock) -> Iterator[Entry]:
    """Yield the block, its receipts and the ways to find them."""
    height = executed.tip.header.height
    yield schema.block_key(height), executed.block.encode()
    yield schema.hash_key(executed.tip.hash), schema.number(height)
    yield schema.receipts_key(height), b"".join(receipt.encode() for receipt in executed.result.receipts)
    for index, transaction_hash in enumerate(executed.transaction_hashes):
        yield schema.location_key(transaction_hash), schema.order(height, index)
    if executed.result.expired:
        yield schema.expired_key(height), b"".join(executed.result.expired)
    for level, index, node in executed.history_nodes:
        yield schema.node_key(level, index), node


def _pool_entries(cptx_hash: bytes, pool: Pool, new_place: bytes | None) -> Iterator[Entry]:
    """Yield what a changed pool changes in the indexes over pools; `new_place` is given for a new one."""
    if new_place is not None:
        for index in (schema.ALL_POOLS, schema.BY_CREATOR + pool.creator, schema.BY_RESOURCE + pool.resource_id):
            yield index + new_place, cptx_hash
    is_open = pool.status is PoolStatus.OPEN
    if new_place is not None or not is_open:
        yield schema.due_key(pool.expires_at, cptx_hash), b"" if is_open else None


def _encode_supply(supply: Supply) -> bytes:
    return b"".join(amount.to_bytes(16, "big") for amount in supply)

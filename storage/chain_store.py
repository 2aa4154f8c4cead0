"""Blocks, state, tree and indexes of one chain in one key-value store: one batch for every group of blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final

from ledger.block import Block, SealedHeader
from ledger.courtesy import give_way
from ledger.executed import ExecutedBlock, Tip
from ledger.genesis import Genesis
from ledger.page_changes import joined
from ledger.recent import UNKNOWN, Recent
from ledger.records import Pool, PoolStatus, expiry_in, is_open_in, pool_key, tree_key
from ledger.state_tree import TreeUpdate
from ledger.supply import Supply
from ledger.tree_build import build_pages

from . import schema
from .chain_view import ChainView
from .kv import KeyValue, ReadView, StorageDamaged, StorageRefused
from .past_state import STATES_KEPT
from .undo import Entry, entries_to_forget, undo_entries, undo_list_key

TAILS_BYTES: Final = 8 << 20
TAIL_PART: Final = 3
"""A tail that is longer than this part of its page is merged into it."""


class ChainStore:
    """One chain on disk (or in memory). One thread writes; any thread reads views."""

    def __init__(self, kv: KeyValue, tails_bytes: int = TAILS_BYTES) -> None:
        """Stand on a store that holds a chain; raises StorageRefused for one that does not.

        At most `tails_bytes` are used to remember the tails of pages.
        """
        expect_schema(kv)
        self._kv = kv
        self._view = ChainView(kv.snapshot())
        self._tails = Recent(tails_bytes)

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
        self._tails.keep(key, tail := self._view.tail(key))
        return self._view.page_with(key, tail)

    def prepare(self, blocks: Sequence[ExecutedBlock]) -> Callable[[Sequence[Block]], None]:
        """Return what writes blocks that follow the head, when it is handed the same blocks sealed."""
        entries: list[Entry] = []
        tails: dict[bytes, bytes] = {}
        for executed in blocks:
            entries += _block_entries(executed)
            entries += self._state_entries(executed)
            entries += self._page_entries(executed.tree, tails)
            entries += undo_entries(
                executed.tip.header.height,
                {key: executed.result.before[key] for key in executed.result.changes},
                executed.tree.undo,
            )
            entries += self._forget_entries(executed.tip.header.height - STATES_KEPT)
        last = blocks[-1].tip
        entries.append((schema.META_SUPPLY, _encode_supply(last.supply)))
        # The head comes last: whatever a torn batch could leave, it would not be a new head.
        entries.append((schema.META_HEAD, schema.number(last.header.height)))
        return partial(self._commit, entries, tails)

    def _commit(self, entries: Sequence[Entry], tails: Mapping[bytes, bytes], blocks: Sequence[Block]) -> None:
        """Write in one batch, then show the new head."""
        sealed = [(schema.sealed_header_key(block.header.height), block.sealed_header.encode()) for block in blocks]
        self._kv.write_unsynced(chain(sealed, entries))
        self._tails.keep_all(tails)
        # The former view is left to whoever still reads from it; its snapshot goes with the last of them.
        self._view = ChainView(self._kv.snapshot())

    def sync(self) -> None:
        """Return when all that was written survives a power cut."""
        self._kv.sync()

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
        """Yield records and the indexes over pools."""
        before = executed.result.before
        places = self._places_before(executed)
        # In the order in which they were written, hence pools before their targets.
        for key, record in executed.result.changes.items():
            give_way()
            yield schema.RECORD + key, record
            if key[:1] == b"p" and record is not None:
                if before[key] is None:
                    places[key[1:]] = _place_in(executed, key[1:])
                    yield from _new_pool_entries(key[1:], Pool.decode(record), places[key[1:]])
                elif not is_open_in(record):
                    yield schema.due_key(expiry_in(record), key[1:]), None
            elif key[:1] == b"t" and before[key] is None:
                cptx_hash, target = key[1:33], key[33:]
                yield schema.BY_TARGET + target + places[cptx_hash], cptx_hash

    def _page_entries(self, tree: TreeUpdate, tails: dict[bytes, bytes]) -> Iterator[Entry]:
        """Yield the tree's pages, or longer tails of them; the tails go into `tails`.

        A block changes a leaf or two of a page. Writing the page each time would be ten times as many bytes, which
        LevelDB merges again and again.
        """
        for key, page in tree.pages.items():
            give_way()
            tail = self._tails.find(key)
            if tail is UNKNOWN or tail is None:
                tail = self._view.tail(key)
            change = tree.changes.get(key)
            longer = joined(tail, change) if change else b""
            if page and longer and len(longer) * TAIL_PART < len(page):
                yield schema.TAIL + key, longer
            else:
                longer = b""
                yield schema.PAGE + key, page
                if tail:
                    yield schema.TAIL + key, None
            tails[key] = longer

    def _places_before(self, executed: ExecutedBlock) -> dict[bytes, bytes]:
        """Return the places of the pools of earlier blocks that have new targets.

        They are looked up in the order in which they are stored, in which they are found sooner.
        """
        before = executed.result.before
        pools = {key[1:33] for key in executed.result.changes if key[:1] == b"t" and before[key] is None}
        new = {cptx_hash for cptx_hash in pools if before.get(pool_key(cptx_hash), b"unchanged") is None}
        return {cptx_hash: self._place(cptx_hash) for cptx_hash in sorted(pools - new)}

    def _place(self, cptx_hash: bytes) -> bytes:
        """Return the place of a pool that an earlier block created."""
        location = self._view.location(cptx_hash)
        if location is None:
            raise StorageDamaged(f"the database lacks the creation of the pool 0x{cptx_hash.hex()}")
        return schema.order(*location)

    def _forget_entries(self, height: int) -> Iterable[Entry]:
        """Return what ends the undo of a block that is too old to be proved."""
        undo_list = self._kv.get(undo_list_key(height)) if height >= 0 else None
        return entries_to_forget(height, undo_list) if undo_list is not None else ()


def _place_in(executed: ExecutedBlock, cptx_hash: bytes) -> bytes:
    """Return a new pool's place in the order (createdAt, index): that of its CreatePool."""
    return schema.order(executed.tip.header.height, executed.transaction_hashes.index(cptx_hash))


def expect_schema(reader: ReadView) -> None:
    """Raise StorageRefused unless what is stored is a chain as this version writes it."""
    if (found := reader.get(schema.META_SCHEMA)) != schema.SCHEMA_VERSION:
        written = f"schema {found.decode(errors='replace')}" if found else "none"
        raise StorageRefused(
            f"expected a chain of schema {schema.SCHEMA_VERSION.decode()}, found {written}: "
            "what another version has written, that version exports and this one imports"
        )


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
        (schema.sealed_header_key(0), SealedHeader(header, None).encode()),
        (schema.transactions_key(0), Block(header, (), None).encode_transactions()),
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
    """Yield the block's receipts and the ways to find it and what is in it."""
    height = executed.tip.header.height
    yield schema.hash_key(executed.tip.hash), schema.number(height)
    yield schema.transactions_key(height), executed.block.encode_transactions()
    yield schema.receipts_key(height), executed.result.receipt_bytes
    for index, transaction_hash in enumerate(executed.transaction_hashes):
        yield schema.location_key(transaction_hash), schema.order(height, index)
    if executed.result.expired:
        yield schema.expired_key(height), b"".join(executed.result.expired)
    for level, index, node in executed.history_nodes:
        yield schema.node_key(level, index), node


def _new_pool_entries(cptx_hash: bytes, pool: Pool, place: bytes) -> Iterator[Entry]:
    """Yield the entries of a new pool in the indexes over pools."""
    for index in (schema.ALL_POOLS, schema.BY_CREATOR + pool.creator, schema.BY_RESOURCE + pool.resource_id):
        yield index + place, cptx_hash
    if pool.status is PoolStatus.OPEN:
        yield schema.due_key(pool.expires_at, cptx_hash), b""


def _encode_supply(supply: Supply) -> bytes:
    return b"".join(amount.to_bytes(16, "big") for amount in supply)

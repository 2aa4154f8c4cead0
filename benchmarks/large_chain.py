"""A loader for large chains: a data directory that a node opens as its own, written in bulk through the storage room.

Every kind of entry is written in the order of its keys, in synced batches: LevelDB has nothing to sort again then. The
database gets the node's own settings.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Final

from consensus.recovery import record_blocks
from consensus.seal import make_seal
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.merkle import EMPTY_ROOT as NO_ENTRIES
from crypto.merkle import Frontier, hash_leaf
from ledger.block import Block, SealedHeader
from ledger.genesis import Genesis
from ledger.header import HEADER_BYTES, Header
from ledger.records import tree_key
from ledger.tree_build import build_pages
from poolchain.data_directory import DataDirectory, create
from storage import leveldb, schema, signing_record
from storage.chain_store import create_chain
from storage.memory import MemoryKeyValue

from .bench_chain import AUTHORITY
from .checks import expect
from .large_plan import (
    BODY,
    KEYED,
    Body,
    Plan,
    creator,
    expires_at,
    large_genesis,
    pool_bodies,
    records,
    resource,
    settlement_bodies,
    supply_of,
)
from .state_roots import state_roots

Entry = tuple[bytes, bytes]
BATCH_BYTES: Final = 8 << 20
STATE_KEY_BYTES: Final = MappingProxyType({b"a": 21, b"p": 33, b"t": 53})
STATES_FORGOTTEN: Final = 130
"""Blocks without transactions at the end at least: behind them nothing is kept of former states."""
_SEALED_AT_ONCE: Final = 5_000
_GROUPS_AHEAD: Final = 8
_SEAL_LENGTH: Final = (65).to_bytes(4, "big")
_NOTHING: Final = Body(0, NO_ENTRIES, NO_ENTRIES, bytes(4), b"", b"")


def load_chain(path: Path, plan: Plan) -> DataDirectory:
    """Make the chain of a plan in a directory that does not exist; raises Wrong if the plan contradicts itself."""
    if (plan.executed and plan.payees > KEYED) or BODY % plan.in_block:
        raise ValueError(f"a plan that cannot be carried out: {plan}")
    genesis = large_genesis()
    directory = create(path, genesis)
    shutil.rmtree(directory.chain)
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        made = _Made(plan, genesis, workers)
        with closing(leveldb.create(directory.chain)) as store:
            for batch in _batches(made.entries()):
                store.write(batch)
    with closing(signing_record.open_existing(directory.record)) as record:
        record_blocks(record, [made.head_block()])
    return directory


def link_chain(source: Path, target: Path) -> None:
    """Make `target` a chain of its own that shares the tables of a stopped one: LevelDB never writes into a table."""
    shutil.copytree(source, target, copy_function=_link_or_copy)


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith((".ldb", ".sst")):
        os.link(source, target)
    else:
        shutil.copyfile(source, target)
        shutil.copymode(source, target)


class _Made:
    """Everything of a chain that is made before it is written, and the rest while it is."""

    def __init__(self, plan: Plan, genesis: Genesis, workers: ProcessPoolExecutor) -> None:
        self._plan = plan
        self._genesis = genesis
        self._workers = workers
        self._genesis_entries = _genesis_entries(genesis)
        first = SealedHeader.decode(self._genesis_entries[schema.sealed_header_key(0)])
        self._domain = genesis.domain(first.header.hash())
        self._links = _Links(genesis, first)
        pools = list(_flat(workers.map(partial(pool_bodies, plan, self._domain), range(0, plan.pools, BODY))))
        self._pools = list(_cut(b"".join(body.hashes for body in pools), 32))
        firsts = range(0, plan.settled, BODY)
        ids = [b"".join(self._pools[at : min(at + BODY, plan.settled)]) for at in firsts]
        settled = _flat(workers.map(partial(settlement_bodies, plan, self._domain), firsts, ids))
        self._bodies = pools + list(settled)
        self._records = sorted(key + record for key, record in records(plan, self._pools, genesis))
        self._pages: list[Entry] = []
        self._root = self._build_tree()
        self.head = first

    def entries(self) -> Iterator[Entry]:
        """Yield all entries in the order of their keys, as far as those of one kind go."""
        plan, pools = self._plan, self._pools
        yield from self._blocks()
        places = [self._place(number) for number in range(len(pools))]
        yield from _sorted((schema.BY_CREATOR + creator(at) + place + pools[at] for at, place in enumerate(places)), 33)
        yield from _sorted((schema.due_key(expires_at(plan, at), found) for at, found in enumerate(pools)), 41)
        yield from _sorted(
            (schema.BY_RESOURCE + resource(at) + place + pools[at] for at, place in enumerate(places)), 45
        )
        yield from _sorted(self._links.hashes, 33)
        for height in range(self.head.header.height + 1):
            yield schema.transactions_key(height), self._body(height).transactions
        yield from ((schema.ALL_POOLS + place, pools[at]) for at, place in enumerate(places))
        yield from sorted(self._meta().items())
        for level, nodes in sorted(self._links.nodes.items()):
            yield from ((schema.node_key(level, index), node) for index, node in enumerate(nodes))
        yield from self._pages
        self._pages.clear()
        for height in range(self.head.header.height + 1):
            yield schema.receipts_key(height), self._body(height).receipts
        yield from ((schema.RECORD + key, record) for key, record in map(_split_record, self._records))
        self._records.clear()
        settled = islice(enumerate(zip(places, pools, strict=True)), plan.settled)
        yield from _sorted((schema.BY_TARGET + plan.payee(at) + place + found for at, (place, found) in settled), 33)
        yield from _sorted(self._locations(), 33)

    def head_block(self) -> Block:
        """Return the last block, when all have been yielded."""
        return Block.decode(self.head.encode() + self._body(self.head.header.height).transactions)

    def _blocks(self) -> Iterator[Entry]:
        """Yield every block, sealed, without its transactions."""
        yield schema.sealed_header_key(0), self._genesis_entries[schema.sealed_header_key(0)]
        height = max(self._plan.height, len(self._bodies) + STATES_FORGOTTEN)
        roots = state_roots(self._plan, self._genesis, self._bodies, self._pools, self._root)
        headers = (self._links.follow(self._body(at), next(roots)) for at in range(1, height + 1))
        at, head = 1, b""
        while groups := [group for _ in range(_GROUPS_AHEAD) if (group := list(islice(headers, _SEALED_AT_ONCE)))]:
            sealed = self._workers.map(partial(_seal, self._domain), [b"".join(group) for group in groups])
            for header, seal in zip(chain.from_iterable(groups), chain.from_iterable(sealed), strict=True):
                head = header + _SEAL_LENGTH + seal
                yield schema.sealed_header_key(at), head
                at += 1
        self.head = SealedHeader.decode(head)
        expect("the root over all records", self._root, self.head.header.state_root)

    def _body(self, height: int) -> Body:
        return self._bodies[height - 1] if 0 < height <= len(self._bodies) else _NOTHING

    def _place(self, pool: int) -> bytes:
        return schema.order(self._plan.created_at(pool), pool % self._plan.in_block)

    def _build_tree(self) -> bytes:
        """Make the pages of the state after the last block; return its root."""
        items = sorted(tree_key(key) + record for key, record in map(_split_record, self._records))
        pages: list[Entry] = []
        root = build_pages(
            ((item[:32], item[32:]) for item in items),
            lambda key, page: pages.append((schema.PAGE + key, page)),
        )
        pages.sort()
        self._pages = pages
        return root

    def _meta(self) -> dict[bytes, bytes]:
        supply = supply_of(self._plan, self._genesis)
        changed = {
            schema.META_HEAD: schema.number(self.head.header.height),
            schema.META_SUPPLY: b"".join(amount.to_bytes(16, "big") for amount in supply),
        }
        return {key: value for key, value in self._genesis_entries.items() if key[:1] == b"M"} | changed

    def _locations(self) -> Iterator[bytes]:
        for at, body in enumerate(self._bodies):
            for index, found in enumerate(_cut(body.hashes, 32)):
                yield schema.location_key(found) + schema.order(at + 1, index)


class _Links:
    """What ties the blocks together: hashes, history."""

    def __init__(self, genesis: Genesis, first: SealedHeader) -> None:
        self._genesis = genesis
        self._height = 0
        self._hash = first.header.hash()
        self._history = Frontier(0, lambda _level, _index: b"")
        self.hashes = [schema.hash_key(self._hash) + schema.number(0)]
        self.nodes: defaultdict[int, list[bytes]] = defaultdict(list)

    def follow(self, body: Body, state_root: bytes) -> bytes:
        """Return the next header."""
        for level, _, node in self._history.append(hash_leaf(self._hash)):
            self.nodes[level].append(node)
        self._height += 1
        encoded = Header(
            chain_id=self._genesis.chain_id,
            height=self._height,
            timestamp=self._genesis.timestamp + self._height,
            parent_hash=self._hash,
            tx_root=body.tx_root,
            tx_count=body.size,
            receipts_root=body.receipts_root,
            state_root=state_root,
            history_root=self._history.root(),
            authority=self._genesis.authority,
        ).encode()
        self._hash = keccak256(encoded)
        self.hashes.append(schema.hash_key(self._hash) + schema.number(self._height))
        return encoded


def _genesis_entries(genesis: Genesis) -> dict[bytes, bytes]:
    store = MemoryKeyValue()
    create_chain(store, genesis)
    return dict(store.iterate(b"", b"\xff"))


def _seal(domain: Domain, headers: bytes) -> list[bytes]:
    """Return the seals of the headers, which are given in one row."""
    return [make_seal(AUTHORITY, keccak256(header), domain) for header in _cut(headers, HEADER_BYTES)]


def _split_record(joined: bytes) -> Entry:
    """Return state key and record of both in one; only the form of the key says where it ends."""
    end = STATE_KEY_BYTES[joined[:1]]
    return joined[:end], joined[end:]


def _sorted(joined: Iterable[bytes], key_bytes: int) -> Iterator[Entry]:
    """Yield entries, given as key and value in one, in the order of their keys."""
    for entry in sorted(joined):
        yield entry[:key_bytes], entry[key_bytes:]


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def _flat(groups: Iterable[Sequence[Body]]) -> Iterator[Body]:
    return chain.from_iterable(groups)


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield the entries in batches of about BATCH_BYTES."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry[0]) + len(entry[1])
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch

"""A chain that has a tree of every size: block h has h transactions, its history h blocks, its state h records.

The documents are the node's (pymerkle's paths through `NodeTree`, `ledger.state_tree.prove`); the authority is the
forger's, who seals anything.
"""

from __future__ import annotations

import dataclasses
import random
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crypto.hashing import keccak256
from crypto.merkle import EMPTY_ROOT, root, tree_nodes
from crypto.node_tree import NodeTree
from ledger.records import Account, Pool, PoolStatus, Target, account_key, pool_key, target_key, tree_key
from ledger.state_tree import prove
from ledger.tree_build import build_pages
from light.record_json import record_json
from rpc.proof_documents import state_key_json
from tests.unit.light.forger import Forger, path_json, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ledger.header import Header

Json = dict[str, Any]
SIZES: Final = 130
TOP: Final = SIZES + 1
"""The last height: a block without transactions, over the empty state."""
FAMILIES: Final = ("inclusion", "history", "consistency", "state")


class Case(NamedTuple):
    """Which document: the size of its tree, and the leaf, the older size or the key."""

    family: str
    size: int
    at: int


def all_cases(family: str, sizes: Sequence[int] = range(TOP)) -> Iterator[Case]:
    """Every valid proof of these tree sizes; there is nothing to include in an empty tree."""
    for size in sizes:
        leaves = {"consistency": size + 1, "state": SIZES + 1}.get(family, size)
        yield from (Case(family, size, at) for at in range(leaves))


def make_records(count: int) -> list[tuple[bytes, bytes]]:
    """(state key, record), of all kinds in turn; the first is the total burned."""
    chance = random.Random("records")
    found = [(b"b", (10**18).to_bytes(16, "big"))]
    pool = b""
    while len(found) < count:
        address, turn = chance.randbytes(20), len(found) % 3
        if turn == 1:
            pool = chance.randbytes(32)
            members = (address, chance.randbytes(32), 1000, 1500, chance.randrange(1001), 5, 55, PoolStatus.OPEN)
            found.append((pool_key(pool), Pool(*members).encode()))
        elif turn == 2:
            found.append((target_key(pool, address), Target(1, chance.randrange(2**128)).encode()))
        else:
            found.append((account_key(address), Account(chance.randrange(1, 2**128), len(found)).encode() or b""))
    return found


class Forest:
    """All trees of up to 130 leaves, and the documents over them."""

    def __init__(self) -> None:
        chance = random.Random("forest")
        self.forger = Forger()
        self.trust = self.forger.trust
        self.records = make_records(SIZES + 1)
        self.raws = [[chance.randbytes(194) for _ in range(size)] for size in range(TOP)] + [[]]
        self._pages: dict[int, dict[bytes, bytes]] = {}
        self.headers = [self.forger.block_0]
        self.hashes = [self.forger.block_0.hash()]
        for height in range(1, TOP + 1):
            self._append(height, height % TOP)
        self.sealed = [self.forger.seal_or_none(header) for header in self.headers]

    def _append(self, height: int, records: int) -> None:
        pages: dict[bytes, bytes] = {}
        items = sorted((tree_key(key), record) for key, record in self.records[:records])
        state_root = build_pages(items, pages.__setitem__) if items else EMPTY_ROOT
        self._pages[records] = pages
        members = {
            "height": height,
            "parent_hash": self.hashes[-1],
            "tx_root": root(self.raws[height]),
            "tx_count": len(self.raws[height]),
            "state_root": state_root,
            "history_root": root(self.hashes),
        }
        self.headers.append(self.forger.header(**members))
        self.hashes.append(self.headers[-1].hash())

    @cached_property
    def twins(self) -> list[Json]:
        """Another sealed block of every height, with the same trees; of block 0 there is none."""
        return [self.sealed[0], *(self.reseal(header, timestamp=2**33) for header in self.headers[1:])]

    def reseal(self, header: Header, **members: Any) -> Json:
        """A header with other members under the authority's seal."""
        same = {field.name: getattr(header, field.name) for field in dataclasses.fields(header)}
        return self.forger.seal(self.forger.header(**{**same, **members}))

    # Documents

    def document(self, case: Case) -> Json:
        return {
            "inclusion": self.transaction,
            "history": self.header,
            "consistency": self.consistency,
            "state": self.state,
        }[case.family](case.size, case.at)

    def transaction(self, size: int, index: int, head: int | None = None) -> Json:
        """Leaf `index` of the block with `size` transactions; the heads take turns."""
        raw = self.raws[size][index]
        head = (size, TOP, size + 1)[index % 3] if head is None else head
        return {
            **self.forger.envelope("transaction"),
            "transaction": text(raw),
            "transactionHash": text(keccak256(raw)),
            "inclusion": self.place(self._blocks[size], index, size),
            **self._in_head(size, head),
        }

    def header(self, size: int, index: int) -> Json:
        return {**self.forger.envelope("header"), **self._in_head(index, size)}

    def consistency(self, size: int, older: int) -> Json:
        path = NodeTree(size, self._read_history).consistency_path(older, size)
        return {
            **self.forger.envelope("consistency"),
            "first": self.sealed[older],
            "second": self.sealed[size],
            "path": [text(node) for node in path],
            "history": self.history(older, size),
        }

    def state(self, size: int, at: int) -> Json:
        """The record number `at`, present where it is below `size`."""
        key, record = self.records[at]
        shown = record if at < size else None
        return {
            **self.forger.envelope("state"),
            "key": state_key_json(key),
            "record": None if shown is None else record_json(key, shown),
            "recordBytes": None if shown is None else text(shown),
            "proof": text(prove(self._pages[size].get, tree_key(key)).encode()),
            **self.sealed[size or TOP],
        }

    # Parts

    def history(self, height: int, head: int) -> Json | None:
        return None if height == head else self.place(self._history, height, head)

    @staticmethod
    def place(nodes: dict[tuple[int, int], bytes], index: int, size: int) -> Json:
        tree = NodeTree(size, lambda level, at: nodes[level, at])
        return path_json(index, size, tree.inclusion_path(index, size))

    def _in_head(self, height: int, head: int) -> Json:
        return {**self.sealed[height], "head": self.sealed[head], "history": self.history(height, head)}

    def _read_history(self, level: int, index: int) -> bytes:
        return self._history[level, index]

    @cached_property
    def _history(self) -> dict[tuple[int, int], bytes]:
        return tree_nodes(self.hashes)

    @cached_property
    def _blocks(self) -> list[dict[tuple[int, int], bytes]]:
        return [tree_nodes(raws) for raws in self.raws]

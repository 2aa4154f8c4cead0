"""Cost of the state tree on LevelDB, in microseconds of a settlement and in units of two signature recoveries.

A state of 10^6 keys comes from the bulk builder, then blocks of 1,000 settlements are applied, each of which touches a
pool, one of its target records and the target's account; one key in six is new. Every block is one synced batch. What
is timed is all the tree does: update, pages into the batch, adopt; the write is not. Recoveries are timed before and
after every block, so that both feel the same machine; both in processor time of the one thread.
"""

from __future__ import annotations

import random
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, NamedTuple

import coincurve
import plyvel

from crypto.state_proof import account_key, pool_key, target_key, verify_state_proof
from ledger.state_tree import StateTree, prove
from ledger.tree_build import build_pages
from storage.leveldb import DEFAULT_SETTINGS

from .figures import Goal, Sample, Scale
from .large_chain import link_chain
from .runs import CPU

RECORD_BYTES = {"account": 24, "pool": 133, "target": 24}
PROOF_SAMPLES = 1_000
RECOVERIES = 500
SETTLEMENTS = 1_000
"""Of a block."""
TREE: Final = "state tree at 10^6 keys"
GOALS: Final = (Goal(TREE, 0.7, at_most=True),)
_ROOT: Final = "root"
_DATABASE: Final = "pages"


class Shape(NamedTuple):
    """A state without its keys: each pool has one target record."""

    pools: int
    accounts: int
    seed: int


def shape_of(keys: int, seed: int) -> Shape:
    """State of about so many keys: a quarter of them accounts, the rest pools and their targets."""
    return Shape(3 * keys // 8, keys // 4, seed)


def name(seed: int, kind: str, *numbers: int) -> bytes:
    """32 pseudo-random bytes for the thing of this kind with these numbers."""
    return sha256(f"{seed} {kind} {numbers}".encode()).digest()


def account(shape: Shape, number: int) -> bytes:
    """Tree key of account `number`."""
    return account_key(name(shape.seed, "account", number)[:20])


def pool(shape: Shape, number: int) -> bytes:
    """Tree key of pool `number`."""
    return pool_key(name(shape.seed, "pool", number))


def target(shape: Shape, number: int, index: int) -> bytes:
    """Tree key of the record of the target `index` of pool `number`."""
    return target_key(name(shape.seed, "pool", number), name(shape.seed, "target", number, index)[:20])


def keys_of(shape: Shape) -> Iterator[bytes]:
    """All tree keys of the state, in no order."""
    for number in range(shape.accounts):
        yield account(shape, number)
    for number in range(shape.pools):
        yield pool(shape, number)
        yield target(shape, number, 0)


def some_key(shape: Shape, chance: random.Random) -> bytes:
    """A key of the state as it was built, every second time a target record."""
    number = chance.randrange(shape.pools)
    kind = chance.randrange(4)
    if kind == 0:
        return account(shape, chance.randrange(shape.accounts))
    return pool(shape, number) if kind == 1 else target(shape, number, 0)


def record(key: bytes, version: int = 0) -> bytes:
    """A record of plausible length for a key, different for each version."""
    return sha256(key + version.to_bytes(8, "big")).digest()


class CountingReader:
    """Reads pages and counts the reads."""

    def __init__(self, database: Any) -> None:
        self._get = partial(database.get, verify_checksums=True)
        self.reads = 0

    def __call__(self, key: bytes) -> bytes | None:
        """The page of a page key."""
        self.reads += 1
        page: bytes | None = self._get(key)
        return page


def open_database(path: Path) -> Any:
    """LevelDB as the node opens it."""
    return plyvel.DB(
        str(path),
        create_if_missing=True,
        paranoid_checks=True,
        lru_cache_size=DEFAULT_SETTINGS.block_cache_bytes,
        write_buffer_size=DEFAULT_SETTINGS.write_buffer_bytes,
        max_file_size=DEFAULT_SETTINGS.table_file_bytes,
        max_open_files=DEFAULT_SETTINGS.open_files_max,
        bloom_filter_bits=DEFAULT_SETTINGS.bloom_bits,
    )


def build(path: Path, shape: Shape) -> bytes:
    """Write all pages of the state into a new database; its root."""
    database = open_database(path)
    batch: list[tuple[bytes, bytes]] = []

    def flush() -> None:
        with database.write_batch() as writer:
            for key, page in batch:
                writer.put(key, page)
        batch.clear()

    def put(key: bytes, page: bytes) -> None:
        batch.append((key, page))
        if len(batch) == 10_000:
            flush()

    root = build_pages(((key, record(key)) for key in sorted(keys_of(shape))), put)
    flush()
    database.close()
    return root


def workload(shape: Shape, settlements: int, block: int, chance: random.Random) -> dict[bytes, bytes | None]:
    """Changes of one block: every second settlement is the first of a new target of its pool (one key in six)."""
    changes: dict[bytes, bytes | None] = {}
    for number in range(settlements):
        chosen = chance.randrange(shape.pools)
        index = 1_000_000 + block * settlements + number if number % 2 else 0
        for key in (
            pool(shape, chosen),
            target(shape, chosen, index),
            account(shape, chance.randrange(shape.accounts)),
        ):
            changes[key] = record(key, block)
    return changes


class Block(NamedTuple):
    """Measurements of one block, in seconds of processor time of this thread."""

    tree: float
    two: float
    """Of two recoveries."""
    reads: int
    pages: int
    page_bytes: int


def time_two_recoveries() -> float:
    """Seconds of processor time that two recoveries take, by the mean of many."""
    digest = sha256(b"digest").digest()
    signature = coincurve.PrivateKey(digest).sign_recoverable(digest, hasher=None)
    start = time.thread_time()
    for _ in range(RECOVERIES):
        coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    return (time.thread_time() - start) / RECOVERIES * 2


def run_block(database: Any, tree: StateTree, read: CountingReader, changes: dict[bytes, bytes | None]) -> Block:
    """Apply one block's changes, durably, between two halves of the measurement of recoveries."""
    read.reads = 0
    before = time_two_recoveries()
    start = time.thread_time()
    update = tree.update(changes)
    batch = database.write_batch(sync=True)
    for key, page in update.pages.items():
        if page is None:
            batch.delete(key)
        else:
            batch.put(key, page)
    filled = time.thread_time()
    batch.write()
    written = time.thread_time()
    tree.adopt(update)
    spent = filled - start + time.thread_time() - written
    two = (before + time_two_recoveries()) / 2
    size = sum(len(page or b"") for page in update.pages.values())
    return Block(spent, two, read.reads, len(update.pages), size)


def proof_sizes(read: CountingReader, root: bytes, shape: Shape, chance: random.Random) -> tuple[list[int], list[int]]:
    """Encoded bytes of verified proofs of sampled present keys, and of absent ones, half of them beside a pool."""
    present, absent = [], []
    for _ in range(PROOF_SAMPLES):
        key = some_key(shape, chance)
        proof = prove(read, key)
        present.append(len(proof.encode()))
        missing = chance.randbytes(32)
        if chance.random() < 0.5:
            missing = key[:2] + missing[2:]
        proof = prove(read, missing)
        verify_state_proof(root, missing, None, proof)
        absent.append(len(proof.encode()))
    return present, absent


def part(scale: Scale) -> Iterator[Sample]:
    """Apply blocks to a state in its first minutes and, after some more, to the same state."""
    keys, warm, measured = (20_000, 3, 3) if scale.quick else (1_000_000, 40, 20)
    shape = shape_of(keys, scale.seed)
    database = open_database(_copy(scale, shape))
    read = CountingReader(database)
    tree = StateTree(read, (_kept(scale, shape) / _ROOT).read_bytes())
    chance = random.Random(scale.seed + 1)
    blocks = [
        run_block(database, tree, read, workload(shape, SETTLEMENTS, block, chance))
        for block in range(1, warm + measured + 1)
    ]
    name = "state tree, small" if scale.quick else TREE
    yield from _samples(name, blocks[-measured:])
    yield from _samples(f"{name}, first blocks", blocks[:measured])
    for label, sizes in zip(("present", "absent"), proof_sizes(read, tree.root, shape, chance), strict=True):
        yield Sample(f"{name}: longest proof, {label}", "bytes", max(sizes))
    database.close()


def _samples(name: str, blocks: Sequence[Block]) -> Iterator[Sample]:
    """Yield the medians over blocks, for one settlement."""

    def each(values: Iterable[float]) -> float:
        return statistics.median(values) / SETTLEMENTS

    yield Sample(name, "of two recoveries", each(block.tree / block.two for block in blocks))
    yield Sample(f"{name}: each", CPU, each(block.tree * 1e6 for block in blocks))
    yield Sample(f"{name}: pages read", "of a settlement", each(block.reads for block in blocks))
    yield Sample(f"{name}: pages written", "of a settlement", each(block.pages for block in blocks))
    yield Sample(f"{name}: page bytes written", "of a settlement", each(block.page_bytes for block in blocks))


def _kept(scale: Scale, shape: Shape) -> Path:
    return (scale.kept or scale.folder) / f"state-{shape.pools}"


def _copy(scale: Scale, shape: Shape) -> Path:
    """Return a database of its own with all pages of the state, which is made where no round has yet."""
    kept = _kept(scale, shape)
    if not (kept / _ROOT).exists():
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        # Not a fork: LevelDB believes there that its thread, which stayed behind, will make room.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as builder:
            root = builder.submit(build, kept / _DATABASE, shape).result()
        (kept / _ROOT).write_bytes(root)
    copy = scale.folder / _DATABASE
    link_chain(kept / _DATABASE, copy)
    return copy

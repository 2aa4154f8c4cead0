"""Cost of the state tree on LevelDB, in microseconds per settlement and in units of two signature recoveries.

Builds a state of `--keys` keys with the bulk builder in a temporary database, then applies `--blocks` blocks of
`--settlements` settlements, each of which touches a pool, one of its target records and the target's account; one key
in six is new. Every block is one synced batch. What is timed is all the tree does: update, pages into the batch, adopt;
the write is timed apart. Recoveries are timed before and after every block, so that both feel the same machine. Run it
as `python -m benchmarks.state_tree` from the top of the repository.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import coincurve
import plyvel

from crypto.state_proof import account_key, pool_key, target_key, verify_state_proof
from ledger.state_tree import StateTree, prove
from ledger.tree_build import build_pages
from storage.leveldb import DEFAULT_SETTINGS

RECORD_BYTES = {"account": 24, "pool": 133, "target": 24}
PROOF_SAMPLES = 10_000
RECOVERIES = 500


class Shape(NamedTuple):
    """A state without its keys: pool i has `targets_of(i)` targets, and there are `accounts` accounts."""

    pools: int
    accounts: int
    seed: int
    targets: int
    large_pools: int
    large_targets: int

    def targets_of(self, pool: int) -> int:
        """Number of target records of a pool: the first `large_pools` have many."""
        return self.large_targets if pool < self.large_pools else self.targets


def shape_of(keys: int, seed: int, targets: int, large: tuple[int, int]) -> Shape:
    """State of about `keys` keys: a quarter of them accounts, the rest pools and their targets."""
    large_pools, large_targets = large
    accounts = max(keys // 4, 1)
    left = max(keys - accounts - large_pools * (large_targets + 1), targets + 1)
    return Shape(left // (targets + 1) + large_pools, accounts, seed, targets, large_pools, large_targets)


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
        for index in range(shape.targets_of(number)):
            yield target(shape, number, index)


def some_key(shape: Shape, chance: random.Random) -> bytes:
    """A key of the state as it was built, every second time a target record."""
    number = chance.randrange(shape.pools)
    kind = chance.randrange(4)
    if kind == 0:
        return account(shape, chance.randrange(shape.accounts))
    return pool(shape, number) if kind == 1 else target(shape, number, chance.randrange(shape.targets_of(number)))


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
        index = chance.randrange(shape.targets_of(chosen))
        if number % 2:
            index = 1_000_000 + block * settlements + number
        for key in (
            pool(shape, chosen),
            target(shape, chosen, index),
            account(shape, chance.randrange(shape.accounts)),
        ):
            changes[key] = record(key, block)
    return changes


class Block(NamedTuple):
    """Measurements of one block, in seconds of the clock or of processor time of this thread."""

    tree: float
    tree_processor: float
    write: float
    two: float
    two_processor: float
    reads: int
    pages: int
    page_bytes: int


def clocks() -> tuple[float, float]:
    """Clock and processor time of this thread, seconds: the second does not count what other programs take."""
    return time.perf_counter(), time.thread_time()


def time_two_recoveries() -> tuple[float, float]:
    """Seconds, and seconds of processor time, that two recoveries take, by the mean of many."""
    digest = sha256(b"digest").digest()
    signature = coincurve.PrivateKey(digest).sign_recoverable(digest, hasher=None)
    start = clocks()
    for _ in range(RECOVERIES):
        coincurve.PublicKey.from_signature_and_message(signature, digest, hasher=None)
    end = clocks()
    return (end[0] - start[0]) / RECOVERIES * 2, (end[1] - start[1]) / RECOVERIES * 2


def run_block(database: Any, tree: StateTree, read: CountingReader, changes: dict[bytes, bytes | None]) -> Block:
    """Apply one block's changes, durably, between two halves of the measurement of recoveries."""
    read.reads = 0
    before = time_two_recoveries()
    start = clocks()
    update = tree.update(changes)
    batch = database.write_batch(sync=True)
    for key, page in update.pages.items():
        if page is None:
            batch.delete(key)
        else:
            batch.put(key, page)
    filled = clocks()
    batch.write()
    written = clocks()
    tree.adopt(update)
    end = clocks()
    after = time_two_recoveries()
    tree_time, tree_processor = (filled[at] - start[at] + end[at] - written[at] for at in (0, 1))
    two, two_processor = ((before[at] + after[at]) / 2 for at in (0, 1))
    size = sum(len(page or b"") for page in update.pages.values())
    write = written[0] - filled[0]
    return Block(tree_time, tree_processor, write, two, two_processor, read.reads, len(update.pages), size)


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


def say(label: str, text: str) -> None:
    """One line of the report."""
    sys.stdout.write(f"{label:<36}{text}\n")
    sys.stdout.flush()


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Least, middle and greatest value."""
    numbers = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{number:.{digits}f}" for number in numbers)


def resident_mib() -> float:
    """Resident memory of this process without mapped files (LevelDB maps its tables), MiB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024


def report(title: str, blocks: Sequence[Block], settlements: int) -> None:
    """Print what the blocks cost a settlement."""
    micro = 1e6 / settlements
    say(title, "min / median / max over the blocks, a settlement")
    say("tree, units, processor time", spread([b.tree_processor / settlements / b.two_processor for b in blocks], 2))
    say("tree, units, clock", spread([block.tree / settlements / block.two for block in blocks], 2))
    say("tree, us, processor time", spread([block.tree_processor * micro for block in blocks]))
    say("tree, us, clock", spread([block.tree * micro for block in blocks]))
    say("synced write, us", spread([block.write * micro for block in blocks]))
    say("two recoveries, us, processor time", spread([block.two_processor * 1e6 for block in blocks]))
    say("page reads", spread([block.reads / settlements for block in blocks], 2))
    say("pages written", spread([block.pages / settlements for block in blocks], 2))
    say("page bytes written", spread([block.page_bytes / settlements for block in blocks], 0))


def measure(path: Path, options: argparse.Namespace) -> None:
    """Build in a process of its own, so that its memory is not counted; run the blocks; sample proofs."""
    large = options.large_pools, options.large_targets
    shape = shape_of(options.keys, options.seed, options.targets, large)
    start = time.perf_counter()
    with ProcessPoolExecutor(1) as builder:
        root = builder.submit(build, path, shape).result()
    say("state", f"{shape}, built in {time.perf_counter() - start:.0f} s")
    database = open_database(path)
    read = CountingReader(database)
    before = resident_mib()
    tree = StateTree(read, root, options.cache_bytes)
    opened = resident_mib()
    chance = random.Random(options.seed + 1)
    blocks = [
        run_block(database, tree, read, workload(shape, options.settlements, block, chance))
        for block in range(1, options.blocks * 2 + options.warm + 1)
    ]
    say("first block after the start, us", f"{blocks[0].tree_processor * 1e6 / options.settlements:.1f}")
    report(f"first {options.blocks} blocks", blocks[: options.blocks], options.settlements)
    report(f"{options.blocks} blocks after {options.warm} more", blocks[-options.blocks :], options.settlements)
    say("memory: before, opened, after, MiB", f"{before:.0f}, {opened:.0f}, {resident_mib():.0f}")
    for label, sizes in zip(("present", "absent"), proof_sizes(read, tree.root, shape, chance), strict=True):
        say(f"proof bytes {label}, mean, max", f"{statistics.mean(sizes):.0f}, {max(sizes)}")
    database.close()
    say("disk, MiB", f"{sum(file.stat().st_size for file in path.iterdir()) / (1 << 20):.0f}")


def main() -> None:
    """Read the options, measure in a temporary directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--blocks", type=int, default=20)
    parser.add_argument("--warm", type=int, default=40, help="blocks between the first and the last `--blocks`")
    parser.add_argument("--settlements", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=20_487)
    parser.add_argument("--targets", type=int, default=1, help="target records of a usual pool")
    parser.add_argument("--large-pools", type=int, default=0, help="number of pools with many targets")
    parser.add_argument("--large-targets", type=int, default=100, help="target records of each of those")
    parser.add_argument("--cache-bytes", type=int, default=32 << 20)
    options = parser.parse_args()
    say("options", str(vars(options)))
    path = Path(tempfile.mkdtemp(prefix="state-tree-"))
    try:
        measure(path / "db", options)
    finally:
        shutil.rmtree(path)


if __name__ == "__main__":
    main()

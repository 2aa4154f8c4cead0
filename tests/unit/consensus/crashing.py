"""Nodes that die: what survives them is a disk and a signing record, and the next one begins with these."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from consensus.authority import Authority
from consensus.chain import Chain
from consensus.recovery import import_block, recover
from crypto.signature import SigningKey
from storage.chain_store import ChainStore
from storage.memory import Faults, MemoryDisk, MemoryKeyValue
from storage.memory_signing import MemorySigningFile, MemorySigningRecord
from tests.model.small_chain import ALICE_KEY, AUTHORITY_KEY, BOB_KEY, CAROL, CAROL_KEY, DAVE_KEY
from tests.unit.consensus.world import START, TREE_CACHE_BYTES, World

if TYPE_CHECKING:
    from ledger.block import Block
    from ledger.transaction import AnyTransaction
    from storage.memory import Fault


class Crash(Exception):
    """The process is dead from here on."""


class Node:
    """One process, from its start to its end. Faults are put in by the number of the call since it was opened."""

    def __init__(self, world: World, disk: MemoryDisk, file: MemorySigningFile) -> None:
        self.reads: dict[int, Fault] = {}
        self.writes: dict[int, Fault] = {}
        self.syncs: dict[int, Fault] = {}
        self.record_writes: dict[int, Fault] = {}
        self.kv = MemoryKeyValue(disk, Faults(self.reads, self.writes, self.syncs))
        self.record = MemorySigningRecord(file, Faults(writes=self.record_writes))
        self.world = world
        self.store = ChainStore(self.kv)
        self.chain = Chain(self.store, world.genesis, world.domain, TREE_CACHE_BYTES)
        self.authority = Authority(self.chain, SigningKey(AUTHORITY_KEY), self.record)

    def recover(self, *, has_key: bool = True) -> int:
        seal = self.authority.seal if has_key else None
        return recover(self.chain, self.record, self.world.decode_all, seal)

    def take(self, block: Block) -> None:
        import_block(self.chain, self.record, block, self.world.decode_all)

    def die(self) -> None:
        self.kv.close()
        self.record.close()


Act = Callable[[Node], object]


class Survivors:
    """The disk and the signing record of one data directory; both begin as copies of what a world has."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.disk = MemoryDisk(undo_max=1000)
        self.disk.apply(world.disk.contents().items())
        self.disk.sync()
        self.file = MemorySigningFile()
        self.file.last = world.file.last

    def start(self) -> Node:
        return Node(self.world, self.disk, self.file)

    def run(self, act: Act) -> Survivors:
        """One process that does this and ends in good order."""
        node = self.start()
        try:
            act(node)
        finally:
            node.die()
        return self

    def restart(self, *, has_key: bool = True) -> int:
        """One process that does nothing but recover; the number of blocks that it finished."""
        found: list[int] = []
        self.run(lambda node: found.append(node.recover(has_key=has_key)))
        return found[0]

    def blocks(self) -> list[Block]:
        found: list[Block] = []
        self.run(
            lambda node: found.extend(
                node.store.view().block(height) for height in range(1, node.chain.tip.header.height + 1)
            )
        )
        return found


def young_chain() -> World:
    """Four blocks, and a pool of Alice's with one settlement that ends with block 7."""
    world = World()
    world.mine(pool_of(world), world.transfer(BOB_KEY, 0))
    world.mine_empty(1)
    world.mine(world.pay(DAVE_KEY, pool_of(world).hash, 100), world.transfer(ALICE_KEY, 1, to=CAROL, amount=500))
    world.mine_empty(1)
    return world


def pool_of(world: World) -> AnyTransaction:
    return world.create(duration=6)


def busy_block(node: Node) -> object:
    """Block 5 with every kind of transaction and outcome."""
    world = node.world
    pool = pool_of(world).hash
    candidates = [
        world.transfer(ALICE_KEY, 2, to=CAROL),
        world.transfer(BOB_KEY, 1),
        world.create(3, duration=3),
        world.pay(DAVE_KEY, pool, 300, 2),
        world.pay(CAROL_KEY, pool, 800),
    ]
    return node.authority.produce(candidates, START + 9)


def other_block(node: Node) -> object:
    """Another block 5."""
    return node.authority.produce([node.world.transfer(DAVE_KEY, 0, 50)], START + 9)


def empty_group(node: Node) -> object:
    """Blocks 5 and 6, which change nothing."""
    return node.authority.produce_empty(2, START + 9)


def expiring_group(node: Node) -> object:
    """Blocks 5 to 7, in the last of which the pool ends."""
    return node.authority.produce_empty(100, START + 9)


def imported_block(node: Node) -> None:
    """Block 5 as somebody else made it."""
    node.take(Survivors(node.world).run(busy_block).blocks()[-1])

"""A fault at the Nth call, N = 1, 2, 3 ... until none is left, and chains that crash again and again.

Where the power goes, all that was not synced goes with it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from consensus import authority as authority_module
from consensus.recovery import import_block
from consensus.seal import make_seal
from storage.kv import StorageFailure
from storage.memory import Fault
from tests.unit.consensus.crashing import (
    Act,
    Crash,
    Node,
    Survivors,
    busy_block,
    empty_group,
    expiring_group,
    imported_block,
    young_chain,
)
from tests.unit.consensus.traffic import Traffic
from tests.unit.consensus.world import START, World

if TYPE_CHECKING:
    from crypto.eip712 import Domain
    from crypto.signature import SigningKey
    from ledger.transaction import AnyTransaction


@pytest.fixture(scope="module")
def chain() -> World:
    return young_chain()


def _recover(node: Node) -> None:
    node.recover()


def _begin(chain: World, act: Act) -> Survivors:
    """The place where an act is tried; for a recovery one with something to recover."""
    data = Survivors(chain)
    if act is _recover:
        node = data.start()
        node.writes[1] = Fault(Crash())
        with pytest.raises(Crash):
            busy_block(node)
        node.die()
    return data


@pytest.mark.parametrize("power_goes", [False, True], ids=["the process dies", "the power goes"])
@pytest.mark.parametrize("kind", ["reads", "writes", "syncs", "record writes"])
@pytest.mark.parametrize(
    "act", [busy_block, empty_group, expiring_group, imported_block, _recover], ids=lambda act: act.__name__
)
def test_a_fault_at_any_call_leaves_the_state_before_or_after(
    chain: World, act: Act, kind: str, *, power_goes: bool
) -> None:
    before = chain.disk.contents()
    after = _begin(chain, act).run(act).disk.contents()
    for number in range(1, 10_000):
        data = _begin(chain, act)
        recorded = data.file.last
        node = data.start()
        fault = Fault(StorageFailure("the disk failed"))
        match kind:
            case "reads":
                node.reads[node.kv.reads + number] = fault
            case "writes":
                node.writes[number] = fault
            case "syncs":
                node.syncs[number] = fault
            case _:
                node.record_writes[number] = fault
        try:
            act(node)
        except StorageFailure:
            height = node.chain.tip.header.height
            assert height == 4, "the head moves when all that comes before it has been done"
        else:
            break
        finally:
            node.die()
            if power_goes:
                data.disk.cut_power()
        assert data.disk.contents() in (before, after)
        came_to_the_record = data.file.last != recorded or act is _recover
        data.restart()
        assert data.disk.contents() == (after if came_to_the_record else before)
    data.restart()
    assert data.disk.contents() == after
    if kind == "reads":
        assert number > 3
    else:
        assert number == (1 if act is _recover and kind != "writes" else 2)


class History:
    """A data directory whose processes die at random calls, and what they told the world."""

    def __init__(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.random = random.Random(seed)
        self.sealed: set[bytes] = set()
        self.acknowledged: list[bytes] = []
        self.crashes = 0
        self.lost_batches = 0
        monkeypatch.setattr(authority_module, "make_seal", self._seal)
        # The chain without crashes says what fits; what really happened is on `data`.
        self.world = young_chain()
        self.data = Survivors(self.world)
        self.traffic = Traffic(self.world, self.random)

    def _seal(self, key: SigningKey, block_hash: bytes, domain: Domain) -> bytes:
        self.sealed.add(block_hash)
        return make_seal(key, block_hash, domain)

    def live(self) -> None:
        """One process: it recovers, makes blocks, and dies at some call."""
        node = self.data.start()
        self._put_faults(node)
        try:
            node.recover()
            self.catch_up(node)
            for _ in range(6):
                self._make(node)
                self.catch_up(node)
        except Crash:
            self.crashes += 1
        finally:
            node.die()
            if self.random.random() < 0.5:
                self.lost_batches += self.data.disk.cut_power()

    def _put_faults(self, node: Node) -> None:
        fault = Fault(Crash(), entries_kept=self.random.choice((0, None)))
        number = self.random.randrange(1, 6)
        kind = self.random.randrange(4)
        if kind == 0:
            node.reads[node.kv.reads + self.random.randrange(1, 400)] = fault
        elif kind == 1:
            node.writes[number] = fault
        elif kind == 2:
            node.syncs[number] = fault
        else:
            node.record_writes[number] = fault

    def _make(self, node: Node) -> None:
        clock = START + self.random.randrange(100)
        if self.random.random() < 0.3:
            blocks = node.authority.produce_empty(self.random.randrange(1, 6), clock)
        else:
            sent: list[AnyTransaction] = [self.traffic.make() for _ in range(self.random.randrange(5))]
            blocks = [node.authority.produce(sent, clock).executed]
        self.acknowledged += [executed.tip.hash for executed in blocks]
        if self.random.random() < 0.5:
            node.chain.sync()

    def catch_up(self, node: Node) -> None:
        """Let the chain without crashes follow; it takes every block by its own checks."""
        for height in range(self.world.height + 1, node.chain.tip.header.height + 1):
            block = node.store.view().block(height)
            import_block(self.world.chain, self.world.record, block, self.world.decode_all)


@pytest.mark.parametrize("seed", range(8))
def test_however_often_it_crashes_there_is_one_chain(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    history = History(seed, monkeypatch)
    for _ in range(12):
        history.live()
    assert history.crashes >= 4
    assert history.lost_batches >= 2
    history.data.restart()
    history.data.run(history.catch_up)
    found = {block.header.hash() for block in history.data.blocks()}
    assert set(history.acknowledged) <= found, "what was acknowledged is there"
    assert history.sealed <= found, "no two blocks of one height were ever sealed"
    assert history.data.disk.contents() == history.world.disk.contents(), "a replay gives the same database"

"""Whatever dies at whatever step: exactly the recorded blocks are finished, and never another of their height."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from consensus import authority as authority_module
from consensus.recovery import RecordConflict, record_blocks, recorded_blocks
from consensus.seal import make_seal
from ledger.block import Block
from storage.kv import StorageFailure
from storage.memory import Fault
from storage.memory_signing import MemorySigningRecord
from storage.signing_record import Signed, SigningConflict
from tests.model.small_chain import DAVE_KEY
from tests.unit.consensus.crashing import (
    Act,
    Crash,
    Node,
    Survivors,
    busy_block,
    empty_group,
    expiring_group,
    imported_block,
    other_block,
    young_chain,
)
from tests.unit.consensus.world import START, World

if TYPE_CHECKING:
    from crypto.eip712 import Domain
    from crypto.signature import SigningKey

MADE: dict[Act, int] = {busy_block: 1, empty_group: 2, expiring_group: 3, imported_block: 1}
"""How many blocks each act makes."""
every_act = pytest.mark.parametrize("act", MADE, ids=lambda act: act.__name__)


@pytest.fixture(scope="module")
def chain() -> World:
    return young_chain()


@pytest.fixture
def data(chain: World) -> Survivors:
    return Survivors(chain)


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes of all blocks that an authority has sealed."""
    found: list[bytes] = []

    def spy(key: SigningKey, block_hash: bytes, domain: Domain) -> bytes:
        found.append(block_hash)
        return make_seal(key, block_hash, domain)

    monkeypatch.setattr(authority_module, "make_seal", spy)
    return found


def _crash(node: Node, act: Act) -> None:
    with pytest.raises(Crash):
        act(node)
    node.die()


def _after(chain: World, act: Act) -> dict[bytes, bytes]:
    return Survivors(chain).run(act).disk.contents()


@every_act
def test_a_crash_before_the_record_leaves_nothing(data: Survivors, act: Act) -> None:
    before = data.disk.contents()
    node = data.start()
    node.record_writes[1] = Fault(Crash())
    _crash(node, act)
    assert data.restart() == 0
    assert data.disk.contents() == before
    data.run(other_block)
    assert len(data.blocks()) == 5


def test_nothing_is_sealed_before_it_is_recorded(data: Survivors, sealed: list[bytes]) -> None:
    for act in (busy_block, expiring_group):
        node = data.start()
        node.record_writes[1] = Fault(Crash())
        _crash(node, act)
    assert sealed == []


@every_act
@pytest.mark.parametrize("place", ["record written, not acknowledged", "batch lost", "after a crash while recovering"])
def test_a_crash_behind_the_record_is_finished_exactly(chain: World, data: Survivors, act: Act, place: str) -> None:
    node = data.start()
    if place == "record written, not acknowledged":
        node.record_writes[1] = Fault(Crash(), entries_kept=None)
    else:
        node.writes[1] = Fault(Crash())
    before = data.disk.contents()
    _crash(node, act)
    assert data.disk.contents() == before
    if place == "after a crash while recovering":
        for _ in range(3):
            node = data.start()
            node.writes[1] = Fault(Crash())
            _crash(node, Node.recover)
            assert data.disk.contents() == before
        node = data.start()
        node.writes[1] = Fault(Crash(), entries_kept=None)
        _crash(node, Node.recover)
        assert data.restart() == 0
    else:
        assert data.restart() == MADE[act]
    assert data.disk.contents() == _after(chain, act), "the same blocks with the same seals"
    assert data.restart() == 0


def test_what_was_finished_is_the_state_that_is_built_and_judged_on(data: Survivors) -> None:
    node = data.start()
    node.writes[1] = Fault(Crash())
    _crash(node, busy_block)
    node = data.start()
    assert node.recover() == MADE[busy_block]
    records = dict(node.store.view().records())
    assert {key: node.chain.state.get(key) for key in records} == records
    node.die()


@every_act
def test_a_crash_behind_the_batch_leaves_nothing_to_do(chain: World, data: Survivors, act: Act) -> None:
    node = data.start()
    node.writes[1] = Fault(Crash(), entries_kept=None)
    _crash(node, act)
    assert data.restart() == 0
    assert data.disk.contents() == _after(chain, act)


@every_act
def test_what_was_told_before_it_was_synced_is_finished_after_a_power_cut(
    chain: World, data: Survivors, act: Act
) -> None:
    node = data.start()
    act(node)
    node.die()
    assert data.disk.cut_power() == 1
    assert data.disk.contents() == chain.disk.contents()
    assert data.restart() == MADE[act]
    assert data.disk.contents() == _after(chain, act), "the same blocks with the same seals"


@every_act
def test_what_was_synced_after_it_was_told_is_there_after_a_power_cut(chain: World, data: Survivors, act: Act) -> None:
    node = data.start()
    act(node)
    node.chain.sync()
    node.die()
    assert data.disk.cut_power() == 0
    assert data.disk.contents() == _after(chain, act)
    assert data.restart() == 0


def test_nothing_is_recorded_before_what_the_record_held_is_synced(data: Survivors) -> None:
    """Also where nobody settles: a power cut takes what the record holds, and never a block before it."""
    node = data.start()
    for number in range(4):
        node.authority.produce([node.world.transfer(DAVE_KEY, number, 50)], START)
        recorded = recorded_blocks(node.record)
        assert [block.header.height for block in recorded] == [5 + number]
    node.syncs[node.kv.syncs + 1] = Fault(Crash())
    last = node.record.last()
    with pytest.raises(Crash):
        node.authority.produce_empty(2, START)
    assert node.record.last() == last
    node.die()
    assert data.disk.cut_power() == 1
    assert data.restart() == 1
    assert len(data.blocks()) == 8


@every_act
def test_a_torn_batch_is_finished_or_noticed(chain: World, act: Act) -> None:
    """LevelDB never shows one; if it did, nothing wrong would be built upon."""
    after = _after(chain, act)
    finished, noticed = 0, 0
    for kept in range(10_000):
        data = Survivors(chain)
        node = data.start()
        node.writes[1] = Fault(Crash(), entries_kept=kept)
        _crash(node, act)
        if data.disk.contents() == after:
            break
        try:
            assert data.restart() == MADE[act]
        except RecordConflict:
            noticed += 1
        else:
            finished += 1
            assert data.disk.contents() == after
    assert finished >= 10
    assert noticed >= 15 or act is empty_group


@every_act
def test_a_failed_batch_does_not_free_the_height(data: Survivors, act: Act) -> None:
    """A process that went on regardless would be stopped by its store, and by the signing record."""
    node = data.start()
    node.writes[1] = Fault(Crash())
    with pytest.raises(Crash):
        act(node)
    recorded = node.record.last()
    for again in (other_block, lambda it: it.authority.produce_empty(1, START + 50)):
        with pytest.raises(StorageFailure):
            again(node)
    other = node.chain.build(node.chain.tip, (), START + 50).executed.block
    with pytest.raises(SigningConflict):
        record_blocks(node.record, [other])
    assert node.record.last() == recorded
    assert node.chain.tip.header.height == 4


@pytest.mark.interpreted
def test_the_seal_is_the_same_as_before_the_crash(data: Survivors, sealed: list[bytes]) -> None:
    node = data.start()
    node.writes[1] = Fault(Crash())
    _crash(node, busy_block)
    data.restart()
    assert len(sealed) == 2
    assert sealed[0] == sealed[1] == data.blocks()[-1].header.hash()


def test_a_finished_chain_goes_on(data: Survivors) -> None:
    node = data.start()
    node.writes[1] = Fault(Crash())
    _crash(node, expiring_group)
    node = data.start()
    assert node.recover() == 3
    node.authority.produce([node.world.create(2)], START)
    node.authority.produce_empty(2, START)
    assert node.chain.tip.header.height == 10
    node.die()
    assert data.restart() == 0


def test_nothing_recorded_and_nothing_made_is_a_new_chain() -> None:
    data = Survivors(World())
    assert data.restart() == 0
    data.run(lambda node: node.authority.produce_empty(1, START))
    assert len(data.blocks()) == 1


def test_the_first_block_of_all_is_finished_too() -> None:
    data = Survivors(World())
    node = data.start()
    node.writes[1] = Fault(Crash())
    _crash(node, lambda it: it.authority.produce([it.world.create()], START))
    assert data.restart() == 1


def _conflict(data: Survivors, match: str, *, has_key: bool = True) -> None:
    """The node stays down, and nothing was written."""
    before = data.disk.contents(), data.file.last
    with pytest.raises(RecordConflict, match=match):
        data.restart(has_key=has_key)
    assert (data.disk.contents(), data.file.last) == before


@every_act
def test_a_database_that_lost_its_last_group_gets_it_back(data: Survivors, act: Act) -> None:
    after = data.run(act).disk.contents()
    data.disk.lose_batches(1)
    assert data.restart() == MADE[act]
    assert data.disk.contents() == after


@pytest.mark.parametrize("lost", [2, 3])
def test_an_older_database_is_noticed(data: Survivors, lost: int) -> None:
    data.run(empty_group).run(busy_block).run(busy_block)
    data.disk.lose_batches(lost)
    _conflict(data, "the database is older than the signing record")


def test_an_older_record_is_noticed(data: Survivors) -> None:
    data.run(busy_block)
    older = data.file.last
    data.run(empty_group)
    data.file.last = older
    _conflict(data, "the chain ends at 7 but the signing record at 5")


def test_another_block_of_the_same_height_is_noticed(chain: World, data: Survivors) -> None:
    data.run(busy_block)
    data.file.last = Survivors(chain).run(other_block).file.last
    _conflict(data, "another block of height 5")


def test_a_group_that_forks_off_below_the_head_is_noticed(chain: World, data: Survivors) -> None:
    data.run(other_block)
    data.file.last = Survivors(chain).run(expiring_group).file.last
    _conflict(data, "another block of height 5")


def test_a_block_on_another_head_is_noticed(chain: World, data: Survivors) -> None:
    data.run(other_block)
    data.file.last = Survivors(chain).run(busy_block).run(empty_group).file.last
    _conflict(data, "WRONG_PARENT")


def test_an_empty_record_beside_a_chain_is_noticed(data: Survivors) -> None:
    data.file.last = None
    _conflict(data, "the signing record is empty but the chain has 4 blocks")


def test_a_record_of_nothing_is_noticed() -> None:
    data = Survivors(World())
    data.file.last = Signed(1, b"")
    _conflict(data, "cannot be read")


def test_a_record_that_states_another_height_is_noticed(data: Survivors) -> None:
    data.run(busy_block)
    assert data.file.last is not None
    for height in (4, 6):
        data.file.last = data.file.last._replace(height=height)
        _conflict(data, "cannot be read")


def test_an_unreadable_record_is_noticed(data: Survivors) -> None:
    data.run(empty_group)
    assert data.file.last is not None
    height, payload = data.file.last
    for broken in (payload[:-1], payload[:3], payload + b"\x00", payload + bytes(4), b"\xff" * 4 + payload[4:], b"?"):
        data.file.last = Signed(height, broken)
        _conflict(data, "cannot be read")


def test_without_the_key_an_unsealed_block_is_not_finished(data: Survivors) -> None:
    node = data.start()
    node.writes[1] = Fault(Crash())
    _crash(node, busy_block)
    _conflict(data, "start the node with its key", has_key=False)
    assert data.restart() == 1


def test_without_the_key_an_imported_block_is_finished(chain: World, data: Survivors) -> None:
    node = data.start()
    node.writes[1] = Fault(Crash())
    _crash(node, imported_block)
    assert data.restart(has_key=False) == 1
    assert data.disk.contents() == _after(chain, busy_block)


def _recorded(data: Survivors, *blocks: Block) -> None:
    record = MemorySigningRecord(data.file)
    record_blocks(record, blocks)
    record.close()


def test_a_recorded_seal_is_checked(chain: World, data: Survivors) -> None:
    block = Survivors(chain).run(busy_block).blocks()[-1]
    _recorded(data, block.sealed(bytes(65)))
    _conflict(data, "WRONG_SEAL")


def test_a_recorded_group_that_changes_state_in_the_middle_is_noticed(chain: World, data: Survivors) -> None:
    """The second block claims the state before the first: it follows the head's state, but not the first block's."""
    node = Survivors(chain).start()
    first = node.chain.build(node.chain.tip, [chain.transfer(b"\x00" * 31 + b"\x02", 1)], START).executed
    second = node.chain.build(first.tip, (), START).executed
    _recorded(data, first.block, second.block)
    _conflict(data, "changes state")


def test_what_is_recorded_can_be_read(data: Survivors) -> None:
    blocks = data.run(expiring_group).blocks()[-3:]
    record = MemorySigningRecord(data.file)
    assert recorded_blocks(record) == [Block(block.header, (), None) for block in blocks]
    assert [block.header.height for block in blocks] == [5, 6, 7]

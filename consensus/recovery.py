"""The signing record, and what is done with it at every start (docs/decisions/0004).

Before blocks are sealed or committed, all of them are in the record, whole. After a crash the record is therefore the
head itself, or one group of blocks ahead of it: that group is finished, exactly. Anything else means that the
database or the record is not the one that belongs to the other, and nothing may be signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ledger.block import Block, MalformedBlock
from ledger.errors import InvalidBlock
from ledger.executed import ExecutedBlock

from .chain import Chain, Decode
from .ports import SigningRecord

Seal = Callable[[bytes], bytes]
"""Block hash -> the seal."""


class RecordConflict(Exception):
    """The signing record and the chain do not belong together; nothing may be signed."""


def record_next(chain: Chain, record: SigningRecord, blocks: Sequence[Block]) -> None:
    """Keep blocks that follow the head in the record, once it no longer needs to hold those before them."""
    chain.sync()
    record_blocks(record, blocks)


def record_blocks(record: SigningRecord, blocks: Sequence[Block]) -> None:
    """Keep consecutive blocks in the record and return when they would survive a power cut."""
    framed = (block.encode() for block in blocks)
    payload = b"".join(len(data).to_bytes(4, "big") + data for data in framed)
    record.write(blocks[-1].header.height, payload)


def import_block(chain: Chain, record: SigningRecord, block: Block, decode: Decode) -> ExecutedBlock:
    """Check a sealed block made elsewhere and make it the head; raises InvalidBlock and changes nothing then."""
    executed = chain.check_sealed(chain.tip, block, decode)
    prepared = chain.prepare([executed])
    record_next(chain, record, [block])
    chain.commit(prepared, [block])
    chain.state.advance()
    return executed


def recover(chain: Chain, record: SigningRecord, decode: Decode, seal: Seal | None) -> int:
    """Finish what a crash interrupted; return the number of blocks that this committed.

    `seal` is None on a node that does not hold the authority's key. Raises RecordConflict.
    """
    blocks = recorded_blocks(record)
    head = chain.tip.header.height
    if not blocks:
        if head:
            raise RecordConflict(f"the signing record is empty but the chain has {head} blocks")
        return 0
    _expect_head(chain, blocks)
    missing = [block for block in blocks if block.header.height > head]
    if seal is None and any(block.seal is None for block in missing):
        raise RecordConflict("a block was signed and not committed: start the node with its key, which finishes it")
    if missing:
        executed = _execute(chain, missing, decode, seal)
        chain.commit(chain.prepare(executed), [found.block for found in executed])
        chain.state.advance()
    return len(missing)


def recorded_blocks(record: SigningRecord) -> list[Block]:
    """Return the consecutive blocks of the newest record; raises RecordConflict when they cannot be read."""
    last = record.last()
    if last is None:
        return []
    height, payload = last
    blocks, at = [], 0
    try:
        while at < len(payload):
            end = at + 4 + int.from_bytes(payload[at : at + 4], "big")
            blocks.append(Block.decode(payload[at + 4 : end]))
            at = end
    except MalformedBlock as error:
        raise RecordConflict(f"the signing record cannot be read: {error}") from error
    if not blocks or blocks[-1].header.height != height:
        raise RecordConflict(f"the signing record cannot be read: its blocks do not end at {height}")
    return blocks


def _expect_head(chain: Chain, blocks: Sequence[Block]) -> None:
    """The record must hold the head, or begin right behind it."""
    tip = chain.tip
    first, last = blocks[0].header, blocks[-1].header
    if first.height > tip.header.height + 1:
        raise RecordConflict(
            f"the chain ends at {tip.header.height} but block {last.height} was signed: "
            "the database is older than the signing record"
        )
    if last.height < tip.header.height:
        raise RecordConflict(f"the chain ends at {tip.header.height} but the signing record at {last.height}")
    recorded = {block.header.height: block.header.hash() for block in blocks}
    if recorded.get(tip.header.height, tip.hash) != tip.hash:
        raise RecordConflict(f"the signing record has another block of height {tip.header.height} than the chain")


def _execute(chain: Chain, missing: Sequence[Block], decode: Decode, seal: Seal | None) -> list[ExecutedBlock]:
    tip = chain.tip
    group: list[ExecutedBlock] = []
    try:
        for block in missing:
            if group and group[-1].result.changes:
                raise RecordConflict("a block of the signing record changes state and is not the last of its group")
            if block.seal is None and seal is not None:
                executed = chain.check(tip, block, decode).sealed(seal(block.header.hash()))
            else:
                executed = chain.check_sealed(tip, block, decode)
            group.append(executed)
            tip = executed.tip
    except InvalidBlock as error:
        raise RecordConflict(f"a block of the signing record does not follow the chain: {error}") from error
    return group

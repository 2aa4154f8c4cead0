"""The single authority: seals blocks in an order that no crash can break (protocol section 5, docs/decisions/0004).

First the whole block goes to the signing record and is synced, then it is sealed, then it is committed. A crash after
the first step leaves a block that may have been sealed: at the next start exactly that block is finished. Another one
of that height never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from crypto.signature import SigningKey
from ledger.block import Block, MalformedBlock
from ledger.errors import InvalidBlock
from ledger.executed import ExecutedBlock
from ledger.transaction import AnyTransaction

from .chain import Built, Chain, Decode
from .ports import SigningRecord
from .seal import make_seal

GROUP_MAX: Final = 500
"""Empty blocks that share one record and one batch."""


class RecordConflict(Exception):
    """The signing record and the chain do not belong together; nothing may be signed."""


class Authority:
    """Makes blocks on a chain and seals them. Not thread-safe: one writer owns it."""

    def __init__(self, chain: Chain, key: SigningKey, record: SigningRecord) -> None:
        """Take the key of the chain's authority; raises ValueError for another key."""
        if key.address != chain.genesis.authority:
            raise ValueError(
                f"the key of 0x{chain.genesis.authority.hex()} seals this chain, given that of 0x{key.address.hex()}"
            )
        self.chain = chain
        self._key = key
        self._record = record

    def produce(self, candidates: Iterable[AnyTransaction], timestamp: int) -> Built:
        """Make, seal and commit one block of the candidates; `timestamp` in Unix seconds."""
        built = self.chain.build(self.chain.tip, candidates, timestamp)
        sealed = self._commit([built.executed])
        return Built(sealed[-1], built.skipped)

    def produce_empty(self, count: int, timestamp: int) -> Sequence[ExecutedBlock]:
        """Make up to `count` blocks without transactions in one group; return those made, at least one.

        A block in which pools expire changes the state and ends its group.
        """
        group: list[ExecutedBlock] = []
        tip = self.chain.tip
        for _ in range(min(count, GROUP_MAX)):
            executed = self.chain.build(tip, (), timestamp).executed
            group.append(executed)
            tip = executed.tip
            if executed.result.changes:
                break
        return self._commit(group)

    def recover(self, decode: Decode) -> int:
        """Finish what a crash interrupted; return the number of blocks that this committed.

        Raises RecordConflict when the record does not fit the chain: the database is older than the record (restored
        from a copy, or its log was lost), the record is older than the database, or both know another block.
        """
        recorded = self._recorded()
        head = self.chain.tip.header
        if not recorded:
            if head.height:
                raise RecordConflict(f"the signing record is empty but the chain has {head.height} blocks")
            return 0
        missing = [block for block in recorded if block.header.height > head.height]
        known = [block for block in recorded if block.header.height <= head.height]
        self._expect_same_history(known, bool(missing))
        if not missing:
            return 0
        return self._finish(missing, decode)

    def _commit(self, group: Sequence[ExecutedBlock]) -> Sequence[ExecutedBlock]:
        """Record, seal, commit: in this order."""
        payload = b"".join(_framed(executed.block) for executed in group)
        self._record.write(group[-1].block.header.height, payload)
        sealed = [executed.sealed(self._seal(executed)) for executed in group]
        self.chain.commit(sealed)
        return sealed

    def _seal(self, executed: ExecutedBlock) -> bytes:
        return make_seal(self._key, executed.tip.hash, self.chain.domain)

    def _recorded(self) -> list[Block]:
        last = self._record.last()
        if last is None:
            return []
        try:
            return _unframed(last[1])
        except MalformedBlock as error:
            raise RecordConflict(f"the signing record cannot be read: {error}") from error

    def _expect_same_history(self, known: Sequence[Block], continues: bool) -> None:
        """The newest recorded block that the chain has must be its head."""
        tip = self.chain.tip
        if not known:
            return
        newest = known[-1].header
        if newest.height < tip.header.height and not continues:
            raise RecordConflict(f"the signing record ends at {newest.height}, the chain at {tip.header.height}")
        if newest.height == tip.header.height and newest.hash() != tip.hash:
            raise RecordConflict(f"the signing record has another block of height {newest.height} than the chain")

    def _finish(self, missing: Sequence[Block], decode: Decode) -> int:
        tip = self.chain.tip
        if missing[0].header.height != tip.header.height + 1:
            raise RecordConflict(
                f"the chain ends at {tip.header.height} but block {missing[0].header.height} was signed: "
                "the database is older than the signing record"
            )
        group: list[ExecutedBlock] = []
        try:
            for block in missing:
                executed = self.chain.check(tip, block, decode)
                group.append(executed)
                tip = executed.tip
        except InvalidBlock as error:
            raise RecordConflict(f"a block of the signing record does not follow the chain: {error}") from error
        self.chain.commit([executed.sealed(self._seal(executed)) for executed in group])
        return len(group)


def _framed(block: Block) -> bytes:
    data = block.encode()
    return len(data).to_bytes(4, "big") + data


def _unframed(payload: bytes) -> list[Block]:
    blocks, at = [], 0
    while at < len(payload):
        end = at + 4 + int.from_bytes(payload[at : at + 4], "big")
        blocks.append(Block.decode(payload[at + 4 : end]))
        at = end
    return blocks

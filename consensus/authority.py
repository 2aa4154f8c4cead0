"""The single authority: seals blocks in an order that no crash can break (protocol section 6, docs/decisions/0004).

First the whole block goes to the signing record and is synced, then it is sealed, then it is committed. A crash after
the first step leaves a block that may have been sealed: at the next start exactly that block is finished. Another one
of that height never is. What is committed is synced before the next block is recorded, at the latest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from crypto.signature import SigningKey
from ledger.errors import Refusal
from ledger.executed import ExecutedBlock
from ledger.transaction import AnyTransaction

from .chain import Built, Chain, Prepared
from .ports import SigningRecord
from .recovery import record_next
from .seal import make_seal

GROUP_MAX: Final = 500
"""Empty blocks that share one record and one batch."""


class Begun(NamedTuple):
    """A block that is executed and not yet recorded, and the candidates that could not be in it."""

    prepared: Prepared
    skipped: tuple[tuple[AnyTransaction, Refusal], ...]


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
        begun = self.begin(candidates, timestamp)
        return Built(self.finish(begun.prepared)[-1], begun.skipped)

    def begin(self, candidates: Iterable[AnyTransaction], timestamp: int) -> Begun:
        """Execute one block of the candidates and work out all that it writes; nothing is written or signed yet."""
        built = self.chain.build(self.chain.tip, candidates, timestamp)
        return Begun(self.chain.prepare([built.executed]), built.skipped)

    def finish(self, prepared: Prepared) -> Sequence[ExecutedBlock]:
        """Record, seal, commit, in this order: all that waits for the disk. Returns the blocks, sealed."""
        record_next(self.chain, self._record, [executed.block for executed in prepared.blocks])
        sealed = [executed.sealed(self.seal(executed.tip.hash)) for executed in prepared.blocks]
        self.chain.commit(prepared, [executed.block for executed in sealed])
        return sealed

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
        return self.finish(self.chain.prepare(group))

    def seal(self, block_hash: bytes) -> bytes:
        """Return the seal of a block that is in the signing record."""
        return make_seal(self._key, block_hash, self.chain.domain)

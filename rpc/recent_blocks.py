"""The blocks that were made or read last, decoded: a thousand callers who wait for one block read it once, or never.

A committed block never changes, so nothing here goes stale.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from crypto.merkle import tree_nodes
from ledger.receipt import RECEIPT_BYTES, Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ledger.block import Block
    from ledger.executed import ExecutedBlock
    from storage.chain_view import ChainView

BLOCKS_KEPT: Final = 4
"""With the largest blocks of the devnet some 25 MB."""


class ReadBlock:
    """One block with what answers about its transactions are made of."""

    __slots__ = ("_nodes", "_receipts", "block", "hash")

    def __init__(self, block: Block, block_hash: bytes, receipts: bytes) -> None:
        """Take a block and its receipts as they are stored: most answers are about one of them."""
        self.block = block
        self.hash = block_hash
        self._receipts = receipts
        self._nodes: Mapping[tuple[int, int], bytes] | None = None

    @property
    def receipts(self) -> Sequence[Receipt]:
        """The receipts of all transactions, in their order."""
        return [self.receipt(index) for index in range(len(self.block.transactions))]

    def receipt(self, index: int) -> Receipt:
        """Return the receipt of one transaction."""
        return Receipt.decode(self._receipts[index * RECEIPT_BYTES : (index + 1) * RECEIPT_BYTES])

    def tree_node(self, level: int, index: int) -> bytes:
        """Return a finished node of the tree over the transactions (crypto.merkle.NodeReader)."""
        if self._nodes is None:
            self._nodes = tree_nodes(self.block.transactions)
        return self._nodes[level, index]


class RecentBlocks:
    """Blocks of one chain by height. Use it on the event loop's thread only."""

    def __init__(self, blocks_kept: int = BLOCKS_KEPT) -> None:
        """Begin with none."""
        self._blocks_kept = blocks_kept
        self._blocks: OrderedDict[int, ReadBlock] = OrderedDict()

    def read(self, view: ChainView, height: int) -> ReadBlock:
        """Return the block of a height from 0 up to the head's."""
        found = self._blocks.get(height)
        if found is None:
            block = view.block(height)
            return self._keep(height, ReadBlock(block, block.header.hash(), view.receipt_bytes(height)))
        self._blocks.move_to_end(height)
        return found

    def keep(self, executed: ExecutedBlock) -> None:
        """Have a block at hand that was just committed: whoever waited for it asks now."""
        block = ReadBlock(executed.block, executed.tip.hash, executed.result.receipt_bytes)
        self._keep(executed.tip.header.height, block)

    def _keep(self, height: int, block: ReadBlock) -> ReadBlock:
        self._blocks[height] = block
        if len(self._blocks) > self._blocks_kept:
            self._blocks.popitem(last=False)
        return block

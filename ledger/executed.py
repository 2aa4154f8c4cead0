"""A block with everything that its execution brought forth: what consensus hands to storage in one piece."""

from __future__ import annotations

from dataclasses import dataclass, replace

from crypto.merkle import Frontier

from .block import Block
from .header import Header
from .state_tree import TreeUpdate
from .supply import Supply
from .transaction import AnyTransaction
from .transition import BlockResult


@dataclass(frozen=True, slots=True)
class Tip:
    """The last block of a chain, and what the next one builds on besides the state."""

    header: Header
    hash: bytes
    history: Frontier
    """The tree over the hashes of all blocks *before* this one: its root is this header's historyRoot."""
    supply: Supply
    """Where all tokens are after this block."""


@dataclass(frozen=True, slots=True)
class ExecutedBlock:
    """One block, ready to be sealed and committed."""

    block: Block
    result: BlockResult
    transactions: tuple[AnyTransaction, ...]
    """The checked form of the block's transactions."""
    transaction_hashes: tuple[bytes, ...]
    tree: TreeUpdate
    history_nodes: tuple[tuple[int, int, bytes], ...]
    """(level, index, hash) of the nodes that the parent's hash finishes in the history tree."""
    tip: Tip
    """This block as the next one's parent."""

    def sealed(self, seal: bytes) -> ExecutedBlock:
        """Return the same with the engine's seal on the block."""
        return replace(self, block=self.block.sealed(seal))

"""How much memory a node uses for what it could read again: one number, divided among all that may grow.

None of the parts depends on the size of the state. What comes on top does not either: the interpreter and its modules,
the verifiers, and the mempool, which has its own limit. LevelDB's tables are mapped, so what is read of them is in the
system's cache, which gives it back when somebody needs the room; index and filter blocks lie there as well, because
tables are not compressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from storage.leveldb import Settings

_MIB: Final = 1 << 20
MEMORY_MIB_MIN: Final = 32
MEMORY_MIB: Final = 256


@dataclass(frozen=True, slots=True)
class Memory:
    """The parts in bytes; what is missing to the whole is for what LevelDB and the allocator need around them."""

    database: Settings
    """Two write buffers at most, each a quarter of the whole: one fills while the other becomes a table."""
    tree_bytes: int
    """The state tree's top levels."""
    pages_bytes: int
    """Leaf pages that were written lately."""
    tails_bytes: int
    """What has changed in pages since they were written."""
    records_bytes: int
    """Records that were read or written lately."""


def memory_of(mebibytes: int) -> Memory:
    """Divide so many MiB."""
    whole = mebibytes * _MIB
    return Memory(
        Settings(block_cache_bytes=whole // 32, write_buffer_bytes=whole // 4),
        tree_bytes=whole // 8,
        pages_bytes=whole * 3 // 32,
        tails_bytes=whole // 32,
        records_bytes=whole * 3 // 32,
    )


DEFAULT_MEMORY: Final = memory_of(MEMORY_MIB)

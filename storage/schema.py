"""Every key of the database: one letter for the kind, then big-endian numbers and hashes, so that order matters.

M name              meta: `schema`, `genesis` (canonical bytes), `head` (height, 8), `supply` (3 x 16)
B height            block without its transactions: header and seal (ledger.block)
K height            raw transactions of the block
R height            receipts, 224 bytes each
E height            ids of the pools that expired in this block, 32 bytes each; absent where none did
H hash              height of the block with this hash
X transaction hash  height (8) and index (4)
N level index       finished node of the history tree
S state key         record after the head (ledger.records)
Q page key          page of the state tree, up to date with its tail
P page key          tail of a page: what has changed in it since it was written (ledger.page_changes)
D expiresAt id      open pools by expiry
L createdAt index   pool id: all pools in the order of their creation
C creator  createdAt index, G resourceId createdAt index, T target createdAt index: pool id
U height kind bucket  undo: what makes of records (S) or pages (Q) what they were before this block (storage.undo)
V height            the undo entries of this block, to delete when it is too old
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = b"5"
META_SCHEMA: Final = b"Mschema"
META_GENESIS: Final = b"Mgenesis"
META_HEAD: Final = b"Mhead"
META_SUPPLY: Final = b"Msupply"
META_CLOCK_OFFSET: Final = b"Mclock"

RECORD: Final = b"S"
PAGE: Final = b"Q"
TAIL: Final = b"P"
DUE: Final = b"D"
ALL_POOLS: Final = b"L"
BY_CREATOR: Final = b"C"
BY_RESOURCE: Final = b"G"
BY_TARGET: Final = b"T"


def number(value: int) -> bytes:
    """Return a height or a time as 8 bytes."""
    return value.to_bytes(8, "big")


def sealed_header_key(height: int) -> bytes:
    """Return the key of a block's sealed header."""
    return b"B" + number(height)


def transactions_key(height: int) -> bytes:
    """Return the key of a block's raw transactions."""
    return b"K" + number(height)


def receipts_key(height: int) -> bytes:
    """Return the key of a block's receipts."""
    return b"R" + number(height)


def expired_key(height: int) -> bytes:
    """Return the key of the pools that expired in a block."""
    return b"E" + number(height)


def hash_key(block_hash: bytes) -> bytes:
    """Return the key of a block's height by its hash."""
    return b"H" + block_hash


def location_key(transaction_hash: bytes) -> bytes:
    """Return the key of where a transaction is."""
    return b"X" + transaction_hash


def node_key(level: int, index: int) -> bytes:
    """Return the key of a finished node of the history tree."""
    return b"N" + bytes([level]) + number(index)


def due_key(expires_at: int, cptx_hash: bytes) -> bytes:
    """Return the key of an open pool in the order of expiry."""
    return DUE + number(expires_at) + cptx_hash


def order(created_at: int, index: int) -> bytes:
    """Return the place of a pool in the order (createdAt, index): the end of every pool index key."""
    return number(created_at) + index.to_bytes(4, "big")


ORDER_BYTES: Final = 12


def after(prefix: bytes) -> bytes:
    """Return the first key behind all keys that begin with `prefix` (whose last byte is not 0xff for our kinds)."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1])

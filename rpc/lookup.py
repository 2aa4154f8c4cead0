"""Finding blocks and committed transactions in one view."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from storage.past_state import PastState, StateNotKept

from .errors import RpcError
from .shapes import Place
from .values import bytes_text, quantity_text

if TYPE_CHECKING:
    from ledger.receipt import Receipt
    from storage.chain_view import ChainView

    from .ports import NodePort
    from .recent_blocks import ReadBlock

Block = int | bytes | str
"""A height, a hash, `latest` or `earliest`, as `values.BLOCK` reads it."""


class Committed(NamedTuple):
    """A transaction in the chain: its bytes, what it did and where."""

    raw: bytes
    receipt: Receipt
    place: Place
    block: ReadBlock


def find_height(view: ChainView, block: Block) -> int | None:
    """Return the height of a block, None where there is no such block."""
    if isinstance(block, bytes):
        return view.height_of(block)
    if isinstance(block, str):
        return 0 if block == "earliest" else view.height
    return block if block <= view.height else None


def need_height(view: ChainView, block: Block) -> int:
    """Return the height of a block; raises RpcError NOT_FOUND."""
    height = find_height(view, block)
    if height is None:
        given = bytes_text(block) if isinstance(block, bytes) else quantity_text(int(block))
        raise RpcError(
            "NOT_FOUND",
            f"a block of this chain, whose head is at {quantity_text(view.height)}",
            given,
        )
    return height


def past_state(view: ChainView, height: int) -> PastState:
    """Return the state after the block of a height up to the head's; raises RpcError NOT_READY."""
    try:
        return PastState(view, height)
    except StateNotKept as error:
        raise RpcError("NOT_READY", f"a block from {quantity_text(error.oldest)} on", quantity_text(height)) from error


def find_committed(node: NodePort, view: ChainView, transaction_hash: bytes) -> Committed | None:
    """Return a transaction that is in a block of `view`, None where it is in none."""
    location = view.location(transaction_hash)
    if location is None:
        return None
    height, index = location
    read = node.recent_blocks.read(view, height)
    return Committed(read.block.transactions[index], read.receipt(index), Place(height, read.hash, index), read)

"""Whether what is on the disk is one whole chain: a quick look at every start, all of it when something was wrong.

LevelDB's checksums catch damaged bytes on every read (the storage room asks for them). What they cannot catch is a
synced batch that is missing as a whole, or a database put back from an older copy: that is what these checks are for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from consensus.seal import check_seal
from crypto.eip712 import Domain
from crypto.merkle import root
from crypto.state_proof import StateProofError, verify_state_proof
from crypto.words import WORD_BYTES
from ledger import supply
from ledger.block import Block
from ledger.errors import InvalidBlock
from ledger.genesis import Genesis
from ledger.header import Header
from ledger.receipt import RECEIPT_BYTES
from ledger.records import BURNED_KEY, account_key, tree_key
from ledger.state_tree import prove
from ledger.tree_build import compute_root
from ledger.tree_pages import DamagedTree
from storage.chain_view import ChainView

RECENT_BLOCKS: Final = 32
RECENT_KEYS_MAX: Final = 256
RECENT_PLACES_MAX: Final = 64
"""Transactions of one recent block whose places are looked up; each costs a read, and a batch is there whole or not."""


class NotOneChain(Exception):
    """The stored chain contradicts itself; nothing may be served or signed on it."""


def check_recent(view: ChainView, genesis: Genesis, domain: Domain) -> None:
    """Check the last blocks' links, seals and roots, the head's roots and the supply; raises NotOneChain."""
    _check_blocks(view, genesis, domain, max(0, view.height - RECENT_BLOCKS), RECENT_PLACES_MAX)
    _check_head(view, genesis)
    _check_tree(view)


def check_all(view: ChainView, genesis: Genesis, domain: Domain) -> None:
    """Check every block's links, seal and roots, and the state root against all records; raises NotOneChain."""
    _check_blocks(view, genesis, domain, 0, None)
    _check_head(view, genesis)
    _check_tree(view)
    records = sorted((tree_key(key), record) for key, record in view.records())
    _expect("the state root over all records", compute_root(records), view.tip().header.state_root)
    counted = supply.count(view.records())
    _expect("the supply over all records", counted, view.tip().supply)


def _check_blocks(view: ChainView, genesis: Genesis, domain: Domain, first: int, places_max: int | None) -> None:
    """Check all blocks from a height on, and the places of at most so many transactions of each."""
    parent: Header | None = view.sealed_header(first - 1).header if first else None
    for height in range(first, view.height + 1):
        block = view.block(height)
        _check_block(view, block, height, places_max)
        if parent is None:
            _expect("the genesis block", block.header.hash(), domain.genesis_hash)
        else:
            _expect(f"the parent of block {height}", block.header.parent_hash, parent.hash())
            _check_seal(block, genesis, domain)
        parent = block.header


def _check_block(view: ChainView, block: Block, height: int, places_max: int | None) -> None:
    header = block.header
    _expect(f"the height of block {height}", header.height, height)
    _expect(f"the height by hash of block {height}", view.height_of(header.hash()), height)
    _expect(f"the txRoot of block {height}", block.tx_root(), header.tx_root)
    data = view.receipt_bytes(height)
    receipts = [data[at : at + RECEIPT_BYTES] for at in range(0, len(data), RECEIPT_BYTES)]
    _expect(f"the receiptsRoot of block {height}", root(receipts), header.receipts_root)
    step = 1 if places_max is None else -(-len(receipts) // places_max) or 1
    for index in range(0, len(receipts), step):
        _expect("the place of a transaction", view.location(receipts[index][:WORD_BYTES]), (height, index))


def _check_seal(block: Block, genesis: Genesis, domain: Domain) -> None:
    try:
        check_seal(block.seal, block.header.hash(), genesis.authority, domain)
    except InvalidBlock as error:
        raise NotOneChain(f"block {block.header.height}: {error}") from error


def _check_head(view: ChainView, genesis: Genesis) -> None:
    tip = view.tip()
    _expect("the historyRoot of the head", tip.history.root(), tip.header.history_root)
    _expect("the supply", tip.supply.total, genesis.supply)


def _check_tree(view: ChainView) -> None:
    """Check records against the stored tree and the tree against the head: those the head touched, and two more."""
    state_root = view.tip().header.state_root
    for key in _recent_keys(view):
        try:
            verify_state_proof(state_root, tree_key(key), view.get(key), prove(view.page, tree_key(key)))
        except (StateProofError, DamagedTree) as error:
            raise NotOneChain(f"the state tree does not fit the record {key.hex()}: {error}") from error


def _recent_keys(view: ChainView) -> Iterator[bytes]:
    yield BURNED_KEY
    yield account_key(view.tip().header.authority)
    yield from view.changed_keys(view.height)[:RECENT_KEYS_MAX]


def _expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise NotOneChain(f"{what} is not what it should be: expected {_show(expected)}, found {_show(found)}")


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)

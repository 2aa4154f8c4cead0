"""Proof documents from what is stored (protocol section 9): each stands alone, to be checked by `light.verify`.

Reads are logarithmic in the number of blocks and of records, from the first call after a start on: all finished nodes
of the history tree and the pages of the kept states lie in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crypto.address import checksum_address
from crypto.node_tree import NodeTree
from ledger.records import tree_key
from ledger.state_tree import prove
from light.documents import SEAL_KIND, VERSION
from light.record_json import record_json

from .values import bytes_text, quantity_text

if TYPE_CHECKING:
    from crypto.eip712 import Domain
    from ledger.block import SealedHeader
    from storage.chain_view import ChainView
    from storage.past_state import PastState

    from .lookup import Committed
    from .recent_blocks import ReadBlock

Json = dict[str, Any]


def transaction_document(view: ChainView, domain: Domain, found: Committed, head: SealedHeader) -> Json:
    """Return the proof that a transaction is in its block, and the block in the history of a head not below it."""
    block, place = found.block.block, found.place
    return {
        **_envelope("transaction", domain),
        "transaction": bytes_text(found.raw),
        "transactionHash": bytes_text(found.receipt.transaction_hash),
        "inclusion": _inclusion_json(found.block, place.index),
        **_sealed_json(block.sealed_header),
        "head": _sealed_json(head),
        "history": _history_json(view, place.height, head.header.height),
    }


def header_document(view: ChainView, domain: Domain, height: int, head_height: int) -> Json:
    """Return the proof that a block is in the history of a head not below it."""
    return {
        **_envelope("header", domain),
        **_sealed_json(view.sealed_header(height)),
        "head": _sealed_json(view.sealed_header(head_height)),
        "history": _history_json(view, height, head_height),
    }


def consistency_document(view: ChainView, domain: Domain, first_height: int, second_height: int) -> Json:
    """Return the proof that two heads, the first not above the second, belong to one history."""
    tree = NodeTree(second_height, view.history_node)
    return {
        **_envelope("consistency", domain),
        "first": _sealed_json(view.sealed_header(first_height)),
        "second": _sealed_json(view.sealed_header(second_height)),
        "path": [bytes_text(node) for node in tree.consistency_path(first_height, second_height)],
        "history": _history_json(view, first_height, second_height),
    }


def state_document(view: ChainView, domain: Domain, state: PastState, key: bytes) -> Json:
    """Return the proof of the record under a state key, or of its absence, after the block of `state`."""
    record = state.get(key)
    return {
        **_envelope("state", domain),
        "key": state_key_json(key),
        "record": None if record is None else record_json(key, record),
        "recordBytes": None if record is None else bytes_text(record),
        "proof": bytes_text(prove(state.page, tree_key(key)).encode()),
        **_sealed_json(view.sealed_header(state.height)),
    }


def state_key_json(key: bytes) -> Json:
    """Return the name of a state key, as proof_getState takes it."""
    match key[:1]:
        case b"a":
            return {"account": checksum_address(key[1:])}
        case b"p":
            return {"cptxHash": bytes_text(key[1:])}
        case b"t":
            return {"cptxHash": bytes_text(key[1:33]), "target": checksum_address(key[33:])}
        case _:
            return {"burned": True}


def _envelope(kind: str, domain: Domain) -> Json:
    return {
        "version": VERSION,
        "kind": kind,
        "sealKind": SEAL_KIND,
        "chainId": quantity_text(domain.chain_id),
        "genesisHash": bytes_text(domain.genesis_hash),
    }


def _sealed_json(sealed: SealedHeader) -> Json:
    """Return header (the 320 bytes that are hashed) and seal, null of block 0."""
    return {
        "header": bytes_text(sealed.header.encode()),
        "seal": None if sealed.seal is None else bytes_text(sealed.seal),
    }


def _inclusion_json(read: ReadBlock, index: int) -> Json:
    size = len(read.block.transactions)
    tree = NodeTree(size, read.tree_node)
    return _path_json(index, size, tree.inclusion_path(index, size))


def _history_json(view: ChainView, height: int, head_height: int) -> Json | None:
    """Return a block's place among the blocks before the head; None where it is the head itself."""
    if height == head_height:
        return None
    tree = NodeTree(head_height, view.history_node)
    return _path_json(height, head_height, tree.inclusion_path(height, head_height))


def _path_json(index: int, size: int, path: list[bytes]) -> Json:
    return {
        "leafIndex": quantity_text(index),
        "treeSize": quantity_text(size),
        "path": [bytes_text(node) for node in path],
    }

"""Blocks that are read once for many callers."""

from __future__ import annotations

from contextlib import closing

import pytest

from crypto.merkle import hash_leaf, hash_node
from crypto.node_tree import NodeTree
from ledger.block import Block
from rpc.recent_blocks import RecentBlocks
from storage.chain_view import ChainView
from tests.model.small_chain import ALICE_KEY, BOB
from tests.node_bench import NodeBench


def test_a_block_is_decoded_once_while_it_is_recent(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(NodeBench()) as bench:
        bench.mine(4)
        view, blocks = bench.node.view(), RecentBlocks(2)
        reads: list[int] = []
        block = ChainView.block

        def counted(view: ChainView, height: int) -> Block:
            reads.append(height)
            return block(view, height)

        monkeypatch.setattr(ChainView, "block", counted)
        for height in (1, 2, 1, 2, 1, 3, 1, 2):
            found = blocks.read(view, height)
            assert (found.block.header.height, found.hash) == (height, found.block.header.hash())
        assert reads == [1, 2, 3, 2]


def test_a_block_that_was_just_made_is_not_read_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(NodeBench()) as bench:
        bench.commit(*(bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce) for nonce in range(3)))
        view = bench.node.view()
        read = RecentBlocks().read(view, view.height)
        monkeypatch.delattr(ChainView, "block")
        made = bench.node.recent_blocks.read(view, view.height)
        assert (made.block, made.hash, made.receipts) == (read.block, read.hash, read.receipts)
        assert made.block.seal is not None


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8])
def test_paths_through_its_tree_lead_to_the_root(count: int) -> None:
    with closing(NodeBench()) as bench:
        bench.commit(*(bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce) for nonce in range(count)))
        found = RecentBlocks().read(bench.node.view(), 1)
        tree = NodeTree(count, found.tree_node)
        for index, raw in enumerate(found.block.transactions):
            path = tree.inclusion_path(index, count)
            assert _climb(hash_leaf(raw), index, count - 1, path) == found.block.header.tx_root


def _climb(node: bytes, index: int, last: int, path: list[bytes]) -> bytes:
    """The root that an inclusion path leads to (RFC 9162, 2.1.3.2)."""
    for sibling in path:
        if index % 2 or index == last:
            node = hash_node(sibling, node)
            while not index % 2 and index:
                index, last = index // 2, last // 2
        else:
            node = hash_node(node, sibling)
        index, last = index // 2, last // 2
    return node

"""Full verification: every block executed again from genesis, and the result compared entry by entry."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from contextlib import aclosing, closing
from itertools import zip_longest
from pathlib import Path

from consensus.chain import Chain, Decode
from ledger.block import Block
from ledger.errors import InvalidBlock
from ledger.genesis import Genesis
from storage import leveldb
from storage.chain_store import create_chain
from storage.chain_view import ChainView

from .ahead import decoded_ahead
from .integrity import NotOneChain, check_all

Progress = Callable[[int, int], None]
"""(blocks done, blocks in all)."""


async def verify_chain(view: ChainView, genesis: Genesis, scratch: Path, progress: Progress) -> None:
    """Check a stored chain completely; raises NotOneChain.

    All blocks are executed into a new database under `scratch`, and then both databases must be equal, entry by
    entry: records, tree pages, blocks, receipts, indexes, history, undo.
    """
    domain = genesis.domain(view.sealed_header(0).header.hash())
    check_all(view, genesis, domain)
    with (
        tempfile.TemporaryDirectory(dir=scratch) as directory,
        closing(leveldb.create(Path(directory) / "replay")) as kv,
    ):
        store = create_chain(kv, genesis)
        chain = Chain(store, genesis, domain, 32 << 20)
        stored = (view.block(height) for height in range(1, view.height + 1))
        async with aclosing(decoded_ahead(stored, domain)) as blocks:
            async for block, decode in blocks:
                try:
                    await asyncio.to_thread(_execute, chain, block, decode)
                except InvalidBlock as error:
                    raise NotOneChain(f"block {block.header.height} is not valid: {error}") from error
                progress(block.header.height, view.height)
        _expect_equal(view, store.view())


def _execute(chain: Chain, block: Block, decode: Decode) -> None:
    executed = chain.check_sealed(chain.tip, block, decode)
    chain.commit(chain.prepare([executed]), [block])


def _expect_equal(stored: ChainView, replayed: ChainView) -> None:
    for ours, theirs in zip_longest(stored.entries(), replayed.entries()):
        if ours != theirs:
            entry = min(entry for entry in (ours, theirs) if entry is not None)
            raise NotOneChain(
                f"the stored entry {entry[0][:1].decode()} {entry[0][1:].hex()} is not what a replay gives"
            )

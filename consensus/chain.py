"""The head of a chain and the only way in which it moves: build or check a block, then commit it.

Building and checking both go through `ledger.transition.BlockExecution`. Nothing moves before the store has the
block; a block that is built and then dropped leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from crypto.eip712 import Domain
from crypto.merkle import hash_leaf, root
from ledger import supply
from ledger.block import Block
from ledger.courtesy import give_way
from ledger.errors import InvalidBlock, InvariantViolation, Refusal
from ledger.executed import ExecutedBlock, Tip
from ledger.genesis import Genesis
from ledger.header import Header
from ledger.recent import UNKNOWN, Recent
from ledger.records import tree_keys
from ledger.state_tree import StateTree, TreeUpdate
from ledger.transaction import AnyTransaction
from ledger.transition import NO_ROOM, BlockExecution, BlockResult, apply_block
from ledger.tree_pages import ReadPage

from .head_state import BYTES_DEFAULT, HeadState
from .ports import ChainStore, Write
from .seal import check_seal

Decode = Callable[[Sequence[bytes]], Sequence[AnyTransaction]]
"""Raw transactions -> checked ones; raises Refusal for the first that is not one."""


@dataclass(frozen=True, slots=True)
class Built:
    """A block made from candidates, and the candidates that could not be in it."""

    executed: ExecutedBlock
    skipped: tuple[tuple[AnyTransaction, Refusal], ...]


PAGE_CACHE_BYTES: Final = 32 << 20
"""For leaf pages that were written lately."""


class Prepared(NamedTuple):
    """Blocks that follow the head, and what writes them when they are sealed."""

    blocks: Sequence[ExecutedBlock]
    write: Write


class Chain:
    """One chain, at its head. Not thread-safe: one writer owns it."""

    def __init__(
        self,
        store: ChainStore,
        genesis: Genesis,
        domain: Domain,
        tree_cache_bytes: int,
        *,
        pages_bytes: int = PAGE_CACHE_BYTES,
        records_bytes: int = BYTES_DEFAULT,
    ) -> None:
        """Stand at the head of what `store` holds."""
        self._store = store
        self.genesis = genesis
        self.domain = domain
        self.tip: Tip = store.tip()
        self.state = HeadState(store.state(), records_bytes)
        """The state after the head, from the next block on or from `state.advance()` on."""
        self._pages = Recent(pages_bytes)
        # No method of this object: a circle would keep the database open until the collector comes by.
        read_page = partial(_read_page, self._pages, store.read_page)
        self._tree = StateTree(read_page, self.tip.header.state_root, tree_cache_bytes)

    def build(self, parent: Tip, candidates: Iterable[AnyTransaction], timestamp: int) -> Built:
        """Make the block after `parent` from the candidates, in their order, leaving out what breaks a rule.

        `parent` is the head, or a block that was built on the head and changed no state. `timestamp` is in Unix
        seconds; the parent's is used when that is later.
        """
        self.state.advance()
        execution = BlockExecution(self.state, parent.header.height + 1, self.genesis)
        included: list[AnyTransaction] = []
        skipped: list[tuple[AnyTransaction, Refusal]] = []
        for transaction in candidates:
            try:
                execution.apply(transaction)
            except Refusal as refusal:
                if refusal.reason == NO_ROOM:
                    break
                skipped.append((transaction, refusal))
            else:
                included.append(transaction)
        result = execution.finish()
        tree = self._tree.update(_by_tree_key(result.changes))
        header = self._next_header(parent, included, result, tree.root, timestamp)
        block = Block(header, tuple(transaction.raw for transaction in included), None)
        return Built(self._executed(parent, block, included, result, tree), tuple(skipped))

    def check(self, parent: Tip, block: Block, decode: Decode) -> ExecutedBlock:
        """Execute a block that claims to follow `parent`, whatever its seal; raises InvalidBlock."""
        self._check_links(parent, block)
        self.state.advance()
        try:
            transactions = decode(block.transactions)
        except Refusal as refusal:
            raise InvalidBlock("INVALID_TRANSACTION", str(refusal)) from refusal
        tree: list[TreeUpdate] = []

        def state_root(changes: Mapping[bytes, bytes | None]) -> bytes:
            tree.append(self._tree.update(_by_tree_key(changes)))
            return tree[0].root

        result = apply_block(self.state, block.header, transactions, self.genesis, state_root)
        return self._executed(parent, block, transactions, result, tree[0])

    def check_sealed(self, parent: Tip, block: Block, decode: Decode) -> ExecutedBlock:
        """Like `check`, and the seal must be the authority's."""
        check_seal(block.seal, block.header.hash(), self.genesis.authority, self.domain)
        return self.check(parent, block, decode)

    def prepare(self, blocks: Sequence[ExecutedBlock]) -> Prepared:
        """Work out what `commit` writes; changes nothing, and does not need the seals.

        Raises InvariantViolation unless the blocks follow the head one by one and only the last of them changes state:
        each was executed on the state after the head.
        """
        _expect_group(self.tip, blocks)
        return Prepared(blocks, self._store.prepare(blocks))

    def commit(self, prepared: Prepared, sealed: Sequence[Block]) -> None:
        """Write the prepared blocks, which are sealed now and in the signing record, then move the head.

        Until `sync` has returned a power cut may take them from the store, and the record gives them back.
        """
        prepared.write(sealed)
        last = prepared.blocks[-1]
        self._tree.adopt(last.tree)
        self._pages.keep_all(last.tree.pages)
        self.state.stage(self._store.state(), last.result.changes)
        self.tip = last.tip

    def sync(self) -> None:
        """Return when all committed blocks would survive a power cut without the signing record."""
        self._store.sync()

    def _next_header(
        self,
        parent: Tip,
        included: Sequence[AnyTransaction],
        result: BlockResult,
        state_root: bytes,
        timestamp: int,
    ) -> Header:
        history = parent.history.fork()
        history.append(hash_leaf(parent.hash))
        return Header(
            chain_id=self.genesis.chain_id,
            height=parent.header.height + 1,
            timestamp=max(timestamp, parent.header.timestamp),
            parent_hash=parent.hash,
            tx_root=root(transaction.raw for transaction in included),
            tx_count=len(included),
            receipts_root=result.receipts_root(),
            state_root=state_root,
            history_root=history.root(),
            authority=self.genesis.authority,
        )

    def _executed(
        self,
        parent: Tip,
        block: Block,
        transactions: Sequence[AnyTransaction],
        result: BlockResult,
        tree: TreeUpdate,
    ) -> ExecutedBlock:
        history = parent.history.fork()
        nodes = history.append(hash_leaf(parent.hash))
        after = supply.advance(parent.supply, result.before, result.changes)
        supply.check(after, self.genesis)
        return ExecutedBlock(
            block=block,
            result=result,
            transactions=tuple(transactions),
            transaction_hashes=tuple(transaction.hash for transaction in transactions),
            tree=tree,
            history_nodes=tuple(nodes),
            tip=Tip(block.header, block.header.hash(), history, after),
        )

    def _check_links(self, parent: Tip, block: Block) -> None:
        """Check everything about a block that needs no execution."""
        header, genesis = block.header, self.genesis
        history = parent.history.fork()
        history.append(hash_leaf(parent.hash))
        _expect("WRONG_CHAIN_ID", header.chain_id, genesis.chain_id)
        _expect("WRONG_HEIGHT", header.height, parent.header.height + 1)
        _expect("WRONG_PARENT", header.parent_hash, parent.hash)
        _expect("WRONG_AUTHORITY", header.authority, genesis.authority)
        _expect("WRONG_TX_COUNT", header.tx_count, len(block.transactions))
        _expect("WRONG_TX_ROOT", header.tx_root, block.tx_root())
        _expect("WRONG_HISTORY_ROOT", header.history_root, history.root())
        if header.timestamp < parent.header.timestamp:
            raise InvalidBlock("WRONG_TIMESTAMP", f"expected at least {parent.header.timestamp}")
        if header.tx_count > genesis.max_block_transactions or block.body_bytes() > genesis.max_block_bytes:
            raise InvalidBlock("BLOCK_TOO_LARGE", "the block is above maxBlockTransactions or maxBlockBytes")


def _read_page(pages: Recent, read: ReadPage, key: bytes) -> bytes | None:
    """Return a page of the state tree after the head.

    One that is read is not kept: most are changed by the same block, and kept then.
    """
    give_way()
    found = pages.find(key)
    return read(key) if found is UNKNOWN else found


def check_not_ahead(header: Header, now: int, allowed_seconds: int = 15) -> None:
    """Raise InvalidBlock TIMESTAMP_AHEAD for a block received live too far ahead of the clock (`now`, Unix seconds)."""
    if header.timestamp > now + allowed_seconds:
        raise InvalidBlock("TIMESTAMP_AHEAD", f"expected at most {now + allowed_seconds}, given {header.timestamp}")


def _expect_group(tip: Tip, blocks: Sequence[ExecutedBlock]) -> None:
    for at, executed in enumerate(blocks):
        if executed.block.header.parent_hash != tip.hash:
            raise InvariantViolation(f"block {executed.tip.header.height} does not follow block {tip.header.height}")
        if executed.result.changes and at + 1 < len(blocks):
            raise InvariantViolation(
                f"block {executed.tip.header.height} changes state and is not the last of its group"
            )
        tip = executed.tip


def _by_tree_key(changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
    return dict(zip(tree_keys(list(changes)), changes.values(), strict=True))


def _expect(reason: str, given: object, expected: object) -> None:
    if given != expected:
        raise InvalidBlock(reason, f"expected {_show(expected)}, given {_show(given)}")


def _show(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)

"""How this node goes through chain.json: it keeps the chain in memory and judges each case where it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consensus.chain import Chain
from consensus.seal import make_seal
from crypto.signature import SigningKey
from ledger.block import Block
from ledger.errors import InvalidBlock, Refusal
from ledger.executed import ExecutedBlock
from ledger.genesis import parse_genesis
from ledger.header import Header
from ledger.records import tree_key
from ledger.transition import BlockExecution
from storage.chain_store import create_chain
from storage.memory import MemoryKeyValue
from txtypes.table import decode

from .ours import HEADER_NAMES, named, number, receipt_members, state_key
from .reading import Case, Wrong, data, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ledger.transaction import AnyTransaction

AUTHORITY = SigningKey((6).to_bytes(32, "big"))


class OurChain:
    """The chain up to the block case that was met last."""

    def __init__(self, all_cases: Sequence[Case]) -> None:
        """Begin at the genesis case; the block cases say which transactions a refused one stands behind."""
        self.blocks = {case["input"]["height"]: case["input"] for case in all_cases if case["kind"] == "block"}
        self.expected = {case["input"]["height"]: case["expected"] for case in all_cases if case["kind"] == "block"}
        self.committed: set[bytes] = set()
        first = all_cases[0]["input"]
        self.genesis = parse_genesis(first["file"].encode())
        self.store = create_chain(MemoryKeyValue(), self.genesis)
        self.domain = self.genesis.domain(self.store.tip().hash)
        self.chain = Chain(self.store, self.genesis, self.domain, 1 << 16)

    def genesis_case(self, given: Case) -> Case:
        assert parse_genesis(given["file"].encode()) == self.genesis
        tip = self.store.tip()
        return {"headerBytes": text(tip.header.encode()), "genesisHash": text(tip.hash)}

    def decode_all(self, raws: Sequence[bytes]) -> list[AnyTransaction]:
        return [decode(raw, self.domain) for raw in raws]

    def refused_transaction(self, given: Case) -> Case:
        """Judge it behind the first transactions of its block; it must change nothing."""
        height, index, raw = number(given["height"]), number(given["index"]), data(given["raw"])
        assert height == self.chain.tip.header.height + 1
        before = self.decode_all([data(each) for each in self.blocks[given["height"]]["transactions"][:index]])
        execution = BlockExecution(self.chain.state, height, self.genesis)
        for transaction in before:
            execution.apply(transaction)
        result = execution.finish()
        known = self.committed | {each.hash for each in before}
        try:
            transaction = decode(raw, self.domain)
            if transaction.hash not in known:
                execution.apply(transaction)
        except Refusal as refusal:
            assert execution.finish() == result
            raise Wrong(refusal.reason, refusal) from refusal
        if transaction.hash in known:
            raise Wrong("ALREADY_COMMITTED")
        return {}

    def refused_block(self, given: Case) -> Case:
        tip, root = self.chain.tip, self.store.tip().header.state_root
        try:
            self.check(given)
        except InvalidBlock as error:
            assert self.chain.tip is tip
            assert self.store.tip().header.state_root == root
            raise Wrong(error.reason, error.detail) from error
        return {}

    def block(self, given: Case) -> Case:
        """Make the block, check the given one, and commit it."""
        header = Header.decode(data(given["headerBytes"]))
        candidates = self.decode_all([data(raw) for raw in given["transactions"]])
        built = self.chain.build(self.chain.tip, candidates, header.timestamp)
        assert not built.skipped
        assert built.executed.tip.header == header
        assert text(make_seal(AUTHORITY, header.hash(), self.domain)) == given["seal"]
        executed = self.check(given)
        assert executed.result == built.executed.result
        self.chain.commit(self.chain.prepare([executed]), [executed.block])
        self.chain.state.advance()
        self.committed |= set(executed.transaction_hashes)
        return self.told(executed)

    def check(self, given: Case) -> ExecutedBlock:
        header = Header.decode(data(given["headerBytes"]))
        seal = None if given["seal"] is None else data(given["seal"])
        block = Block(header, tuple(data(raw) for raw in given["transactions"]), seal)
        return self.chain.check_sealed(self.chain.tip, block, self.decode_all)

    def told(self, executed: ExecutedBlock) -> Case:
        """What a block case expects; the way of showing keys is taken from it."""
        tip, result = executed.tip, executed.result
        ours = {tree_key(key): record for key, record in result.changes.items()}
        shown = self.expected[hex(tip.header.height)]["changes"]
        assert [data(change["treeKey"]) for change in shown] == sorted(ours)
        assert all(tree_key(state_key(change["key"])) == data(change["treeKey"]) for change in shown)
        return {
            "hash": text(tip.hash),
            "header": named(tip.header, HEADER_NAMES),
            "expired": [text(pool) for pool in result.expired],
            "receipts": [receipt_members(receipt) for receipt in result.receipts],
            "receiptBytes": [text(receipt.encode()) for receipt in result.receipts],
            "changes": [change | {"recordBytes": optional(ours[data(change["treeKey"])])} for change in shown],
            "supply": {name: hex(amount) for name, amount in tip.supply._asdict().items()},
        }


def optional(record: bytes | None) -> str | None:
    return None if record is None else text(record)

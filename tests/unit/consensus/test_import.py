"""Blocks made elsewhere: each wrong thing about one is refused by its own name, and the head stays where it is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from consensus.recovery import import_block
from crypto.hashing import keccak256
from crypto.merkle import root as merkle_root
from crypto.signature import SigningKey
from ledger.block import Block, MalformedBlock
from ledger.errors import InvalidBlock
from ledger.header import Header
from tests.model import signing
from tests.model.encoding import SEAL_TYPE, signing_digest
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY_KEY, BOB, BOB_KEY, CAROL_KEY, DAVE_KEY
from tests.unit.consensus.traffic import busy_world
from tests.unit.consensus.world import START, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consensus.pending import Dropped
    from ledger.transaction import AnyTransaction

KEY = SigningKey(AUTHORITY_KEY)


class Pair:
    """A chain of three blocks in two places, and a fourth block that only the first place has."""

    def __init__(self, **limits: str) -> None:
        self.source, self.copy = (World(**limits) for _ in range(2))  # type: ignore[arg-type]
        source = self.source
        source.mine(source.transfer(ALICE_KEY, 0), source.create(1, duration=5))
        source.mine_empty(2)
        for block in source.blocks():
            self.take(block)
        pool = source.create(1, duration=5).hash
        self.transactions: list[AnyTransaction] = [
            source.transfer(ALICE_KEY, 2),
            source.transfer(ALICE_KEY, 3),
            source.pay(BOB_KEY, pool, 100),
            source.transfer(BOB_KEY, 0, 20),
        ]
        source.authority.produce(self.transactions, START + 5)
        self.block = source.blocks()[-1]

    def take(self, block: Block) -> list[Dropped]:
        """Import a block into the copy and let its mempool follow."""
        executed = import_block(self.copy.chain, self.copy.record, block, self.copy.decode_all)
        return self.copy.follow([executed])

    def sealed(self, header: Header, raws: Sequence[bytes]) -> Block:
        """A block with whatever is in it and the authority's seal."""
        digest = self.source.signing
        return Block(header, tuple(raws), signing.sign_seal(AUTHORITY_KEY, digest, header.hash()))

    def of(self, transactions: Sequence[AnyTransaction | bytes]) -> Block:
        """The fourth block with other transactions, its txRoot and count to fit."""
        raws = [found if isinstance(found, bytes) else found.raw for found in transactions]
        header = replace(self.block.header, tx_root=merkle_root(raws), tx_count=len(raws))
        return self.sealed(header, raws)

    def refuse(self, block: Block, reason: str) -> None:
        """The copy refuses the block for this reason and nothing moves; then it takes the right one."""
        copy = self.copy
        before = copy.disk.contents(), copy.chain.tip, copy.chain._tree.root, copy.file.last
        with pytest.raises(InvalidBlock) as caught:
            self.take(block)
        assert caught.value.reason == reason
        assert (copy.disk.contents(), copy.chain.tip, copy.chain._tree.root, copy.file.last) == before
        self.take(self.block)
        assert copy.disk.contents() == self.source.disk.contents()


@pytest.fixture
def pair() -> Pair:
    return Pair()


OTHER_HASH = keccak256(b"another")
WRONG_HEADERS: list[tuple[str, dict[str, Any]]] = [
    ("WRONG_CHAIN_ID", {"chain_id": 0x5008}),
    ("WRONG_HEIGHT", {"height": 3}),
    ("WRONG_HEIGHT", {"height": 5}),
    ("WRONG_HEIGHT", {"height": (1 << 64) - 1}),
    ("WRONG_PARENT", {"parent_hash": OTHER_HASH}),
    ("WRONG_AUTHORITY", {"authority": ALICE}),
    ("WRONG_TX_COUNT", {"tx_count": 3}),
    ("WRONG_TX_COUNT", {"tx_count": 5}),
    ("WRONG_TX_ROOT", {"tx_root": OTHER_HASH}),
    ("WRONG_HISTORY_ROOT", {"history_root": OTHER_HASH}),
    ("WRONG_TIMESTAMP", {"timestamp": START - 1}),
    ("WRONG_RECEIPTS_ROOT", {"receipts_root": OTHER_HASH}),
    ("WRONG_STATE_ROOT", {"state_root": OTHER_HASH}),
]


@pytest.mark.parametrize(("reason", "changes"), WRONG_HEADERS, ids=lambda value: str(value)[:30])
def test_a_wrong_header_is_refused(pair: Pair, reason: str, changes: dict[str, Any]) -> None:
    header = replace(pair.block.header, **changes)
    pair.refuse(pair.sealed(header, pair.block.transactions), reason)


def test_the_first_wrong_thing_is_named(pair: Pair) -> None:
    """All of them at once, then all but the first, and so on: in the order of the checks."""
    order = ["chain_id", "height", "parent_hash", "authority", "tx_count", "tx_root", "history_root", "timestamp"]
    order += ["receipts_root", "state_root"]
    wrong = {name: (reason, changes[name]) for reason, changes in WRONG_HEADERS for name in changes}
    for at, name in enumerate(order):
        header = replace(pair.block.header, **{other: wrong[other][1] for other in order[at:]})
        with pytest.raises(InvalidBlock) as caught:
            pair.take(pair.sealed(header, pair.block.transactions))
        assert caught.value.reason == wrong[name][0]


def test_the_parents_time_is_late_enough(pair: Pair) -> None:
    header = replace(pair.block.header, timestamp=START)
    pair.take(pair.sealed(header, pair.block.transactions))
    assert pair.copy.height == 4


def test_a_wrong_seal_is_refused(pair: Pair) -> None:
    block = pair.block
    assert block.seal is not None
    digest = signing_digest(pair.source.signing.separator, SEAL_TYPE, block.header.hash())
    stranger = World(extra="0x" + "01" * 32).signing
    seals = [
        None,
        b"",
        bytes(65),
        block.seal[:-1],
        block.seal + b"\x00",
        block.seal[:64] + bytes([block.seal[64] - 27]),
        signing.with_high_s(block.seal),
        bytes([block.seal[0] ^ 1]) + block.seal[1:],
        signing.sign(ALICE_KEY, digest),
        signing.sign(AUTHORITY_KEY, block.header.hash()),
        signing.sign_seal(AUTHORITY_KEY, stranger, block.header.hash()),
        signing.sign_seal(AUTHORITY_KEY, pair.source.signing, block.header.parent_hash),
        pair.source.blocks()[2].seal,
    ]
    for seal in seals:
        with pytest.raises(InvalidBlock) as caught:
            pair.take(Block(block.header, block.transactions, seal))
        assert caught.value.reason == "WRONG_SEAL"
    pair.refuse(Block(block.header, block.transactions, None), "WRONG_SEAL")


def test_another_valid_seal_of_the_same_block_is_a_seal(pair: Pair) -> None:
    """Identity is the hash of the header; the seal is not part of it."""
    digest = signing_digest(pair.source.signing.separator, SEAL_TYPE, pair.block.header.hash())
    pair.take(Block(pair.block.header, pair.block.transactions, signing.sign_with_nonce(AUTHORITY_KEY, digest, 5)))
    assert pair.copy.chain.tip.hash == pair.source.chain.tip.hash


def test_a_chain_of_another_genesis_is_refused(pair: Pair) -> None:
    stranger = World(extra="0x" + "01" * 32)
    stranger.mine_empty(4)
    pair.refuse(stranger.blocks()[3], "WRONG_SEAL")


def test_no_block_is_taken_twice_or_out_of_turn(pair: Pair) -> None:
    for block in pair.source.blocks()[:3]:
        pair.refuse(block, "WRONG_HEIGHT")
        pair = Pair()
    pair.source.mine_empty(1)
    with pytest.raises(InvalidBlock) as caught:
        pair.take(pair.source.blocks()[4])
    assert caught.value.reason == "WRONG_HEIGHT"


def test_transactions_in_another_order_are_another_block(pair: Pair) -> None:
    raws = list(pair.block.transactions)
    pair.refuse(Block(pair.block.header, (raws[0], raws[1], raws[3], raws[2]), pair.block.seal), "WRONG_TX_ROOT")


def test_two_independent_transactions_in_another_order_have_other_receipts(pair: Pair) -> None:
    first, second, third, fourth = pair.transactions
    pair.refuse(pair.of([first, second, fourth, third]), "WRONG_RECEIPTS_ROOT")


def test_a_rule_that_is_broken_is_refused(pair: Pair) -> None:
    source, (first, second, third, fourth) = pair.source, pair.transactions
    pool = third.fields.cptx_hash
    broken: list[list[AnyTransaction | bytes]] = [
        [second, first, third, fourth],
        [first, first, third, fourth],
        [first, third, third, fourth],
        [first, second, third, source.transfer(CAROL_KEY, 0)],
        [first, second, third, source.transfer(BOB_KEY, 0, 9)],
        [first, second, third, source.pay(DAVE_KEY, pool, 100, creator=BOB_KEY)],
        [first, second, third, source.transfer(ALICE_KEY, 0)],
        [first, second, third, source.create(1, duration=5)],
        [first, second, third, fourth.raw[:-1]],
        [first, second, third, fourth.raw + b"\x00"],
        [first, second, third, b""],
        [first, second, third, fourth.raw[:-65] + bytes(65)],
        [first, second, third, fourth.raw[:-65] + signing.with_high_s(fourth.raw[-65:])],
    ]
    for transactions in broken:
        with pytest.raises(InvalidBlock) as caught:
            pair.take(pair.of(transactions))
        assert caught.value.reason == "INVALID_TRANSACTION"
    pair.refuse(pair.of(broken[0]), "INVALID_TRANSACTION")


def test_a_settlement_of_a_pool_that_ends_with_the_block_is_refused() -> None:
    pair = Pair()
    pair.take(pair.block)
    for world in (pair.source, pair.copy):
        world.mine_empty(1)
    late = pair.source.pay(DAVE_KEY, pair.transactions[2].fields.cptx_hash, 10)
    empty = pair.source.chain.build(pair.source.chain.tip, (), START + 5).executed.block
    header = replace(empty.header, tx_root=merkle_root([late.raw]), tx_count=1)
    with pytest.raises(InvalidBlock, match="POOL_EXPIRED") as caught:
        pair.take(pair.sealed(header, [late.raw]))
    assert caught.value.reason == "INVALID_TRANSACTION"


@pytest.mark.parametrize("limit", ["maxBlockTransactions", "maxBlockBytes"])
def test_a_block_may_be_full_and_no_more(limit: str) -> None:
    body = 3 * 194 + 291
    exact = {"maxBlockTransactions": 4, "maxBlockBytes": body}[limit]
    Pair(**{limit: hex(exact)}).take(Pair(**{limit: hex(exact)}).block)
    pair = Pair(**{limit: hex(exact)})
    larger = [*pair.transactions, pair.source.transfer(DAVE_KEY, 0)]
    pair.refuse(pair.of(larger), "BLOCK_TOO_LARGE")


@pytest.mark.parametrize("seed", range(2))
def test_a_chain_exported_and_imported_gives_the_same_database(seed: int) -> None:
    """Every entry: blocks, receipts, records, pages, history, undo, pools by expiry, creator, resource and target."""
    source = busy_world(seed, 140)
    copy = World(alloc=source.genesis.to_json()["alloc"])
    for encoded in [block.encode() for block in source.blocks()]:
        import_block(copy.chain, copy.record, Block.decode(encoded), copy.decode_all)
    assert copy.disk.contents() == source.disk.contents()
    assert copy.file.last is not None
    assert copy.file.last.height == copy.height
    assert {chr(key[0]) for key in copy.disk.contents()} == set("MBKREHXNSQPDLCGTUV")


def test_every_cut_or_grown_encoding_of_a_block_is_malformed(pair: Pair) -> None:
    encoded = pair.block.encode()
    assert Block.decode(encoded) == pair.block
    for at in range(len(encoded)):
        with pytest.raises(MalformedBlock):
            Block.decode(encoded[:at])
    with pytest.raises(MalformedBlock):
        Block.decode(encoded + b"\x00")


def test_an_imported_block_reaches_the_mempool(pair: Pair) -> None:
    copy = pair.copy
    copy.add(*pair.transactions[:2], copy.transfer(BOB_KEY, 0, to=BOB))
    assert [drop.refusal.reason for drop in pair.take(pair.block)] == ["BAD_NONCE"]
    assert len(copy.mempool) == 0

"""The block level: expiries, limits, purity, and what a block made elsewhere must state."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from crypto.merkle import EMPTY_ROOT, root
from ledger.errors import InvalidBlock, Refusal
from ledger.header import Header
from ledger.receipt import Outcome
from ledger.records import PoolStatus, account_key, pool_key
from ledger.transition import BlockExecution, BlockResult, apply_block
from tests.model import signing
from tests.model.small_chain import ALICE, ALICE_KEY, AUTHORITY, BOB, BOB_KEY, CAROL_KEY, DAVE_KEY
from tests.workbench import Records, Workbench, make_genesis

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.transaction import AnyTransaction

ROOT = Path(__file__).resolve().parents[3]


def pools_of(bench: Workbench, durations: list[int]) -> list[tuple[int, bytes]]:
    """Pools of Alice's with these durations, as (expiresAt, id)."""
    made = [bench.new_pool(10, 20, duration) for duration in durations]
    return [(bench.pool(name).expires_at, name) for name in made]


# Expiry


def test_due_pools_are_closed_and_paid_back(bench: Workbench) -> None:
    early, late = bench.new_pool(duration=5), bench.new_pool(duration=6)
    bench.accept(bench.payment(BOB_KEY, early, 300))
    assert bench.next_block(height=5) == []
    assert bench.next_block(height=6) == [early]
    assert bench.pool(early).status is PoolStatus.EXPIRED
    assert (bench.pool(early).remaining, bench.pool(early).collateral) == (700, 1500)
    assert bench.pool(late).status is PoolStatus.OPEN
    assert bench.balance(ALICE) == 1_000_000 - 2 * 2510 + 700 + 1500
    assert set(bench.result().changes) == {pool_key(early), account_key(ALICE)}
    assert bench.next_block() == [late]
    assert bench.balance(ALICE) == 1_000_000 - 20 - 300


def test_order_is_by_height_then_by_id() -> None:
    bench = Workbench(maxExpiriesPerBlock="0x64")
    pools = pools_of(bench, [9, 3, 5, 3, 9, 3, 5, 2])
    assert bench.next_block(height=50) == [name for _, name in sorted(pools)]


def test_limit_carries_the_rest_over(bench: Workbench) -> None:
    names = [name for _, name in sorted(pools_of(bench, [5, 5, 5, 4, 6]))]
    assert bench.next_block(height=10) == names[:2]
    assert bench.next_block() == names[2:4]
    assert bench.next_block() == names[4:]
    assert bench.next_block() == []
    assert bench.balance(ALICE) == 1_000_000 - 5 * 10


def test_waiting_pools_come_before_those_that_became_due_later(bench: Workbench) -> None:
    first = sorted(pools_of(bench, [5, 5, 5]))
    second = sorted(pools_of(bench, [6]))
    assert bench.next_block(height=6) == [name for _, name in first[:2]]
    assert bench.next_block() == [first[2][1], second[0][1]]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_exactly_as_many_as_the_limit(limit: int) -> None:
    bench = Workbench(maxExpiriesPerBlock=hex(limit))
    names = [name for _, name in sorted(pools_of(bench, [5] * 3))]
    assert bench.next_block(height=6) == names[:limit]


def test_money_of_an_expired_pool_can_be_spent_in_the_same_block() -> None:
    bench = Workbench()
    bench.accept(bench.create(2000, 2990, 5, key=BOB_KEY))
    assert bench.balance(BOB) == 0
    bench.next_block(height=6)
    bench.accept(bench.transfer(BOB_KEY, ALICE, 4980))
    assert bench.balance(BOB) == 0


def test_slashed_pool_is_never_due(bench: Workbench) -> None:
    slashed, other = bench.new_pool(duration=5), bench.new_pool(duration=5)
    bench.accept(bench.payment(BOB_KEY, slashed, 1001))
    assert bench.next_block(height=6) == [other]
    assert bench.next_block() == []


class WrongIndex(Records):
    """A reader whose index names a pool that must not be there."""

    due: bytes = b""

    def due_pools(self, height: int, limit: int) -> list[bytes]:  # noqa: ARG002
        return [self.due]


@pytest.mark.parametrize("case", ["unknown", "expired", "slashed"])
def test_broken_index_stops_the_block(bench: Workbench, case: str) -> None:
    pool = bench.new_pool(duration=5)
    if case == "slashed":
        bench.accept(bench.payment(BOB_KEY, pool, 1001))
    bench.next_block(height=6)
    broken = WrongIndex(bench.now().all)
    broken.due = b"\x44" * 32 if case == "unknown" else pool
    with pytest.raises(InvalidBlock) as caught:
        BlockExecution(broken, 7, bench.genesis)
    assert caught.value.reason == "BROKEN_INDEX"


# Limits of a block


def test_max_block_transactions() -> None:
    bench = Workbench(maxBlockTransactions="0x3")
    for _ in range(3):
        assert bench.execution.has_room(bench.decode(bench.transfer(ALICE_KEY, BOB, 1)))
        bench.accept(bench.transfer(ALICE_KEY, BOB, 1))
    assert not bench.execution.has_room(bench.decode(bench.transfer(ALICE_KEY, BOB, 1)))
    bench.refuse(bench.transfer(ALICE_KEY, BOB, 1), "LIMIT")
    bench.next_block()
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (1, True), (-1, False)])
def test_max_block_bytes(spare: int, fits: bool) -> None:
    bench = Workbench(maxBlockBytes=hex(194 + 258 + 291 + spare))
    pool = bench.new_pool()
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))
    last = bench.payment(CAROL_KEY, pool, 100)
    assert bench.execution.has_room(bench.decode(last)) is fits
    if fits:
        bench.accept(last)
        bench.refuse(bench.transfer(ALICE_KEY, BOB, 1), "LIMIT")
    else:
        bench.refuse(last, "LIMIT")


def test_smaller_transaction_may_still_fit() -> None:
    bench = Workbench(maxBlockBytes=hex(258 + 194))
    bench.new_pool()
    bench.refuse(bench.create(), "LIMIT")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))


@pytest.mark.parametrize(("fee", "accepted"), [(9, False), (10, True)])
def test_stated_fee_is_at_least_the_minimum(bench: Workbench, fee: int, accepted: bool) -> None:
    raw = bench.transfer(ALICE_KEY, BOB, 1, fee=fee)
    if accepted:
        bench.accept(raw)
    else:
        bench.refuse(raw, "FEE_TOO_LOW")


def test_refused_transaction_takes_no_room() -> None:
    bench = Workbench(maxBlockTransactions="0x1", maxBlockBytes=hex(194))
    for _ in range(3):
        bench.refuse(bench.transfer(ALICE_KEY, BOB, 0), "ZERO_AMOUNT")
    bench.accept(bench.transfer(ALICE_KEY, BOB, 1))


# Purity


class Watched(Records):
    """A reader that keeps what was asked; it has nothing that could be written."""

    def __init__(self, records: Mapping[bytes, bytes]) -> None:
        super().__init__(records)
        self.asked: set[bytes] = set()

    def get(self, key: bytes) -> bytes | None:
        self.asked.add(key)
        return super().get(key)


def busy_block(bench: Workbench) -> list[AnyTransaction]:
    """Transactions of every outcome for the block after a pool has been created; the first pool is due in it."""
    due, kept = bench.new_pool(duration=2), bench.new_pool()
    bench.next_block(height=2)
    raws = [
        bench.transfer(BOB_KEY, ALICE, 17),
        bench.create(),
        bench.payment(CAROL_KEY, kept, 500),
        bench.payment(DAVE_KEY, kept, 501),
        bench.payment(DAVE_KEY, due, 1),
    ]
    bench.next_block()
    return [bench.decode(raw) for raw in raws]


def executed(parent: Records, bench: Workbench, transactions: list[AnyTransaction]) -> tuple[BlockResult, list[str]]:
    execution, refused = BlockExecution(parent, bench.height, bench.genesis), []
    for transaction in transactions:
        try:
            execution.apply(transaction)
        except Refusal as refusal:
            refused.append(refusal.reason)
    return execution.finish(), refused


def test_parent_is_only_read_and_the_same_comes_out_again(bench: Workbench) -> None:
    transactions = busy_block(bench)
    parent = Watched(bench.records.all)
    before = dict(parent.all)
    result, refused = executed(parent, bench, transactions)
    assert refused == ["POOL_EXPIRED"]
    assert [receipt.outcome for receipt in result.receipts] == list(Outcome)
    assert len(result.expired) == 1
    assert dict(parent.all) == before
    assert executed(parent, bench, transactions) == (result, refused)
    assert set(result.changes) <= set(result.before) <= parent.asked
    assert all(result.before[key] == parent.get(key) for key in result.before)
    assert all(record != parent.get(key) for key, record in result.changes.items())


def test_finish_may_be_asked_at_any_time(bench: Workbench) -> None:
    transactions = busy_block(bench)
    whole, _ = executed(bench.records, bench, transactions)
    execution = BlockExecution(bench.records, bench.height, bench.genesis)
    assert execution.finish().receipts == ()
    assert execution.finish().expired == whole.expired
    for transaction in transactions[:-1]:
        execution.apply(transaction)
        execution.finish()
    assert execution.finish() == whole


def test_empty_block_changes_nothing(bench: Workbench) -> None:
    bench.new_pool()
    bench.next_block()
    assert bench.result() == BlockResult((), (), {}, {})
    assert bench.result().receipts_root() == EMPTY_ROOT


def test_receipts_root_is_over_the_receipts_in_order(bench: Workbench) -> None:
    result, _ = executed(bench.records, bench, busy_block(bench)[:0])
    assert result.receipts_root() == EMPTY_ROOT
    transactions = busy_block(bench)
    result, _ = executed(bench.records, bench, transactions)
    assert result.receipts_root() == root([receipt.encode() for receipt in result.receipts])


def scenario_line() -> str:
    """All that a busy block comes to, for a comparison between processes."""
    bench = Workbench()
    transactions = busy_block(bench)
    result, refused = executed(bench.records, bench, transactions)
    after = bench.records.after(result.changes).root().hex()
    order = b"".join(result.changes).hex() + b"".join(result.expired).hex()
    return " ".join((after, result.receipts_root().hex(), order, *refused))


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_result_does_not_depend_on_the_hash_seed(hash_seed: str) -> None:
    program = "from tests.unit.ledger.test_transition import scenario_line; print(scenario_line())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == scenario_line()


# Blocks made elsewhere


def block_of(bench: Workbench, transactions: list[AnyTransaction]) -> Header:
    """The header that states what these transactions come to, as far as execution determines it."""
    result, _ = executed(bench.records, bench, transactions)
    return replace(
        bench.genesis.header(bench.records.after(result.changes).root()),
        height=bench.height,
        receipts_root=result.receipts_root(),
    )


def import_block(bench: Workbench, header: Header, transactions: list[AnyTransaction]) -> BlockResult:
    return apply_block(
        bench.records, header, transactions, bench.genesis, lambda changes: bench.records.after(changes).root()
    )


def test_right_block_is_applied(bench: Workbench) -> None:
    transactions = busy_block(bench)[:4]
    header = block_of(bench, transactions)
    result = import_block(bench, header, transactions)
    assert result == executed(bench.records, bench, transactions)[0]
    assert bench.records.after(result.changes).root() == header.state_root


@pytest.mark.parametrize(
    ("member", "reason"), [("receipts_root", "WRONG_RECEIPTS_ROOT"), ("state_root", "WRONG_STATE_ROOT")]
)
def test_wrong_root_is_refused(bench: Workbench, member: str, reason: str) -> None:
    transactions = busy_block(bench)[:4]
    right: dict[str, Any] = {member: getattr(block_of(bench, transactions), member)}
    flipped = bytes([right[member][0] ^ 1]) + right[member][1:]
    for wrong in (bytes(32), EMPTY_ROOT, flipped, bench.records.root()):
        stated: dict[str, Any] = {member: wrong}
        with pytest.raises(InvalidBlock) as caught:
            import_block(bench, replace(block_of(bench, transactions), **stated), transactions)
        assert caught.value.reason == reason


def test_state_root_is_asked_for_the_changes_and_only_when_receipts_agree(bench: Workbench) -> None:
    transactions = busy_block(bench)[:4]
    header = replace(block_of(bench, transactions), receipts_root=bytes(32))
    asked: list[Mapping[bytes, bytes | None]] = []

    def state_root(changes: Mapping[bytes, bytes | None]) -> bytes:
        asked.append(changes)
        return header.state_root

    with pytest.raises(InvalidBlock):
        apply_block(bench.records, header, transactions, bench.genesis, state_root)
    assert asked == []


@pytest.mark.parametrize("place", [0, 2, 4])
def test_one_invalid_transaction_refuses_the_block(bench: Workbench, place: int) -> None:
    transactions = busy_block(bench)
    header = block_of(bench, transactions)
    order = [*transactions[:4][:place], transactions[4], *transactions[:4][place:]]
    before = bench.records.root()
    with pytest.raises(InvalidBlock) as caught:
        import_block(bench, header, order)
    assert caught.value.reason == "INVALID_TRANSACTION"
    assert f"transaction {place}: POOL_EXPIRED" in caught.value.detail
    assert bench.records.root() == before


def test_order_of_transactions_matters(bench: Workbench) -> None:
    transactions = busy_block(bench)[:4]
    with pytest.raises(InvalidBlock):
        import_block(bench, block_of(bench, transactions), [transactions[3], *transactions[:3]])


def test_transaction_twice_in_a_block(bench: Workbench) -> None:
    transactions = busy_block(bench)[:4]
    for twice in transactions:
        with pytest.raises(InvalidBlock) as caught:
            import_block(bench, block_of(bench, transactions), [*transactions, twice])
        assert caught.value.reason == "INVALID_TRANSACTION"


def test_block_over_a_limit_is_refused() -> None:
    bench = Workbench(maxBlockTransactions="0x2")
    transactions = [bench.decode(bench.transfer(ALICE_KEY, BOB, 1, nonce=nonce)) for nonce in range(3)]
    header = block_of(bench, transactions)
    with pytest.raises(InvalidBlock) as caught:
        import_block(bench, header, transactions)
    assert "transaction 2: LIMIT" in caught.value.detail
    assert import_block(bench, header, transactions[:2]).receipts


def test_expiries_of_the_block_are_in_its_state_root(bench: Workbench) -> None:
    bench.new_pool(duration=2)
    bench.next_block(height=3)
    header = block_of(bench, [])
    assert header.state_root != bench.records.root()
    assert len(import_block(bench, header, []).expired) == 1
    with pytest.raises(InvalidBlock) as caught:
        import_block(bench, replace(header, state_root=bench.records.root()), [])
    assert caught.value.reason == "WRONG_STATE_ROOT"


def test_domain_of_the_helpers_is_the_chains() -> None:
    bench = Workbench()
    raw = bench.transfer(ALICE_KEY, AUTHORITY, 1)
    assert bench.decode(raw).sender == signing.address_of(ALICE_KEY)
    assert make_genesis() == bench.genesis

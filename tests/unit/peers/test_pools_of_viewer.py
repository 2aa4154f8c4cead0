"""The pools that a viewer makes and finds again: real ledgers on a real disk, on a chain that obeys the test."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from crypto.eip712 import Domain
from ledger.records import PoolStatus
from peers.node_rpc import NodeAway, NodeRefused
from peers.payer_ledger import LedgerRefused
from peers.pools_of_viewer import MARGIN_BLOCKS, PoolTerms, ViewerPools

from .market import FEE, VIEWER, ToyChain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from peers.purse import Purse

RESOURCE, OTHER = b"\x0a" * 32, b"\x0b" * 32
DEPOSIT, PRICE, DURATION = 100_000, 100, 1000
TERMS = PoolTerms(DEPOSIT, DURATION)


class Chain(ToyChain):
    """Its submissions may fail, before or after the pool is there."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.submitted: list[bytes] = []

    async def submit(self, raw: bytes) -> dict[str, Any]:
        self.submitted.append(raw)
        self.before()
        found = await super().submit(raw)
        self.after()
        return found


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def pools(chain: Chain, tmp_path: Path) -> ViewerPools:
    return ViewerPools(tmp_path, chain, VIEWER)


def create(pools: ViewerPools, terms: PoolTerms = TERMS, resource: bytes = RESOURCE) -> Purse:
    return asyncio.run(pools.create(resource, terms, PRICE))


def find(pools: ViewerPools, missing: int = 10, resource: bytes = RESOURCE) -> Purse | None:
    return asyncio.run(pools.find(resource, PRICE, missing))


def closed(purse: Purse | None) -> bytes:
    assert purse is not None
    purse.ledger.close()
    return purse.cptx_hash


def raise_(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


# Made


def test_a_pool_is_made_with_the_defaults_of_the_protocol(pools: ViewerPools, chain: Chain) -> None:
    purse = create(pools)
    pool = chain.pools[purse.cptx_hash]
    assert (pool.creator, pool.resource_id, pool.deposit) == (VIEWER.address, RESOURCE, DEPOSIT)
    assert pool.collateral == DEPOSIT + 1 + chain.parameters.reward + 10 * FEE
    assert pool.expires_at - pool.created_at == DURATION
    assert (purse.deposit, purse.ledger.left) == (DEPOSIT, DEPOSIT)
    closed(purse)


def test_what_is_asked_for_takes_the_place_of_a_default(pools: ViewerPools, chain: Chain) -> None:
    purse = create(pools, PoolTerms(DEPOSIT, DURATION, collateral=10 * DEPOSIT, fee=3 * FEE))
    assert chain.pools[purse.cptx_hash].collateral == 10 * DEPOSIT
    closed(purse)


def test_what_was_signed_and_its_ledger_are_on_disk_before_it_is_submitted(
    pools: ViewerPools, chain: Chain, tmp_path: Path
) -> None:
    seen: list[str] = []
    chain.before = lambda: seen.extend(path.suffix for path in tmp_path.rglob("0x*.*") if path.stat().st_size)
    closed(create(pools))
    assert sorted(seen) == [".json", ".ledger"]
    (kept,) = tmp_path.rglob("*.json")
    assert json.loads(kept.read_text())["raw"] == f"0x{chain.submitted[0].hex()}"


def test_nothing_is_left_of_a_pool_that_the_chain_refused(pools: ViewerPools, chain: Chain, tmp_path: Path) -> None:
    """Else a later and smaller wish would submit the large one again, once there is money for it."""
    chain.before = raise_(NodeRefused({"data": {"reason": "INSUFFICIENT_BALANCE"}}))
    with pytest.raises(NodeRefused):
        create(pools)
    chain.before = lambda: None
    assert [*tmp_path.rglob("0x*.*")] == []
    assert find(pools) is None
    assert len(chain.submitted) == 1


@pytest.mark.parametrize("error", [NodeRefused({"data": {"reason": "STORAGE_FAILED"}}), NodeAway("gone")])
def test_a_pool_that_was_not_made_leaves_no_lock(pools: ViewerPools, chain: Chain, error: Exception) -> None:
    chain.before = raise_(error)
    with pytest.raises(type(error)):
        create(pools)
    chain.before = lambda: None
    # The same CreatePool, whose fate is unknown, is submitted again instead of another.
    found = closed(find(pools))
    assert chain.submitted == [chain.submitted[0]] * 2
    assert [*chain.pools] == [found]


def test_two_processes_do_not_make_the_same_pool(pools: ViewerPools, chain: Chain, tmp_path: Path) -> None:
    first = create(pools)
    chain.pools.clear()  # the nonce is the same again
    with pytest.raises(LedgerRefused, match="another process"):
        create(ViewerPools(tmp_path, chain, VIEWER))
    closed(first)


def test_little_is_reserved_ahead_of_a_small_deposit(pools: ViewerPools) -> None:
    purse = create(pools, PoolTerms(640, DURATION))
    purse.pay(b"\x01" * 20, 100, 1)
    assert purse.ledger.promised == 100 + 640 // 64
    closed(purse)


# Found again


def test_an_open_pool_for_the_resource_is_found_after_a_restart(chain: Chain, tmp_path: Path) -> None:
    made = create(ViewerPools(tmp_path, chain, VIEWER))
    made.pay(b"\x01" * 20, 1000, 1)
    made.ledger.close()
    found = find(ViewerPools(tmp_path, chain, VIEWER))
    assert found is not None
    assert (found.cptx_hash, found.ledger.promised) == (made.cptx_hash, 1000)
    closed(found)


def test_a_pool_that_another_process_pays_from_is_passed_over(pools: ViewerPools) -> None:
    first = create(pools)
    assert find(pools) is None
    first.ledger.close()
    assert closed(find(pools)) == first.cptx_hash


@pytest.mark.parametrize(
    "change",
    [
        {"status": PoolStatus.EXPIRED},
        {"status": PoolStatus.SLASHED},
        {"creator": b"\x07" * 20},
        {"resource_id": OTHER},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_pool_that_no_cacher_would_take_is_passed_over(
    pools: ViewerPools, chain: Chain, change: dict[str, Any]
) -> None:
    name = closed(create(pools))
    chain.pools[name] = replace(chain.pools[name], **change)
    assert find(pools) is None


def test_a_pool_that_expires_soon_is_passed_over(pools: ViewerPools, chain: Chain) -> None:
    name = closed(create(pools))
    chain.height = 1 + DURATION - MARGIN_BLOCKS - 1
    assert closed(find(pools)) == name
    chain.height += 1
    assert find(pools) is None


def test_a_short_pool_is_used_for_its_first_half(pools: ViewerPools, chain: Chain) -> None:
    name = closed(create(pools, PoolTerms(DEPOSIT, 20)))
    chain.height = 10
    assert closed(find(pools)) == name
    chain.height = 11
    assert find(pools) is None


def test_a_pool_is_found_while_it_pays_for_most_of_what_is_missing(pools: ViewerPools) -> None:
    name = closed(create(pools))
    enough = DEPOSIT // PRICE
    assert closed(find(pools, enough * 4 // 3)) == name
    assert find(pools, enough * 4 // 3 + 1) is None
    assert find(pools, resource=OTHER) is None


def test_the_newest_of_several_is_taken(pools: ViewerPools, tmp_path: Path) -> None:
    names = [closed(create(pools)) for _ in range(2)]
    for age, name in enumerate(names):
        (path,) = tmp_path.rglob(f"0x{name.hex()}.json")
        os.utime(path, (1000 - age, 1000 - age))
    assert closed(find(pools)) == names[0]


def test_without_its_ledger_a_pool_is_never_paid_from(pools: ViewerPools, tmp_path: Path) -> None:
    """Nobody knows what was promised: paying from it could cost the collateral."""
    closed(create(pools))
    (ledger,) = tmp_path.rglob("*.ledger")
    ledger.unlink()
    assert find(pools) is None


def test_a_damaged_ledger_is_told_and_not_begun_anew(pools: ViewerPools, tmp_path: Path) -> None:
    purse = create(pools)
    purse.pay(b"\x01" * 20, 1000, 1)
    closed(purse)
    (ledger,) = tmp_path.rglob("*.ledger")
    ledger.write_bytes(ledger.read_bytes().replace(b" 1000 ", b" 1001 "))
    with pytest.raises(LedgerRefused, match="damaged"):
        find(pools)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '{"resourceId": 1, "creator": 2}'])
def test_notes_that_cannot_be_read_are_left_out(pools: ViewerPools, tmp_path: Path, text: str) -> None:
    name = closed(create(pools))
    (kept,) = tmp_path.rglob("*.json")
    kept.with_name("0x00.json").write_text(text)
    kept.with_name("0x00.ledger").write_text("")
    assert closed(find(pools)) == name


def test_a_create_pool_that_the_chain_refuses_for_good_is_given_up(pools: ViewerPools, chain: Chain) -> None:
    name = closed(create(pools))
    del chain.pools[name]
    chain.before = raise_(NodeRefused({"data": {"reason": "BAD_NONCE"}}))
    assert find(pools) is None


def test_pools_of_another_chain_are_apart(chain: Chain, tmp_path: Path) -> None:
    closed(create(ViewerPools(tmp_path, chain, VIEWER)))
    chain.domain = Domain.of(20487, b"\x05" * 32)
    assert find(ViewerPools(tmp_path, chain, VIEWER)) is None

"""Pools, what their targets have had, and lists of pools."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest

from crypto.address import checksum_address
from rpc.limits import Limits
from rpc.methods import pools as pools_module
from tests.model.small_chain import ALICE, BOB, BOB_KEY, CAROL, CAROL_KEY, DAVE, RESOURCE
from tests.node_bench import NodeBench, text

NO_POOL = "0x" + 32 * "00"
OTHER = bytes(31) + b"\x01"


def test_a_pool_through_its_life(bench: NodeBench) -> None:
    pool = bench.new_pool(1000, 1500, 10)
    fresh = {
        "cptxHash": pool,
        "creator": checksum_address(ALICE),
        "resourceId": text(RESOURCE),
        "deposit": hex(1000),
        "collateral": hex(1500),
        "spent": "0x0",
        "remaining": hex(1000),
        "createdAt": "0x1",
        "expiresAt": "0xb",
        "status": "open",
    }
    assert bench.call("pool_get", pool) == fresh
    bench.commit(bench.payment(BOB_KEY, pool, 300))
    assert bench.call("pool_get", cptxHash=pool) == {**fresh, "spent": hex(300), "remaining": hex(700)}
    bench.mine(9)
    assert bench.call("pool_get", pool) == {**fresh, "spent": hex(300), "remaining": hex(700), "status": "expired"}


def test_a_slashed_pool(bench: NodeBench) -> None:
    pool = bench.new_pool(1000, 1500, 10)
    bench.commit(bench.payment(BOB_KEY, pool, 1001))
    found = bench.call("pool_get", pool)
    assert (found["status"], found["remaining"], found["collateral"]) == ("slashed", "0x0", hex(1500))


def test_what_a_target_has_had(bench: NodeBench) -> None:
    pool = bench.new_pool()
    none = {"cptxHash": pool, "target": checksum_address(BOB), "seq": "0x0", "paid": "0x0"}
    assert bench.call("pool_getTarget", pool, text(BOB)) == none
    bench.commit(bench.payment(BOB_KEY, pool, 300))
    assert bench.call("pool_getTarget", pool, text(BOB)) == {**none, "seq": "0x1", "paid": hex(300)}


def test_an_unknown_pool_of_a_query_is_not_a_refused_transaction(bench: NodeBench) -> None:
    bench.refuse("POOL_UNKNOWN", -32001, "pool_get", NO_POOL)
    bench.refuse("POOL_UNKNOWN", -32001, "pool_getTarget", NO_POOL, text(BOB))
    bench.refuse("POOL_UNKNOWN", -32003, "tx_submit", text(bench.payment(BOB_KEY, NO_POOL, 1)))


class Market:
    """Four pools: of Alice and Bob, for two resources; one is expired, one settled from, one slashed."""

    def __init__(self, bench: NodeBench) -> None:
        self.bench = bench
        first = bench.create(nonce=0, duration=2)
        second = bench.create(nonce=1, resource=OTHER)
        self.pools = bench.commit(first, second)
        self.pools.append(bench.new_pool(key=BOB_KEY, deposit=10, collateral=30))
        self.pools.append(bench.new_pool())
        bench.commit(bench.payment(CAROL_KEY, self.pools[1], 100), bench.payment(BOB_KEY, self.pools[3], 1001))

    def listed(self, **wanted: Any) -> list[int]:
        """The numbers of the pools on all pages, in their order."""
        return [number for page in self.pages(**wanted) for number in page]

    def pages(self, **wanted: Any) -> list[list[int]]:
        pages, cursor = [], None
        while True:
            answer = self.bench.call("pool_list", **wanted, cursor=cursor)
            assert all(self.bench.call("pool_get", pool["cptxHash"]) == pool for pool in answer["pools"])
            pages.append([self.pools.index(pool["cptxHash"]) for pool in answer["pools"]])
            cursor = answer["cursor"]
            if cursor is None:
                return pages


@pytest.fixture
def market(bench: NodeBench) -> Market:
    return Market(bench)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"creator": text(ALICE)}, [0, 1, 3]),
        ({"creator": text(BOB)}, [2]),
        ({"creator": text(DAVE)}, []),
        ({"target": text(CAROL)}, [1]),
        ({"target": text(BOB)}, [3]),
        ({"target": text(BOB), "resourceId": text(OTHER)}, []),
        ({"creator": text(ALICE), "target": text(CAROL)}, [1]),
        ({"creator": text(BOB), "target": text(CAROL)}, []),
        ({"resourceId": text(RESOURCE)}, [0, 2, 3]),
        ({"resourceId": text(OTHER), "creator": text(ALICE)}, [1]),
        ({"status": "open"}, [1, 2]),
        ({"status": "expired"}, [0]),
        ({"status": "slashed", "resourceId": text(RESOURCE), "target": text(BOB), "creator": text(ALICE)}, [3]),
        ({"creator": None, "target": None, "resourceId": None, "status": None, "limit": None}, [0, 1, 2, 3]),
    ],
)
def test_pools_are_filtered_and_in_the_order_of_their_creation(
    market: Market, wanted: dict[str, Any], expected: list[int]
) -> None:
    assert market.listed(**wanted) == expected
    assert market.listed(**{**wanted, "limit": "0x1"}) == expected


def test_pages_are_full_but_for_the_last_and_the_cursor_ends_with_the_pools(market: Market) -> None:
    assert market.pages(limit="0x3") == [[0, 1, 2], [3]]
    assert market.pages(limit="0x2") == [[0, 1], [2, 3]]
    assert market.pages(limit="0x4") == [[0, 1, 2, 3]]


def test_one_call_looks_at_a_bounded_number_of_pools(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools_module, "SCANNED_MAX", 1)
    assert market.pages(status="open") == [[], [1], [2], []]


def test_a_cursor_stays_good_while_blocks_come(market: Market) -> None:
    first = market.bench.call("pool_list", limit="0x4")
    assert first["cursor"] is None
    page = market.bench.call("pool_list", limit="0x3")
    market.pools.append(market.bench.new_pool())
    rest = market.bench.call("pool_list", cursor=page["cursor"])
    assert [pool["cptxHash"] for pool in rest["pools"]] == market.pools[3:]


def test_parameters_by_position(market: Market) -> None:
    page = market.bench.call("pool_list", text(ALICE), None, None, "open", None, "0x1")
    assert [pool["cptxHash"] for pool in page["pools"]] == [market.pools[1]]


@pytest.mark.parametrize("cursor", ["", "0x", "next", "0x" + 15 * "00", "0x" + 17 * "00", "0x" + 16 * "00", 5])
def test_a_bad_cursor_is_refused(market: Market, cursor: object) -> None:
    """The last but one has the right length, but is of another chain."""
    assert "cursor" in market.bench.refuse("INVALID_PARAMS", -32602, "pool_list", cursor=cursor)["expected"]


def test_limits_of_a_page() -> None:
    with closing(NodeBench(limits=Limits(page_size_max=2))) as bench:
        market = Market(bench)
        assert market.pages() == [[0, 1], [2, 3]]
        assert bench.refuse("LIMIT", -32005, "pool_list", limit="0x3")["given"] == "0x3"
        bench.refuse("INVALID_PARAMS", -32602, "pool_list", limit="0x0")
        bench.refuse("INVALID_PARAMS", -32602, "pool_list", status="closed")


def test_pools_of_one_sender_in_one_block_keep_their_index(bench: NodeBench) -> None:
    raws = [bench.create(nonce=nonce) for nonce in range(5)]
    hashes = bench.commit(*raws)
    assert [pool["cptxHash"] for pool in bench.call("pool_list", text(ALICE))["pools"]] == hashes
    assert bench.call("account_get", text(ALICE))["nonce"] == "0x5"

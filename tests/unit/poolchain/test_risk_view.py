"""What a cacher's operator sees: remaining, unsettled, blocks left, and what becomes of each pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ledger.records import PoolStatus, Target
from peers.open_books import Account, Settlement, Stage
from poolchain.risk_view import POOLS_MAX, banner, risk
from tests.unit.peers.books import POOL_ID, RESOURCE, SELLER, TERMS, book, pay, taken

TOKEN = 10**18


def status(*accounts: Account, height: int = 100, **members: Any) -> dict[str, Any]:
    """As `Cacher.status` makes it."""
    found: dict[str, Any] = {
        "target": f"0x{SELLER.address.hex()}",
        "url": "http://127.0.0.1:8800",
        "head": {"height": hex(height), "hash": "0x"},
        "nodeAway": None,
        "originAway": None,
        "pricePerChunk": hex(TOKEN // 2),
        "resources": [{"resourceId": f"0x{RESOURCE.hex()}", "name": "film.mp4", "chunkCount": 7}],
        "unsettled": hex(sum(account.book.unsettled for account in accounts)),
        "pools": [account.to_json(height) for account in accounts],
    }
    return {**found, **members}


def rich_account(amount: int, name: bytes = POOL_ID, **members: Any) -> Account:
    """An account with so many tokens unsettled."""
    found = book(deposit=10 * TOKEN, collateral=20 * TOKEN)._replace(cptx_hash=name)
    return Account(found._replace(best=pay(amount), delivered=amount), TERMS, **members)


def test_the_banner_says_what_is_sold_for_how_much_and_where() -> None:
    assert banner(status()).splitlines() == [
        f"Selling as 0x{SELLER.address.hex()} at 0.5 tokens a chunk",
        f"  0x{RESOURCE.hex()}  7 chunks  film.mp4",
        "Listening on http://127.0.0.1:8800",
    ]


def test_a_pool_is_shown_with_what_is_left_and_what_is_at_risk() -> None:
    text = risk(status(rich_account(3 * TOKEN)))
    first, head, row = text.splitlines()
    assert first == "Block 100, unsettled 3 tokens"
    assert head.split() == ["pool", "remaining", "delivered", "unsettled", "settled", "blocks", "left", "settlement"]
    assert row.split() == ["0x" + "aa" * 6, "10", "3", "3", "0", "399"]  # it expires at 500
    assert risk(status(height=7)) == "Block 7, unsettled 0 tokens"


def test_a_settlement_says_why_it_was_made_why_it_failed_and_what_is_next() -> None:
    failed = Settlement("the cap is near", 2 * TOKEN, 1, 5, Stage.RETRYING, 3, "MEMPOOL_FULL: full; it is tried again")
    assert risk(status(rich_account(3 * TOKEN, settlement=failed))).endswith(
        "  retrying 2 (the cap is near): MEMPOOL_FULL: full; it is tried again"
    )


def test_a_double_spend_and_a_closed_pool_stand_out() -> None:
    caught = Account(taken(book(), 300)._replace(evidence=pay(1500)), TERMS)
    assert risk(status(caught)).endswith("DOUBLE SPEND")
    expired = Account(taken(book(), 300), TERMS)
    expired.book = expired.book.follow(replace(expired.book.pool, status=PoolStatus.EXPIRED), Target(0, 0), 500)
    assert risk(status(expired, height=500)).endswith("0            expired")


def test_what_is_out_of_reach_is_said() -> None:
    text = risk(status(nodeAway="no answer", originAway="status 500"))
    assert text.splitlines()[1:] == ["NODE AWAY: no answer", "ORIGIN AWAY: status 500"]


def test_the_worst_pools_come_first_and_the_rest_is_counted() -> None:
    crowd = [rich_account(number * TOKEN // 10, bytes([number]) * 32) for number in range(1, POOLS_MAX + 6)]
    lines = risk(status(*crowd)).splitlines()
    assert lines[2].split()[0] == "0x" + f"{POOLS_MAX + 5:02x}" * 6
    assert lines[-1] == "... and 5 more pools with less at risk"
    assert len(lines) == 2 + POOLS_MAX + 1

"""The pools that a cacher knows: what is kept, what gives way, what is sent again, and the row of the risk table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crypto.address import checksum_address
from ledger.records import PoolStatus, Target
from peers import open_books
from peers.open_books import REPEATS_FREE, Account, Accounts, Settlement, Stage

from .books import CREATOR, POOL_ID, RESOURCE, TERMS, book, pay, taken


def named(number: int, *, is_kept: bool = False, is_open: bool = True) -> Account:
    status = PoolStatus.OPEN if is_open else PoolStatus.EXPIRED
    return Account(book(status=status)._replace(cptx_hash=number.to_bytes(32)), TERMS, is_kept=is_kept)


def numbers(accounts: Accounts) -> list[int]:
    return [int.from_bytes(account.book.cptx_hash) for account in accounts]


@pytest.fixture(autouse=True)
def _small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_books, "UNPAID_MAX", 3)
    monkeypatch.setattr(open_books, "CLOSED_MAX", 2)


def test_an_account_is_found_by_its_pool_and_replaced_by_a_newer_one() -> None:
    accounts = Accounts()
    accounts.add(named(1))
    newer = named(1)
    accounts.add(newer)
    assert accounts.get((1).to_bytes(32)) is newer
    assert accounts.get(bytes(32)) is None
    assert numbers(accounts) == [1]


@pytest.mark.interpreted
def test_who_only_shook_hands_gives_way_the_oldest_first() -> None:
    accounts = Accounts()
    accounts.add(named(1, is_kept=True))
    for number in range(2, 8):
        accounts.add(named(number))
    assert numbers(accounts) == [1, 5, 6, 7]


@pytest.mark.interpreted
def test_closed_pools_give_way_on_their_own_and_what_is_on_disk_never() -> None:
    accounts = Accounts()
    for number in range(1, 6):
        accounts.add(named(number, is_open=False))
    accounts.add(named(6))
    for number in range(7, 12):
        accounts.add(named(number, is_kept=True, is_open=number % 2 == 0))
    assert numbers(accounts) == [4, 5, 6, 7, 8, 9, 10, 11]


def test_accounts_may_be_added_while_one_goes_through_them() -> None:
    accounts = Accounts()
    accounts.add(named(1))
    for account in accounts:
        accounts.add(named(2))
        assert account.price == 10
    assert numbers(accounts) == [1, 2]


def test_a_chunk_is_sent_again_about_once_for_each_that_was_sold() -> None:
    five = taken(book(), 50)
    assert Account(five, TERMS, repeats=REPEATS_FREE + 4).may_repeat
    assert not Account(five, TERMS, repeats=REPEATS_FREE + 5).may_repeat


def test_what_is_not_sold_any_more_has_no_price_and_is_not_sent_again_without_end() -> None:
    five = taken(book(), 50)
    assert Account(five).price == 0
    assert Account(five, repeats=REPEATS_FREE + 49).may_repeat
    assert not Account(five, repeats=REPEATS_FREE + 50).may_repeat


def test_the_row_says_what_is_left_and_what_is_at_risk() -> None:
    found = taken(book(Target(1, 100)), 300, 2)
    assert Account(found, TERMS).to_json(480) == {
        "cptxHash": f"0x{POOL_ID.hex()}",
        "resourceId": f"0x{RESOURCE.hex()}",
        "creator": checksum_address(CREATOR.address),
        "status": "open",
        "remaining": hex(1000),
        "delivered": hex(300),
        "promised": hex(300),
        "paid": hex(100),
        "unsettled": hex(200),
        "tgtSeq": "0x2",
        "blocksLeft": hex(19),
        "doubleSpend": False,
        "settlement": None,
    }
    assert Account(found).to_json(500)["blocksLeft"] == "0x0"


def test_a_double_spend_shows_before_and_after_it_is_proven() -> None:
    assert Account(book()._replace(evidence=pay(2000)), TERMS).to_json(1)["doubleSpend"] is True
    drained = taken(book(), 500)
    drained = drained.follow(replace(drained.pool, spent=900), drained.record, 2)
    assert Account(drained, TERMS).to_json(2)["doubleSpend"] is True


def test_a_settlement_is_shown_with_its_reason_and_its_failure() -> None:
    settlement = Settlement("the cap is near", 300, 1, 5)
    account = Account(taken(book(), 300), TERMS, settlement=settlement)
    assert account.to_json(1)["settlement"] == {
        "reason": "the cap is near",
        "amount": "0x12c",
        "tgtSeq": "0x1",
        "fee": "0x5",
        "stage": "marked",
        "attempts": 0,
        "error": None,
    }
    settlement.stage, settlement.error = Stage.RETRYING, "gone; it is tried again"
    assert account.to_json(1)["settlement"]["error"] == "gone; it is tried again"

"""What a viewer pays from one pool, what it believes of payments it is shown, and whom it never pays again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto.eip712 import Domain
from peers.payer_ledger import DepositExhausted, LedgerRefused, PayerLedger
from peers.payment import Payment, Promise
from peers.purse import Distrust, Past, Purse, Verdict

from .books import CREATOR, DOMAIN, POOL_ID, SELLER, STRANGER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "http://127.0.0.1:8800"
TARGET = SELLER.address
CHAIN = "genesis:pool"


@pytest.fixture
def purse(tmp_path: Path) -> Iterator[Purse]:
    with PayerLedger(tmp_path / "pool.ledger", CHAIN, 1000) as ledger:
        yield Purse(POOL_ID, 1000, ledger, CREATOR, DOMAIN)


def shown(promise: Promise, domain: Domain = DOMAIN) -> str:
    return f"0x{Payment.sign(promise, CREATOR, domain).encode().hex()}"


# Paying


def test_a_total_is_on_disk_when_the_payment_is_there(purse: Purse, tmp_path: Path) -> None:
    payment = purse.pay(TARGET, 300, 1)
    assert payment == Payment.sign(Promise(TARGET, 300, POOL_ID, 1), CREATOR, DOMAIN)
    assert f"{TARGET.hex()} 1 300 " in (tmp_path / "pool.ledger").read_text()


def test_the_same_or_a_lower_total_is_the_same_payment(purse: Purse) -> None:
    first = purse.pay(TARGET, 300, 2)
    assert purse.pay(TARGET, 300, 2) == purse.pay(TARGET, 10, 1) == first


def test_nothing_is_signed_beyond_the_deposit(purse: Purse) -> None:
    purse.pay(TARGET, 700, 1)
    with pytest.raises(DepositExhausted):
        purse.pay(STRANGER.address, 301, 1)
    assert purse.pay(STRANGER.address, 300, 1).promise.amount == 300


# Believing


def test_an_own_payment_tells_how_much_was_signed(tmp_path: Path) -> None:
    """After a crash the ledger says what may have been signed, the peer what was."""
    with PayerLedger(tmp_path / "l", CHAIN, 1000, reserve_ahead=100) as ledger:
        Purse(POOL_ID, 1000, ledger, CREATOR, DOMAIN).pay(TARGET, 300, 1)
        (tmp_path / "killed").write_bytes((tmp_path / "l").read_bytes())
    with PayerLedger(tmp_path / "killed", CHAIN, 1000) as ledger:
        purse = Purse(POOL_ID, 1000, ledger, CREATOR, DOMAIN)
        assert (ledger.promised, ledger.total(TARGET)) == (400, 0)
        assert purse.believe(TARGET, shown(Promise(TARGET, 320, POOL_ID, 1))) == 320
        assert ledger.total(TARGET) == 320


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "0x",
        "0x12",
        "0xzz",
        "12" * 193,
        f"0x{'00' * 193}",
        shown(Promise(STRANGER.address, 300, POOL_ID, 1)),
        shown(Promise(TARGET, 300, bytes(32), 1)),
        shown(Promise(TARGET, 300, POOL_ID, 1), Domain.of(1, bytes(32))),
        f"0x{Payment.sign(Promise(TARGET, 300, POOL_ID, 1), STRANGER, DOMAIN).encode().hex()}",
    ],
)
def test_what_is_not_ours_is_not_believed(purse: Purse, text: object) -> None:
    purse.pay(TARGET, 10, 1)
    assert purse.believe(TARGET, text) == 0
    assert purse.ledger.total(TARGET) == 10


def test_an_own_payment_that_the_ledger_does_not_know_stops_the_paying(purse: Purse) -> None:
    purse.pay(TARGET, 10, 1)
    with pytest.raises(LedgerRefused, match="another one was used"):
        purse.believe(TARGET, shown(Promise(TARGET, 300, POOL_ID, 1)))


# Distrust


def test_a_cheat_is_known_by_its_url_and_its_address_after_a_restart(purse: Purse, tmp_path: Path) -> None:
    path = tmp_path / "distrust.jsonl"
    Distrust(path).note(purse, URL, TARGET, Verdict("cheated", 10, cheat=True), 10)
    found = Distrust(path)
    assert found.is_banned(URL)
    assert found.is_banned(URL.upper())
    assert found.is_banned("http://127.0.0.1:1", f"0x{TARGET.hex()}")
    assert not found.is_banned("http://127.0.0.1:1", f"0x{STRANGER.address.hex()}")


def test_losses_add_up_by_pool_and_by_peer(purse: Purse, tmp_path: Path) -> None:
    path = tmp_path / "distrust.jsonl"
    found = Distrust(path)
    purse.pay(TARGET, 70, 1)
    found.note(purse, URL, TARGET, Verdict("no answer", 10), 10)
    found.note(purse, URL, STRANGER.address, Verdict("no answer", 5), 5)
    found.note(purse, URL, TARGET, Verdict("no answer", 20), 30)
    for known in (found, Distrust(path)):
        assert (known.lost(POOL_ID), known.lost(bytes(32))) == (35, 0)
        assert known.past(POOL_ID, TARGET) == Past(debt=30, promised=70)
        assert known.past(POOL_ID, STRANGER.address) == Past(debt=5)
        assert known.past(bytes(32), TARGET) == Past()
        assert not known.is_banned(URL), "who is only slow may be tried again"


def test_a_debt_is_what_the_newest_line_says(purse: Purse, tmp_path: Path) -> None:
    path = tmp_path / "distrust.jsonl"
    found = Distrust(path)
    for debt in (30, 10):
        found.note(purse, URL, TARGET, Verdict("the purchase ended"), debt)
    assert (found.past(POOL_ID, TARGET).debt, found.lost(POOL_ID)) == (10, 0)
    assert Distrust(path).past(POOL_ID, TARGET).debt == 10


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "7",
        '{"cheat": true}',
        '{"cheat": true, "url": 1, "target": "x", "pool": "", "lost": 0}',
        "\x00\ufffd",
    ],
)
def test_lines_that_cannot_be_read_are_left_out(purse: Purse, tmp_path: Path, line: str) -> None:
    """A torn or damaged line must neither stop the buying nor hide the others."""
    path = tmp_path / "distrust.jsonl"
    Distrust(path).note(purse, URL, TARGET, Verdict("cheated", 10, cheat=True), 10)
    path.write_text(f"{line}\n{path.read_text()}{line}")
    found = Distrust(path)
    assert found.is_banned(URL)
    assert found.lost(POOL_ID) == 10


def test_what_is_noted_after_a_crash_does_not_hang_on_a_torn_line(purse: Purse, tmp_path: Path) -> None:
    path = tmp_path / "distrust.jsonl"
    Distrust(path).note(purse, URL, TARGET, Verdict("cheated", 10, cheat=True), 10)
    path.write_text(path.read_text()[:-9])  # the machine stopped while it was written
    other = "http://127.0.0.1:8801"
    Distrust(path).note(purse, other, STRANGER.address, Verdict("cheated", 5, cheat=True), 5)
    assert Distrust(path).is_banned(other)

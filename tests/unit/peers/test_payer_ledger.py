"""What a viewer has promised: never above the deposit, whatever happens in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from peers.payer_ledger import DepositExhausted, LedgerRefused, PayerLedger

POOL = bytes(32)
ALICE, BOB, CAROL = (bytes([number]) * 20 for number in (1, 2, 3))
ROOT = Path(__file__).resolve().parents[3]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([ALICE, BOB, CAROL]), st.integers(1, 60), st.sampled_from(["pay", "open", "crash"])),
        max_size=40,
    ),
    st.integers(0, 30),
)
def test_no_interleaving_promises_more_than_the_deposit(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bytes, int, str]], ahead: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "ledger"
    signed: dict[bytes, int] = {}
    ledger = PayerLedger(path, "c", 100, reserve_ahead=ahead)
    for target, total, step in steps:
        if step == "open":
            ledger.close()
            ledger = PayerLedger(path, "c", 100, reserve_ahead=ahead)
        elif step == "crash":
            os.close(ledger._file)  # without giving anything free
            ledger = PayerLedger(path, "c", 100, reserve_ahead=ahead)
        try:
            promise = ledger.promise(POOL, target, total, 1)
        except DepositExhausted:
            continue
        signed[target] = max(signed.get(target, 0), promise.amount)
        assert sum(signed.values()) <= ledger.promised <= 100
    ledger.close()
    with PayerLedger(path, "c", 100) as again:
        assert sum(signed.values()) <= again.promised <= 100
        for target, amount in signed.items():
            again.resume(target, amount)


def test_the_sum_over_all_targets_counts(tmp_path: Path) -> None:
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        ledger.promise(POOL, ALICE, 60, 1)
        with pytest.raises(DepositExhausted):
            ledger.promise(POOL, BOB, 41, 1)
        assert ledger.promise(POOL, BOB, 40, 1).amount == 40
        assert ledger.left == 0


def test_a_lower_total_gives_the_earlier_promise_again(tmp_path: Path) -> None:
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        first = ledger.promise(POOL, ALICE, 60, 1)
        assert ledger.promise(POOL, ALICE, 10, 1) == first


def test_a_new_number_keeps_the_total(tmp_path: Path) -> None:
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        ledger.promise(POOL, ALICE, 60, 1)
        assert ledger.promise(POOL, ALICE, 60, 2).tgt_seq == 2
        assert ledger.promise(POOL, ALICE, 70, 1).tgt_seq == 2
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        assert ledger.promise(POOL, ALICE, 70, 1).tgt_seq == 2


def test_a_reservation_serves_many_payments_with_one_line(tmp_path: Path) -> None:
    with PayerLedger(tmp_path / "l", "c", 1000, reserve_ahead=100) as ledger:
        lines = []
        for total in range(10, 120, 10):
            ledger.promise(POOL, ALICE, total, 1)
            lines.append(len((tmp_path / "l").read_text().splitlines()))
        assert lines == [2] * 11
        assert ledger.promised == 110


def test_what_was_reserved_and_not_signed_serves_another_target(tmp_path: Path) -> None:
    with PayerLedger(tmp_path / "l", "c", 100, reserve_ahead=90) as ledger:
        ledger.promise(POOL, ALICE, 10, 1)
        assert ledger.promised == 100
        ledger.promise(POOL, BOB, 90, 1)
        with pytest.raises(DepositExhausted):
            ledger.promise(POOL, ALICE, 11, 1)
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        assert ledger.promised == 100


def test_after_a_crash_a_reservation_counts_as_signed(tmp_path: Path) -> None:
    ledger = PayerLedger(tmp_path / "l", "c", 100, reserve_ahead=50)
    ledger.promise(POOL, ALICE, 10, 1)
    os.close(ledger._file)
    with PayerLedger(tmp_path / "l", "c", 100) as again:
        assert again.promised == 60
        with pytest.raises(DepositExhausted):
            again.promise(POOL, BOB, 41, 1)
        # How much of it was signed, only the target's last payment says.
        assert again.total(ALICE) == 0
        again.resume(ALICE, 10)
        assert again.promise(POOL, ALICE, 20, 1).amount == 20


@pytest.mark.parametrize("torn", [1, 5, 40])
def test_a_torn_last_line_was_never_answered_for(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "l"
    with PayerLedger(path, "c", 100) as ledger:
        ledger.promise(POOL, ALICE, 10, 1)
        ledger.promise(POOL, ALICE, 20, 1)
    path.write_bytes(path.read_bytes()[:-torn])
    with PayerLedger(path, "c", 100) as ledger:
        assert ledger.promised == 10
        ledger.promise(POOL, ALICE, 30, 1)
    with PayerLedger(path, "c", 100) as ledger:
        assert ledger.promised == 30


def test_any_other_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "l"
    with PayerLedger(path, "c", 100) as ledger:
        ledger.promise(POOL, ALICE, 10, 1)
        ledger.promise(POOL, ALICE, 20, 1)
    whole = path.read_bytes()
    for position in range(len(whole) - 1):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        if b"\n" in (whole[position : position + 1], path.read_bytes()[position : position + 1]):
            continue  # lines joined or parted are covered by their checksums in what follows
        with pytest.raises(LedgerRefused):
            PayerLedger(path, "c", 100)


def test_the_ledger_of_another_pool_is_refused(tmp_path: Path) -> None:
    PayerLedger(tmp_path / "l", "c", 100).close()
    with pytest.raises(LedgerRefused, match="another pool"):
        PayerLedger(tmp_path / "l", "d", 100)


def test_a_second_user_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    first = PayerLedger(tmp_path / "l", "c", 100)
    with pytest.raises(LedgerRefused, match="in use"):
        PayerLedger(tmp_path / "l", "c", 100)
    first.close()
    PayerLedger(tmp_path / "l", "c", 100).close()


def test_a_payment_that_the_ledger_does_not_know_ends_its_use(tmp_path: Path) -> None:
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        with pytest.raises(LedgerRefused, match="another one was used"):
            ledger.resume(ALICE, 1)
        ledger.promise(POOL, ALICE, 10, 1)
        with pytest.raises(LedgerRefused, match="another one was used"):
            ledger.resume(ALICE, 11)


def test_after_a_failed_write_nothing_is_promised_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = PayerLedger(tmp_path / "l", "c", 100)
    ledger.promise(POOL, ALICE, 10, 1)

    def fail(_: int) -> None:
        raise OSError(5, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="broken"):
            ledger.promise(POOL, ALICE, 20, 1)
    with pytest.raises(OSError, match="before"):
        ledger.promise(POOL, BOB, 1, 1)
    ledger.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from peers.payer_ledger import PayerLedger
ledger = PayerLedger(Path(sys.argv[1]), "c", 100, reserve_ahead=20)
ledger.promise(bytes(32), b"\\1" * 20, 10, 1)
ledger._reserve(b"\\2" * 20, type(ledger._lines[b"\\1" * 20])(), 30, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_killed_between_reserving_and_signing_it_overstates(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "l")], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with PayerLedger(tmp_path / "l", "c", 100) as ledger:
        assert ledger.promised == 30 + 50
        with pytest.raises(DepositExhausted):
            ledger.promise(POOL, CAROL, 21, 1)

"""What was promised from a pool is in one ledger, on disk before it is signed, and only grows."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

import pytest

from peers.payer_ledger import PayerLedger
from poolchain import promises
from poolchain.failure import Failure
from poolchain.promises import open_promises, pools_folder

if TYPE_CHECKING:
    from pathlib import Path

GENESIS, POOL = bytes([1] * 32), bytes([2] * 32)
BOB, CAROL = bytes([3] * 20), bytes([4] * 20)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLCHAIN_HOME", str(tmp_path))


def test_promises_are_kept_for_each_target_whatever_they_amount_to() -> None:
    with open_promises(GENESIS, POOL) as ledger:
        assert (ledger.targets(), ledger.promised_to(BOB)) == ([], 0)
        ledger.promise(POOL, BOB, 2**128 - 1, 1)
        ledger.promise(POOL, CAROL, 2**128 - 1, 1)
    with open_promises(GENESIS, POOL) as ledger:
        assert (ledger.promised_to(BOB), ledger.promised_to(CAROL)) == (2**128 - 1, 2**128 - 1)
        assert sorted(ledger.targets()) == [BOB, CAROL]


def test_a_smaller_promise_changes_nothing() -> None:
    for amount in (5, 4):
        with open_promises(GENESIS, POOL) as ledger:
            ledger.promise(POOL, BOB, amount, 1)
            assert ledger.promised_to(BOB) == 5
    with open_promises(GENESIS, POOL) as ledger:
        assert ledger.promised_to(BOB) == 5


def test_it_is_the_ledger_that_a_purchase_pays_from() -> None:
    with PayerLedger.of_pool(pools_folder(), GENESIS, POOL, deposit=100, reserve_ahead=20) as ledger:
        ledger.promise(POOL, BOB, 30, 1)
    with open_promises(GENESIS, POOL) as ledger:
        assert ledger.promised_to(BOB) == 30, "what was reserved and not signed is free again"
        ledger.promise(POOL, CAROL, 60, 1)
    with PayerLedger.of_pool(pools_folder(), GENESIS, POOL, deposit=100) as ledger:
        assert ledger.left == 10


@pytest.mark.parametrize(("genesis", "pool"), [(POOL, POOL), (GENESIS, GENESIS)])
def test_other_chains_and_pools_have_their_own(genesis: bytes, pool: bytes) -> None:
    with open_promises(GENESIS, POOL) as ledger:
        ledger.promise(POOL, BOB, 5, 1)
    with open_promises(genesis, pool) as ledger:
        assert ledger.promised_to(BOB) == 0


def test_a_damaged_ledger_is_refused(tmp_path: Path) -> None:
    with open_promises(GENESIS, POOL) as ledger:
        ledger.promise(POOL, BOB, 5, 1)
    (file,) = tmp_path.rglob("*.ledger")
    file.write_text(file.read_text().replace(" 5 ", " 4 "))
    with pytest.raises(Failure, match="is damaged") as caught:
        open_promises(GENESIS, POOL)
    assert caught.value.reason == "LEDGER"


def test_who_pays_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "PATIENCE_SECONDS", 0.1)
    with open_promises(GENESIS, POOL), pytest.raises(Failure, match="another process pays from this pool"):
        open_promises(GENESIS, POOL)


def _promise_one_more() -> None:
    with open_promises(GENESIS, POOL) as ledger:
        ledger.promise(POOL, BOB, ledger.promised_to(BOB) + 1, 1)


def test_processes_take_turns() -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_promise_one_more) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    with open_promises(GENESIS, POOL) as ledger:
        assert ledger.promised_to(BOB) == 4

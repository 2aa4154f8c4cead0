"""Viewers that want more than they pay for, against honest cachers: what each side lost, on the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from crypto.address import checksum_address

from .stage import FEE, KEYS, POOLCHAIN, PRICE, VIEWER, Stage, get, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .processes import Program

CHUNKS = 24
FRAUD = "tests.peers_attack.programs.hostile_viewer"


class Shops(NamedTuple):
    """Two honest cachers, accounts 1 and 2."""

    stage: Stage
    urls: list[str]
    programs: list[Program]

    def attack(self, conduct: str) -> dict[str, Any]:
        stage = self.stage
        folder = stage.folder / conduct
        command = [conduct, stage.node.url, VIEWER.secret.hex(), stage.resource_id, CHUNKS, folder, *self.urls]
        fraud = stage.program(FRAUD, *command)
        assert fraud.wait() == 0, fraud.out.read_text()
        return fraud.lines()[0]

    def row(self, pool: str, shop: int = 0) -> dict[str, Any]:
        """What a cacher says of a pool; empty where it does not know it."""
        rows = get(f"{self.urls[shop]}/status")["pools"]
        return next((row for row in rows if row["cptxHash"] == pool), {})

    def balance(self, account: int) -> int:
        return int(self.stage.node.call("eth_getBalance", checksum_address(KEYS[account].address), "latest"), 16)


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shops]:
    with Stage(tmp_path_factory.mktemp("frauds"), chunks=CHUNKS) as stage:
        programs = [
            stage.program(POOLCHAIN, *stage.serve(account, "--margin", 10, "--worth", 1000, first=PRICE))
            for account in (1, 2)
        ]
        yield Shops(stage, [program.first_line()["url"] for program in programs], programs)


def _no_loss(shops: Shops, found: dict[str, Any], paid_chunks: int) -> None:
    """The cacher holds the price of every chunk that it gave for the first time."""
    row = shops.row(found["pool"])
    assert len(set(found["got"])) == paid_chunks
    assert int(row.get("promised", "0x0"), 16) >= paid_chunks * PRICE
    assert int(row.get("delivered", "0x0"), 16) == paid_chunks * PRICE


def test_who_underpays_gets_nothing(shops: Shops) -> None:
    found = shops.attack("underpays")
    assert found["answers"] == ["PAYMENT_REQUIRED"] * 4
    assert found["got"] == [0]
    _no_loss(shops, found, 1)


def test_one_payment_shown_ten_times_at_once_buys_one_chunk(shops: Shops) -> None:
    found = shops.attack("replays")
    assert len(found["got"]) == 1
    assert found["answers"] == ["PAYMENT_REQUIRED"] * 9
    _no_loss(shops, found, 1)


@pytest.mark.parametrize("conduct", ["repeats", "repeats_for_a_trifle"])
def test_a_chunk_is_not_repeated_forever(shops: Shops, conduct: str) -> None:
    found = shops.attack(conduct)
    assert 2 <= len(found["got"]) <= 1 + 17
    assert set(found["answers"]) == {"PAYMENT_REQUIRED"}
    _no_loss(shops, found, 1)


def test_what_another_signed_or_for_another_chain_or_target_is_refused(shops: Shops) -> None:
    found = shops.attack("signs_wrongly")
    assert found["answers"] == ["BAD_PAYMENT"] * 6
    _no_loss(shops, found, 0)


def test_a_pool_that_was_not_shown_pays_nothing(shops: Shops) -> None:
    found = shops.attack("pays_from_another_pool")
    assert (found["answers"], found["got"]) == (["NO_HANDSHAKE"], [])


def test_forged_proofs_are_refused_and_give_nothing(shops: Shops) -> None:
    found = shops.attack("shows_forgeries")
    assert found["answers"] == ["BAD_PROOF"] * 6 + ["NO_HANDSHAKE"]
    _no_loss(shops, found, 0)


def test_a_pool_that_expires_is_refused_before_and_after(shops: Shops) -> None:
    found = shops.attack("uses_an_expiring_pool")
    assert found["answers"] == ["POOL_CLOSED", "NO_HANDSHAKE", "POOL_CLOSED", "POOL_CLOSED", "NO_HANDSHAKE"]
    assert shops.stage.pool(found["pool"])["status"] == "expired"
    _no_loss(shops, found, 0)


def test_lost_replies_cost_neither_side(shops: Shops) -> None:
    found = shops.attack("loses_replies")
    assert found["got"] == list(range(CHUNKS // 4))
    _no_loss(shops, found, CHUNKS // 4)
    assert int(shops.row(found["pool"])["promised"], 16) == CHUNKS // 4 * PRICE


def test_a_promise_beyond_the_deposit_buys_nothing_and_costs_the_collateral(shops: Shops) -> None:
    before = shops.balance(1)
    found = shops.attack("overdraws")
    assert (found["answers"], found["got"]) == (["DEPOSIT_DRAINED"], [])
    assert wait_until(lambda: shops.stage.pool(found["pool"])["status"] == "slashed")
    # All that remained, and a reward, for nothing delivered.
    assert shops.balance(1) - before >= CHUNKS * PRICE


def test_an_old_proof_of_a_slashed_pool_buys_nothing(shops: Shops) -> None:
    found = shops.attack("uses_a_slashed_pool")
    old = found["answers"].index("and the old proof:")
    assert found["answers"][:old] == ["DEPOSIT_DRAINED", "POOL_CLOSED", "POOL_CLOSED"]
    assert (found["answers"][old + 1 :], found["got"]) == (["POOL_CLOSED", "NO_HANDSHAKE"], [])


def test_over_signing_to_two_cachers_is_slashed_by_their_settlements(shops: Shops) -> None:
    before = [shops.balance(account) for account in (1, 2)]
    found = shops.attack("over_signs")
    pool = found["pool"]
    print(f"over-signed: {len(found['got'])} chunks for a deposit of {CHUNKS}")
    assert len(found["got"]) > CHUNKS, found["answers"]
    deliveries = [int(shops.row(pool, shop)["delivered"], 16) for shop in (0, 1)]
    statuses = [program.terminate() for program in shops.programs]
    assert statuses == [0, 0], [program.out.read_text()[-900:] for program in shops.programs]
    assert shops.stage.pool(pool)["status"] == "slashed"
    gains = [shops.balance(account) - had for account, had in zip((1, 2), before, strict=True)]
    for gain, delivery in zip(gains, deliveries, strict=True):
        print(f"delivered {delivery / PRICE:g} chunks, gained {gain / PRICE:g} chunks' price")
        assert gain >= delivery - 10 * FEE

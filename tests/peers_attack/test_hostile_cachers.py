"""Cachers that take the money and do not deliver: what a viewer loses to each, on the chain (Theorem IV.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from crypto.signature import SigningKey
from peers.payment import Payment

from .processes import Program
from .programs.hostile_cacher import CONDUCTS
from .stage import FEE, KEYS, POOLCHAIN, PRICE, Stage, get, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUYER = "tests.peers_attack.programs.buyer"
FIRSTS = {"cheap": FEE, "dear": 3 * PRICE}
"""One chunk's price is the bound where firstAmount is lower, else firstAmount is."""


class Robbery(NamedTuple):
    """Every thief's loot in one pool, after one purchase and after a second one by the same viewer."""

    stage: Stage
    pool: str
    keys: dict[str, SigningKey]
    held: dict[str, tuple[Payment | None, int]]
    """Conduct -> the newest payment, and how many chunks were delivered for it."""
    held_later: dict[str, tuple[Payment | None, int]]
    report: dict[str, Any]


def _held(url: str) -> tuple[Payment | None, int]:
    found = get(f"{url}/holding")
    payments = [Payment.decode(bytes.fromhex(text[2:])) for text in found["held"].values()]
    return max(payments, key=lambda payment: payment.promise.amount, default=None), found["delivered"]


@pytest.fixture(scope="module", params=FIRSTS.values(), ids=list(FIRSTS))
def robbery(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Robbery]:
    folder: Path = tmp_path_factory.mktemp("robbery")
    with Stage(folder, chunks=30) as stage:
        keys = {conduct: SigningKey(bytes([7, number]) * 16) for number, conduct in enumerate(CONDUCTS)}
        thieves = {conduct: stage.thief(conduct, key, first=request.param) for conduct, key in keys.items()}
        urls = {conduct: thief.first_line()["url"] for conduct, thief in thieves.items()}
        found = []
        for out in ("first", "again"):
            command = stage.purchase(folder / "viewer", *urls.values(), deposit=200 * PRICE)
            buyer = stage.program(BUYER, *command)
            assert buyer.wait() == 0, buyer.out.read_text()
            assert (folder / "viewer.bin").read_bytes() == stage.file.read_bytes()
            (folder / "viewer.bin").rename(folder / f"{out}.bin")
            for kept in (folder / "viewer" / "chunks").rglob("*"):
                if kept.is_file():
                    kept.unlink()
            found.append((buyer.lines()[0], {conduct: _held(url) for conduct, url in urls.items()}))
        assert found[0][0]["pool"] == found[1][0]["pool"]
        yield Robbery(stage, found[0][0]["pool"], keys, found[0][1], found[1][1], found[1][0])


def _loss(held: tuple[Payment | None, int]) -> int:
    payment, delivered = held
    return (payment.promise.amount if payment else 0) - delivered * PRICE


@pytest.mark.parametrize("conduct", CONDUCTS)
def test_a_thief_gets_one_chunks_price_or_first_amount(robbery: Robbery, conduct: str, request: Any) -> None:
    bound = max(PRICE, request.node.callspec.params["robbery"])
    payment, _ = robbery.held[conduct]
    assert payment is not None, f"{conduct} was never paid: the attack did not happen"
    print(f"{conduct}: lost {_loss(robbery.held[conduct]) / PRICE:g} chunks' price, bound {bound / PRICE:g}")
    assert 0 <= _loss(robbery.held[conduct]) <= bound


@pytest.mark.parametrize("conduct", CONDUCTS)
def test_a_second_purchase_gives_a_thief_nothing_more(robbery: Robbery, conduct: str, request: Any) -> None:
    bound = max(PRICE, request.node.callspec.params["robbery"])
    print(f"{conduct}: lost {_loss(robbery.held_later[conduct]) / PRICE:g} chunks' price in two purchases")
    assert 0 <= _loss(robbery.held_later[conduct]) <= bound


def test_all_thieves_cash_and_the_pool_is_not_slashed(robbery: Robbery) -> None:
    total = 0
    for conduct, (payment, _) in robbery.held_later.items():
        assert payment is not None
        if payment.promise.tgt_seq == 1:  # others can never be published: no settlement came before
            assert robbery.stage.cash(payment, robbery.keys[conduct]) == "settled", conduct
            total += payment.promise.amount
    pool = robbery.stage.pool(robbery.pool)
    assert pool["status"] == "open"
    assert total <= robbery.report["promised"] <= robbery.report["deposit"]


def test_an_honest_cacher_among_thieves_sells_the_rest(robbery: Robbery) -> None:
    stage = robbery.stage
    honest = stage.program(POOLCHAIN, *stage.serve(1, "--margin", 5))
    url = honest.first_line()["url"]
    thief: Program = stage.thief("garbage", KEYS[9], first=PRICE)
    command = stage.purchase(stage.folder / "other", url, thief.first_line()["url"], origin=False)
    buyer = stage.program(BUYER, *command)
    assert buyer.wait() == 0, buyer.out.read_text()
    report = buyer.lines()[0]
    assert report["peers"][url][:2] == [30, 30 * PRICE]
    assert _loss(_held(thief.first_line()["url"])) == PRICE
    assert honest.terminate() == 0, honest.out.read_text()
    assert wait_until(lambda: stage.paid(report["pool"], KEYS[1].address)) == 30 * PRICE

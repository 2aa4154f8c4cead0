"""Clocks that differ by a day: no side loses anything, and an old head is told from a new one all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .stage import KEYS, POOLCHAIN, PRICE, VIEWER, Stage, get

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .processes import Program

ASKEW = "tests.peers_attack.programs.askew"
BUYER = "tests.peers_attack.programs.buyer"
FRAUD = "tests.peers_attack.programs.hostile_viewer"
CHUNKS = 12
DAY_S = 86_400


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp("clocks"), chunks=CHUNKS) as found:
        yield found


def selling(stage: Stage, account: int, ahead_s: int) -> Program:
    command = stage.serve(account, "--margin", 5, first=PRICE)
    return stage.program(ASKEW, ahead_s, POOLCHAIN, *command)


def expect_no_loss(stage: Stage, cacher: Program, account: int, viewer_ahead_s: int) -> None:
    """Buy everything from one cacher: paid for what was delivered, settled, and nothing from the origin."""
    url = cacher.first_line()["url"]
    deposit = 3 * CHUNKS * PRICE  # the cap, half of it, is never reached
    command = stage.purchase(stage.folder / f"viewer-{account}", url, origin=False, deposit=deposit)
    buyer = stage.program(ASKEW, viewer_ahead_s, BUYER, *command)
    assert buyer.wait() == 0, buyer.out.read_text()
    report = buyer.lines()[0]
    assert report["peers"][url][:2] == [CHUNKS, CHUNKS * PRICE]
    assert cacher.terminate() == 0, cacher.out.read_text()
    assert stage.paid(report["pool"], KEYS[account].address) == CHUNKS * PRICE
    assert stage.folder.joinpath(f"viewer-{account}.bin").read_bytes() == stage.file.read_bytes()


@pytest.mark.parametrize(("account", "ahead_s"), [(1, DAY_S), (2, -DAY_S)])
def test_a_cacher_whose_clock_is_wrong_sells_and_settles(stage: Stage, account: int, ahead_s: int) -> None:
    expect_no_loss(stage, selling(stage, account, ahead_s), account, 0)


@pytest.mark.parametrize(("account", "ahead_s"), [(3, DAY_S), (4, -DAY_S)])
def test_a_viewer_whose_clock_is_wrong_gets_everything(stage: Stage, account: int, ahead_s: int) -> None:
    expect_no_loss(stage, selling(stage, account, 0), account, ahead_s)


def test_an_old_head_is_stale_and_gives_nothing(stage: Stage) -> None:
    """To a clock that is ahead every head but the newest is old: the viewer only has to ask its node again."""
    cacher = selling(stage, 5, DAY_S)
    url = cacher.first_line()["url"]
    command = ["shows_an_old_head", stage.node.url, VIEWER.secret.hex(), stage.resource_id, CHUNKS]
    fraud = stage.program(FRAUD, *command, stage.folder / "stale", url)
    assert fraud.wait() == 0, fraud.out.read_text()
    found = fraud.lines()[0]
    assert (found["answers"], found["got"]) == (["STALE_PROOF", "NO_HANDSHAKE"], [0])
    (row,) = get(f"{url}/status")["pools"]
    assert row["delivered"] == row["promised"] == hex(PRICE)


def test_a_chain_whose_clock_is_a_day_ahead_is_bought_on(stage: Stage) -> None:
    stage.node.call("dev_increaseTime", hex(DAY_S))
    stage.node.call("dev_mine", "0x1")
    expect_no_loss(stage, selling(stage, 6, 0), 6, 0)

"""The demonstration: again and again on one chain, in every sealing mode, and never with a wrong figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from poolchain import cli
from poolchain.demo import rules

from .command_line import CommandLine
from .node_process import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIGURES_LEAST = 150


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.mark.slow
@pytest.mark.parametrize("sealing", ["on-transaction", "manual", "0x1"])
def test_demo_twice_in_a_row(node: NodeProcess, tmp_path: Path, sealing: str) -> None:
    node.call("dev_setSealing", sealing)
    user = CommandLine(tmp_path, node.url)
    for _ in range(2):
        before = int(node.call("chain_status")["supply"]["burned"], 16)
        document = user.json("demo", "--rpc", node.url)
        assert document["ok"] is True
        assert document["figures"] >= FIGURES_LEAST
        supply = {name: int(amount, 16) for name, amount in document["supply"].items()}
        assert supply["genesis"] == supply["balances"] + supply["locked"] + supply["burned"]
        slashed = [
            receipt for step in document["steps"] for receipt in step["transactions"] if receipt["outcome"] == "slashed"
        ]
        assert [int(receipt["burned"], 16) for receipt in slashed] == [supply["burned"] - before]
    assert node.call("chain_status")["sealing"] == sealing


def test_demo_tells_its_steps_with_balances(node: NodeProcess, tmp_path: Path) -> None:
    node.call("dev_setSealing", "on-transaction")
    outcome = CommandLine(tmp_path, node.url).spawn("demo", "--rpc", node.url)
    assert (outcome.status, outcome.err) == (0, "")
    for text in ("step 1: CreatePool", "step 2: handshake", "step 3: off-chain", "step 4: on-chain", "BAD_SEQUENCE"):
        assert text in outcome.out
    assert outcome.out.count("      before ") == outcome.out.count("      after  ") >= 6
    assert outcome.out.endswith(" figures are what the protocol says.\n")


@pytest.mark.parametrize(
    ("change", "figure"),
    [
        ({"reward": 10**18 - 1}, "'reward' of Dave's settlement"),
        ({"min_fee": 10**12 + 1}, "'fee' of the CreatePool"),
    ],
)
def test_wrong_figure_is_named_and_fails(
    node: NodeProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, int],
    figure: str,
) -> None:
    """A node that keeps other rules than the protocol's looks to the demo like a demo with other rules to the node."""
    settle, create = rules.Books.settle, rules.Books.create

    def changed_settle(books: rules.Books, pool: rules.PoolBook, target: str, amount: int) -> rules.Effect:
        books.reward = change.get("reward", books.reward)
        return settle(books, pool, target, amount)

    def changed_create(
        books: rules.Books, creator: str, deposit: int, collateral: int
    ) -> tuple[rules.PoolBook, rules.Effect]:
        books.min_fee = change.get("min_fee", books.min_fee)
        pool, effect = create(books, creator, deposit, collateral)
        books.min_fee = 10**12
        return pool, effect

    monkeypatch.setattr(rules.Books, "settle", changed_settle)
    monkeypatch.setattr(rules.Books, "create", changed_create)
    node.call("dev_setSealing", "on-transaction")
    assert cli.run(["demo", "--rpc", node.url]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"Error: {figure} is ")
    assert "but by the protocol's rules it is" in error

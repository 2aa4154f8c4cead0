"""docs/rpc.md says what the code does, and every reason that a caller can get is in its table."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rpc.errors import TABLE
from rpc.methods import ALL_METHODS
from rpc.reference import refresh
from tests.model.small_chain import BOB, BOB_KEY
from tests.node_bench import NodeBench, text

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/rpc.md").read_text("utf-8")
RAISED = re.compile(r'\b(?:Refusal|RpcError)\(\s*"([A-Z_]+)"')


def test_the_page_is_as_make_docs_writes_it() -> None:
    assert refresh(PAGE) == PAGE, "run make docs"


def test_every_method_has_a_place_and_says_something() -> None:
    for method in ALL_METHODS:
        assert f"\n### {method.name}(" in PAGE
        assert method.doc


def test_a_page_without_a_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the errors"):
        refresh(PAGE.replace("<!-- errors -->", ""))


def test_the_shapes_of_the_page_are_those_of_the_answers() -> None:
    def members(name: str) -> list[str]:
        row = re.search(rf"^\| {name} \| (.*) \|$", PAGE, re.MULTILINE)
        assert row is not None, name
        return row[1].split(", ")

    def agree(name: str, answer: Iterable[str]) -> None:
        assert members(name) == list(answer), name

    with closing(NodeBench()) as bench:
        pool = bench.new_pool()
        transaction = bench.call("chain_getTransaction", bench.commit(bench.payment(BOB_KEY, pool, 1))[0])
        agree("header", bench.call("chain_getHeader", "latest")["header"])
        agree("transaction", transaction)
        agree("receipt", transaction["receipt"])
        agree("account", bench.call("account_get", text(BOB)))
        agree("pool", bench.call("pool_get", pool))
        agree("target record", bench.call("pool_getTarget", pool, text(BOB)))


@pytest.mark.parametrize("room", ["ledger", "txtypes", "consensus", "rpc", "poolchain"])
def test_every_reason_that_is_raised_is_in_the_table(room: str) -> None:
    known = {row.reason for row in TABLE}
    raised = {
        (path.name, reason) for path in (ROOT / room).rglob("*.py") for reason in RAISED.findall(path.read_text())
    }
    assert not {(name, reason) for name, reason in raised if reason not in known}

"""Accounts by address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crypto.address import checksum_address
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, CAROL
from tests.node_bench import text

if TYPE_CHECKING:
    from tests.node_bench import NodeBench


def test_an_account_is_read_after_the_head_without_what_is_pending(bench: NodeBench) -> None:
    bench.commit(bench.transfer(ALICE_KEY, BOB, 100))
    before = bench.call("account_get", checksum_address(ALICE))
    assert before == {"address": checksum_address(ALICE), "balance": hex(1_000_000 - 110), "nonce": "0x1"}
    bench.submit(bench.transfer(ALICE_KEY, BOB, 100))
    assert bench.call("account_get", address=text(ALICE)) == before


def test_an_account_that_never_was_reads_as_zeros(bench: NodeBench) -> None:
    assert bench.call("account_get", text(CAROL)) == {
        "address": checksum_address(CAROL),
        "balance": "0x0",
        "nonce": "0x0",
    }


@pytest.mark.parametrize("address", [None, "", "0x00", text(ALICE)[2:], text(ALICE).upper(), text(ALICE) + "00", 5])
def test_a_wrong_address_is_refused(bench: NodeBench, address: object) -> None:
    assert "address" in bench.refuse("INVALID_PARAMS", -32602, "account_get", address)["expected"]

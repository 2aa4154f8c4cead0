"""Records and pages as they were, from what later blocks replaced."""

from __future__ import annotations

from contextlib import closing

import pytest

from ledger.records import account_key
from ledger.tree_pages import page_key
from storage.past_state import STATES_KEPT, PastState, StateNotKept
from tests.model.small_chain import ALICE, ALICE_KEY, BOB, CAROL
from tests.node_bench import NodeBench


def test_the_present_is_read_without_looking_back() -> None:
    with closing(NodeBench()) as bench:
        bench.commit(bench.transfer(ALICE_KEY, CAROL, 5))
        view = bench.node.view()
        state = PastState(view, 1)
        for key in (account_key(ALICE), account_key(CAROL), account_key(bytes(20))):
            assert state.get(key) == view.get(key)
        assert state.page(page_key(0, 0)) == view.page(page_key(0, 0))


def test_what_was_absent_is_absent_again() -> None:
    with closing(NodeBench()) as bench:
        bench.commit(bench.transfer(ALICE_KEY, CAROL, 5))
        bench.mine(3)
        bench.commit(bench.transfer(ALICE_KEY, CAROL, 6))
        view = bench.node.view()
        assert PastState(view, 0).get(account_key(CAROL)) is None
        for height in range(1, 5):
            record = PastState(view, height).get(account_key(CAROL))
            assert record is not None
            assert record[:16] == (5).to_bytes(16, "big")
        assert PastState(view, 0).get(account_key(BOB)) == view.get(account_key(BOB))


def test_every_height_has_the_pages_of_its_root() -> None:
    with closing(NodeBench()) as bench:
        pages = [bench.node.view().page(page_key(0, 0))]
        for amount in range(1, 6):
            bench.commit(bench.transfer(ALICE_KEY, CAROL, amount))
            pages.append(bench.node.view().page(page_key(0, 0)))
        view = bench.node.view()
        assert len(set(pages)) == 6
        assert [PastState(view, height).page(page_key(0, 0)) for height in range(6)] == pages


def test_a_view_remembers_what_later_blocks_forget() -> None:
    with closing(NodeBench()) as bench:
        bench.commit(bench.transfer(ALICE_KEY, CAROL, 5))
        held = bench.node.view()
        before = PastState(held, 0).get(account_key(ALICE))
        bench.mine(STATES_KEPT + 1)
        assert PastState(held, 0).get(account_key(ALICE)) == before
        with pytest.raises(StateNotKept) as caught:
            PastState(bench.node.view(), 0)
        assert caught.value.oldest == 2


def test_only_so_many_are_kept_and_none_of_the_future() -> None:
    with closing(NodeBench()) as bench:
        bench.mine(STATES_KEPT)
        PastState(bench.node.view(), 0)
        bench.mine()
        for height in (0, STATES_KEPT + 2):
            with pytest.raises(StateNotKept):
                PastState(bench.node.view(), height)
        PastState(bench.node.view(), 1)

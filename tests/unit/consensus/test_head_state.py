"""The state after the head: what the store says, asked once, until it is told to go on."""

from __future__ import annotations

from collections.abc import Mapping

from consensus.head_state import HeadState
from tests.workbench import Records


class Counting(Records):
    """Records that count how often they are asked."""

    def __init__(self, records: Mapping[bytes, bytes]) -> None:
        super().__init__(records)
        self.keys: list[bytes] = []

    @property
    def asked(self) -> int:
        return len(self.keys)

    def get(self, key: bytes) -> bytes | None:
        self.keys.append(key)
        return super().get(key)


def test_a_record_is_asked_for_once() -> None:
    records = Counting({b"a1": b"one"})
    state = HeadState(records)
    assert [state.get(b"a1"), state.get(b"a1"), state.get(b"a2"), state.get(b"a2")] == [b"one", b"one", None, None]
    assert records.asked == 2


def test_what_is_read_ahead_is_asked_for_in_the_order_given_and_then_no_more() -> None:
    records = Counting({b"a1": b"one", b"p2": b"two"})
    state = HeadState(records)
    state.read_ahead([b"a1", b"p2", b"t3"])
    assert records.keys == [b"a1", b"p2", b"t3"]
    assert [state.get(b"t3"), state.get(b"p2"), state.get(b"a1")] == [None, b"two", b"one"]
    assert records.asked == 3


def test_a_staged_state_is_seen_from_advance_on() -> None:
    before, after = Counting({b"a1": b"one", b"a3": b"three"}), Counting({b"a1": b"two", b"a4": b"four"})
    state = HeadState(before)
    assert state.get(b"a1") == b"one"
    state.stage(after, {b"a1": b"two", b"a3": None, b"a4": b"four"})
    assert [state.get(b"a1"), state.get(b"a3"), state.get(b"a4")] == [b"one", b"three", None]
    state.advance()
    assert [state.get(b"a1"), state.get(b"a3"), state.get(b"a4")] == [b"two", None, b"four"]
    assert after.asked == 0
    state.advance()
    assert state.get(b"a1") == b"two"


def test_staging_again_goes_on_first() -> None:
    state = HeadState(Counting({}))
    state.stage(Counting({b"a1": b"one"}), {b"a1": b"one"})
    state.stage(Counting({b"a1": b"one", b"a2": b"two"}), {b"a2": b"two"})
    assert [state.get(b"a1"), state.get(b"a2")] == [b"one", None]
    state.advance()
    assert [state.get(b"a1"), state.get(b"a2")] == [b"one", b"two"]


def test_with_no_memory_it_is_the_store() -> None:
    state = HeadState(Records({b"a%d" % number: b"%d" % number for number in range(9)}), bytes_max=0)
    assert [state.get(b"a%d" % (number % 10)) for number in range(30)] == [
        None if number % 10 == 9 else b"%d" % (number % 10) for number in range(30)
    ]

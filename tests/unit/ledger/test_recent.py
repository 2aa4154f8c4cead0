"""What was used lately is remembered, within a bound in bytes, and never in an older version."""

from __future__ import annotations

import random

import pytest

from ledger.recent import ENTRY_BYTES, UNKNOWN, Recent


def test_what_was_kept_is_found_and_what_was_not_is_unknown() -> None:
    recent = Recent(10_000)
    recent.keep(b"one", b"1")
    recent.keep(b"absent", None)
    assert recent.find(b"one") == b"1"
    assert recent.find(b"absent") is None
    assert recent.find(b"other") is UNKNOWN


def test_what_is_used_outlives_what_is_not() -> None:
    recent = Recent(40 * ENTRY_BYTES)
    recent.keep(b"used", b"yes")
    recent.keep(b"unused", b"yes")
    for number in range(500):
        recent.keep(b"%d" % number, b"x" * 20)
        assert recent.find(b"used") == b"yes"
    assert recent.find(b"unused") is UNKNOWN


@pytest.mark.parametrize("seed", range(3))
def test_it_is_bounded_and_always_the_newest(seed: int) -> None:
    chance = random.Random(seed)
    recent, newest = Recent(60_000), dict[bytes, bytes | None]()
    for _ in range(20_000):
        key = b"%d" % chance.randrange(400)
        if chance.random() < 0.5:
            newest[key] = chance.choice([None, chance.randbytes(chance.randrange(300))])
            recent.keep_all({key: newest[key]})
        else:
            found = recent.find(key)
            assert found is UNKNOWN or found == newest[key]
        held = [*recent._recent.items(), *recent._older.items()]
        assert sum(len(key) + len(value or b"") + ENTRY_BYTES for key, value in held) <= 61_000

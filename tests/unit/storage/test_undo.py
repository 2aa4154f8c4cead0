"""What a block replaced, packed by bucket: everything is found again, and nothing else."""

from __future__ import annotations

from hashlib import sha256

from ledger.tree_pages import page_key
from storage.schema import PAGE, RECORD
from storage.undo import (
    bucket_of,
    entries_to_forget,
    find,
    is_listed,
    items_in,
    places_in,
    undo_entries,
    undo_key,
    undo_list_key,
)

RECORDS = {
    b"a" + sha256(bytes([number])).digest()[:20]: bytes([number]) * (number % 3) or None for number in range(200)
}
PAGES = {
    page_key(depth, prefix): bytes(depth + 1) for depth in (0, 3, 8, 11, 16) for prefix in range(1 << min(depth, 8))
}


def test_everything_that_was_replaced_is_found_under_its_key() -> None:
    entries = dict(undo_entries(7, RECORDS, PAGES))
    for kind, replaced in ((RECORD, RECORDS), (PAGE, PAGES)):
        for key, old in replaced.items():
            packed = entries[undo_key(7, kind, bucket_of(kind, key))]
            assert packed is not None
            assert find(packed, key) == (old or b"")
            assert find(packed, key + b"\x00") is find(packed, key[:-1]) is None


def test_the_list_of_a_block_names_its_entries_and_forgetting_ends_them_all() -> None:
    entries = dict(undo_entries(7, RECORDS, PAGES))
    listed = entries[undo_list_key(7)]
    assert listed is not None
    assert {undo_key(7, place[:1], place[1:]) for place in places_in(listed)} == entries.keys() - {undo_list_key(7)}
    assert dict(entries_to_forget(7, listed)) == dict.fromkeys(entries)


def test_a_block_that_changed_nothing_has_no_undo() -> None:
    assert list(undo_entries(7, {}, {})) == []


def test_the_entries_of_a_block_lie_together_in_the_order_of_heights() -> None:
    heights = (0, 7, 255, 256, 1 << 40)
    keys = [undo_key(at, kind, bucket) for at in heights for kind in (PAGE, RECORD) for bucket in (b"\x00", b"\xff")]
    assert keys == sorted(set(keys))


def test_buckets_are_even() -> None:
    """Also where the lowest bits of a page's prefix are always zero."""
    for depth, prefixes in ((16, range(1 << 16)), (11, range(1 << 11)), (8, range(256))):
        sizes: dict[bytes, int] = {}
        for prefix in prefixes:
            bucket = bucket_of(PAGE, page_key(depth, prefix))
            sizes[bucket] = sizes.get(bucket, 0) + 1
        assert len(sizes) == 256
        assert set(sizes.values()) == {len(prefixes) // 256}


def test_values_may_be_empty_or_long() -> None:
    records = {b"a1": None, b"b1": bytes(70_000), b"c1": b"\x01"}
    ((_, packed), _) = undo_entries(1, records, {})
    assert packed is not None
    assert dict(items_in(packed)) == {key: old or b"" for key, old in records.items()}


def test_a_list_names_its_own_places_and_none_that_lies_across_two() -> None:
    undo_list = b"S\x01Q\x02SSQQ"
    assert [is_listed(undo_list, place) for place in (b"S\x01", b"Q\x02", b"SS", b"QQ")] == [True] * 4
    assert [is_listed(undo_list, place) for place in (b"\x01Q", b"\x02S", b"SQ", b"Q\x01", b"S\x02")] == [False] * 5
    assert not is_listed(b"", b"S\x01")
    entries = dict(undo_entries(7, RECORDS, PAGES))
    listed = entries.pop(undo_list_key(7)) or b""
    for kind in (RECORD, PAGE):
        for bucket in range(256):
            place = kind + bytes([bucket])
            assert is_listed(listed, place) == (undo_key(7, kind, place[1:]) in entries)

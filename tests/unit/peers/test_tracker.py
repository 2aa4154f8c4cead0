"""What the tracker keeps, for how long, and which announcements are none."""

from __future__ import annotations

from typing import Any

import pytest

from crypto.address import checksum_address
from peers.tracker import ENTRIES_MAX, EXPIRY_SECONDS, BadAnnouncement, Entry, Tracker, read_announcement

from .books import RESOURCE, SELLER

URL = "http://127.0.0.1:8800"
ENTRY = Entry(URL, SELLER.address, 10)
GOOD = {
    "resourceId": f"0x{RESOURCE.hex()}",
    "url": URL,
    "target": checksum_address(SELLER.address),
    "pricePerChunk": "0xa",
}


def test_an_entry_is_kept_for_a_minute_and_no_longer() -> None:
    tracker = Tracker()
    assert tracker.announce(RESOURCE, ENTRY, 100.0)
    assert tracker.peers(RESOURCE, 100.0 + EXPIRY_SECONDS - 0.1) == [ENTRY]
    assert tracker.peers(RESOURCE, 100.0 + EXPIRY_SECONDS) == []


def test_a_repeated_announcement_replaces_the_one_before() -> None:
    tracker = Tracker()
    dearer = Entry(URL, SELLER.address, 11)
    tracker.announce(RESOURCE, ENTRY, 0.0)
    tracker.announce(RESOURCE, dearer, 30.0)
    assert tracker.peers(RESOURCE, 80.0) == [dearer]


def test_resources_are_apart() -> None:
    tracker = Tracker()
    tracker.announce(RESOURCE, ENTRY, 0.0)
    assert tracker.peers(bytes(32), 0.0) == []


def test_a_full_tracker_takes_nobody_new_until_somebody_expires() -> None:
    crowd = [Entry(f"http://127.0.0.1:{port}", SELLER.address, 1) for port in range(1, ENTRIES_MAX + 1)]
    full = Tracker()
    assert all(full.announce(RESOURCE, entry, 0.0) for entry in crowd)
    assert not full.announce(RESOURCE, ENTRY, 1.0)
    assert full.announce(RESOURCE, crowd[0], 1.0), "who is known may repeat it"
    assert full.announce(RESOURCE, ENTRY, EXPIRY_SECONDS)
    assert full.peers(RESOURCE, EXPIRY_SECONDS) == [crowd[0], ENTRY]


def test_an_announcement_is_read_and_shown_as_it_was() -> None:
    resource_id, entry = read_announcement(GOOD)
    assert (resource_id, entry) == (RESOURCE, ENTRY)
    assert {"resourceId": GOOD["resourceId"], **entry.to_json()} == GOOD


@pytest.mark.parametrize("url", ["http://[::1]:8800", "http://cacher-1.example:1", "http://127.0.0.1:65535/"])
def test_a_host_is_a_name_or_an_address(url: str) -> None:
    assert read_announcement({**GOOD, "url": url})[1].url == url.rstrip("/")


@pytest.mark.parametrize(
    "damage",
    [
        {"more": 1},
        {"resourceId": "0x12"},
        {"resourceId": f"0x{RESOURCE.hex().upper()}"},
        {"resourceId": 1},
        {"target": "0x12"},
        {"target": None},
        {"pricePerChunk": "0x0a"},
        {"pricePerChunk": "-0x1"},
        {"pricePerChunk": 10},
        {"url": 5},
        {"url": "https://127.0.0.1:8800"},
        {"url": "http://127.0.0.1"},
        {"url": "http://127.0.0.1:99999"},
        {"url": "http://127.0.0.1:0"},
        {"url": "http://@127.0.0.1:8800"},
        {"url": "http://127.0.0.1\x1b[2J:8800"},
        {"url": "http://127.0.0.1:8800\n"},
        {"url": "http://127.0.0.1:٣"},
        {"url": "http://127.0.0.1:8800/path"},
        {"url": "http://127.0.0.1:8800?query"},
        {"url": "http://user@127.0.0.1:8800"},
        {"url": f"http://{'a' * 200}:8800"},
    ],
)
def test_what_is_no_announcement_is_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(BadAnnouncement):
        read_announcement({**GOOD, **damage})


@pytest.mark.parametrize("value", [None, [], "text", {}, {name: GOOD[name] for name in list(GOOD)[1:]}])
def test_other_json_is_refused(value: Any) -> None:
    with pytest.raises(BadAnnouncement):
        read_announcement(value)

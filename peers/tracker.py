"""Who says that it sells a resource: entries that expire, in bounded memory. Pure: the time is handed in.

Everybody can announce anything: an entry is advice, and nobody who uses it believes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from crypto.address import checksum_address, parse_address

from .manifest import BadManifest
from .manifest_reader import read_quantity

EXPIRY_SECONDS: Final = 60.0
ENTRIES_MAX: Final = 256
"""Entries of one resource; when they are all fresh, no other peer is taken."""
_URL_MAX: Final = 200
_URL: Final = re.compile(r"http://(?:[0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})/?", re.ASCII)
_MEMBERS: Final = frozenset({"resourceId", "url", "target", "pricePerChunk"})


class BadAnnouncement(Exception):
    """An announcement is not one; the argument says what was expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One peer that sells."""

    url: str
    target: bytes
    price: int

    def to_json(self) -> dict[str, str]:
        """Return {url, target, pricePerChunk}."""
        return {"url": self.url, "target": checksum_address(self.target), "pricePerChunk": hex(self.price)}


class Tracker:
    """The entries of a few resources."""

    def __init__(self) -> None:
        """Begin without entries."""
        self._entries: dict[bytes, dict[str, tuple[float, Entry]]] = {}

    def announce(self, resource_id: bytes, entry: Entry, now: float) -> bool:
        """Keep an entry for a minute; tell whether there was room. A peer is known by its url."""
        entries = self._fresh(resource_id, now)
        if entry.url not in entries and len(entries) >= ENTRIES_MAX:
            return False
        entries[entry.url] = (now, entry)
        return True

    def peers(self, resource_id: bytes, now: float) -> list[Entry]:
        """Return the entries of the last minute."""
        return [entry for _, entry in self._fresh(resource_id, now).values()]

    def _fresh(self, resource_id: bytes, now: float) -> dict[str, tuple[float, Entry]]:
        entries = self._entries.get(resource_id, {})
        fresh = {url: found for url, found in entries.items() if now - found[0] < EXPIRY_SECONDS}
        self._entries[resource_id] = fresh
        return fresh


def read_announcement(found: Any) -> tuple[bytes, Entry]:
    """Return (resourceId, entry) of an announcement's JSON; raises BadAnnouncement."""
    if not isinstance(found, dict) or found.keys() != _MEMBERS:
        raise BadAnnouncement("{resourceId, url, target, pricePerChunk}")
    try:
        resource_id = read_resource_id(found["resourceId"])
        entry = Entry(
            read_url(found["url"]), parse_address(found["target"]), read_quantity(found["pricePerChunk"], "price")
        )
    except (BadManifest, ValueError, TypeError, AttributeError) as error:
        raise BadAnnouncement(str(error)) from error
    return resource_id, entry


def read_resource_id(text: object) -> bytes:
    """Return the 32 bytes of 0x-hex; raises ValueError."""
    if not isinstance(text, str) or len(text) != 66 or not text.startswith("0x") or text != text.lower():
        raise ValueError("expected 32 bytes as 0x-hex")
    found = bytes.fromhex(text[2:])
    if len(found) != 32:
        raise ValueError("expected 32 bytes as 0x-hex")
    return found


def read_url(text: str) -> str:
    """Return the url under which a peer can be reached, http://host:port; raises ValueError.

    In plain letters: it is shown to people, who have terminals that obey control characters.
    """
    found = _URL.fullmatch(text)
    if found is None or len(text) > _URL_MAX or not 0 < int(found[1]) < 65536:
        raise ValueError("a url is http://host:port")
    return text.rstrip("/")

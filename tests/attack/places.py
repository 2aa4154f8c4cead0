"""Where things are in a JSON value, and copies of it with something else there."""

from __future__ import annotations

from random import Random
from typing import Any

Place = tuple[str | int, ...]


def deep_places(value: object, place: Place = ()) -> list[Place]:
    """Everything inside a value."""
    if not isinstance(value, dict | list):
        return []
    found: list[Place] = []
    for name, member in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((*place, name))
        found += deep_places(member, (*place, name))
    return found


def value_at(value: Any, place: Place) -> Any:
    for name in place:
        value = value[name]
    return value


def change(document: dict[str, Any], place: Place, new: object = None, *, remove: bool = False) -> dict[str, Any]:
    """A copy with another value at a place, or without it; what is not on the way there is shared."""
    found: dict[str, Any] = _changed(document, place, new, remove=remove)
    return found


def _changed(value: Any, place: Place, new: object, *, remove: bool) -> Any:
    name, *rest = place
    found: Any = dict(value) if isinstance(value, dict) else list(value)
    if rest:
        found[name] = _changed(found[name], tuple(rest), new, remove=remove)
    elif remove:
        del found[name]
    else:
        found[name] = new
    return found


def flip_bit(shown: str, chance: Random) -> str:
    """0x-hex with one bit flipped."""
    data = bytearray.fromhex(shown[2:])
    at = chance.randrange(8 * len(data))
    data[at // 8] ^= 1 << at % 8
    return "0x" + data.hex()

"""Bytes to JSON values, refusing everything on which two readers could disagree (RFC 8259).

Python's own reader with hooks costs 3 µs for a small request; a faster one (msgspec) silently
keeps the last of two equal keys, which for signed payments is worth more than 2 µs.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn

from crypto.nesting import nests_deeper

NESTING_MAX: Final = 32
DIGITS_MAX: Final = 20
# So much of a text that will be refused anyway is looked at, to call a million brackets deep.
_GLANCE_BYTES: Final = 4_096


class NotJson(Exception):
    """The bytes are not strict JSON; the argument says what was found."""


class TooManyValues(Exception):
    """A text with more commas and brackets than the caller's limit; it was not parsed."""


class _UnusableNumberFound(Exception):
    """The fast reader met a number that only the slow one may judge."""


class UnusableNumber:
    """A number with a fraction, an exponent or over 20 digits, in the place of a request's id.

    Everywhere else such a number makes the whole text unusable. The id alone is answered
    politely: the request is invalid, but its neighbours in the batch are not.
    """

    __slots__ = ()


def decode(body: bytes, *, values_max: int) -> object:
    """Return the value of the JSON text `body`.

    Raises NotJson for bad UTF-8, a byte order mark, bad syntax, NaN, equal keys in an object,
    more than 32 levels, or a number that is not an integer of at most 20 digits; TooManyValues
    above `values_max` commas and brackets.
    """
    has_too_many = body.count(b"[") + body.count(b"{") + body.count(b",") > values_max
    if nests_deeper(body[:_GLANCE_BYTES] if has_too_many else body, NESTING_MAX):
        raise NotJson(f"more than {NESTING_MAX} levels")
    if has_too_many:
        raise TooManyValues
    try:
        text = str(body, "utf-8")
        try:
            value: object = _FAST.decode(text)
        except _UnusableNumberFound:
            value = _decode_with_unusable_numbers(text)
    except UnicodeDecodeError:
        raise NotJson("bytes that are not UTF-8") from None
    except json.JSONDecodeError as error:
        # The message names a place, never the text itself.
        raise NotJson(f"{error.msg} at character {error.pos}") from None
    return value


def is_text(value: str) -> bool:
    """Tell whether a string of JSON is encodable: without half of a surrogate pair."""
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotJson("an object with two equal keys")
    return value


def _integer(digits: str) -> int:
    if len(digits) > DIGITS_MAX and len(digits.lstrip("-")) > DIGITS_MAX:
        raise _UnusableNumberFound
    return int(digits)


def _not_integer(_: str) -> NoReturn:
    raise _UnusableNumberFound


def _constant(name: str) -> NoReturn:
    raise NotJson(name)


def _decode_with_unusable_numbers(text: str) -> object:
    """Read again, leaving a mark for each unusable number; only ids of requests may be marks."""
    marks = 0

    def mark(_: str) -> UnusableNumber:
        nonlocal marks
        marks += 1
        return UnusableNumber()

    def integer(digits: str) -> int | UnusableNumber:
        return mark(digits) if len(digits.lstrip("-")) > DIGITS_MAX else int(digits)

    value: object = json.JSONDecoder(
        object_pairs_hook=_object, parse_int=integer, parse_float=mark, parse_constant=_constant
    ).decode(text)
    requests = value if isinstance(value, list) else [value]
    ids = sum(isinstance(r, dict) and isinstance(r.get("id"), UnusableNumber) for r in requests)
    if marks > ids:
        raise NotJson(f"a number that is not an integer of at most {DIGITS_MAX} digits")
    return value


_FAST: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_not_integer,
    parse_constant=_constant,
)

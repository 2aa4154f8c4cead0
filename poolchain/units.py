"""Amounts and durations as people write them, converted exactly (protocol section 1).

Inside amounts are integers of base units, 10^18 to a token, and durations numbers of blocks; no floats anywhere.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from crypto.words import AMOUNT_LIMIT, UINT64_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping

DECIMALS: Final = 18
TOKEN: Final = 10**DECIMALS
"""Base units of one token."""
TEXT_CHARACTERS_MAX: Final = 80
_TOKENS = re.compile(r"([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_ABOUT_AMOUNTS: Final = frozenset(
    {
        "AMOUNT_NOT_INCREASED",
        "COLLATERAL_TOO_LOW",
        "FEE_TOO_LOW",
        "INSUFFICIENT_BALANCE",
        "REPLACED",
        "REPLACEMENT_UNDERPRICED",
    }
)
"""Refusals that speak of nothing else that is counted."""
_NUMBER = re.compile(r"\b[0-9]{1,39}\b(?!%| %)", re.ASCII)
_BLOCKS = re.compile(r"([0-9]+)(?: ?blocks?)?", re.ASCII)
_TIME = re.compile(r"(?:[0-9]+[smhd])+", re.ASCII)
_TIME_PART = re.compile(r"([0-9]+)([smhd])", re.ASCII)
_SECONDS: Final[Mapping[str, int]] = MappingProxyType({"d": 86_400, "h": 3_600, "m": 60, "s": 1})


class BadUnits(ValueError):
    """A text is not an amount or a duration; the argument is a sentence with what was expected."""


def parse_tokens(text: str) -> int:
    """Return the base units of an amount such as `2.5` tokens; raises BadUnits."""
    found = _TOKENS.fullmatch(text) if len(text) <= TEXT_CHARACTERS_MAX else None
    if found is None:
        raise BadUnits(f"expected an amount of tokens such as 5 or 2.5, given {text[:TEXT_CHARACTERS_MAX]!r}")
    whole, fraction = found[1], found[2] or ""
    if len(fraction) > DECIMALS:
        raise BadUnits(f"a token has {DECIMALS} decimals, {text} has {len(fraction)}")
    amount = int(whole) * TOKEN + int(fraction.ljust(DECIMALS, "0"))
    if amount >= AMOUNT_LIMIT:
        raise BadUnits(f"{text} tokens are more than can exist: amounts are below 2^128 base units")
    return amount


def format_tokens(amount: int) -> str:
    """Return an amount of base units as tokens, exactly and without trailing zeros: `2.5`, `-0.000001`."""
    whole, fraction = divmod(abs(amount), TOKEN)
    decimals = f"{fraction:0{DECIMALS}}".rstrip("0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"


def tokens_text(amount: int) -> str:
    """Return an amount of base units with its unit: `2.5 tokens`, `1 token`."""
    return f"{format_tokens(amount)} {'token' if amount == TOKEN else 'tokens'}"


def amounts_as_tokens(sentence: str, reason: str) -> str:
    """Return a node's sentence with its amounts of base units as tokens, where its numbers are amounts."""
    if reason not in _ABOUT_AMOUNTS:
        return sentence
    return _NUMBER.sub(lambda found: tokens_text(int(found[0])), sentence)


def parse_duration(text: str, block_interval: int) -> int:
    """Return the blocks of `500`, `500 blocks`, or a time such as `90s`, `30m`, `1h`, `2d`, `1h30m`.

    A time takes as many blocks as it needs at `block_interval` seconds each, rounded up. Raises BadUnits.
    """
    if len(text) > TEXT_CHARACTERS_MAX:
        raise _bad_duration(text)
    if found := _BLOCKS.fullmatch(text):
        blocks = int(found[1])
    elif _TIME.fullmatch(text):
        seconds = sum(int(number) * _SECONDS[unit] for number, unit in _TIME_PART.findall(text))
        blocks = -(-seconds // block_interval)
    else:
        raise _bad_duration(text)
    if not 0 < blocks < UINT64_LIMIT:
        raise BadUnits(f"expected a duration of at least one block and fewer than 2^64, given {text}")
    return blocks


def format_duration(blocks: int, block_interval: int) -> str:
    """Return a number of blocks with the time that it takes: `3600 blocks (1h)`."""
    noun = "block" if blocks == 1 else "blocks"
    return f"{blocks} {noun} ({format_seconds(blocks * block_interval)})"


def format_seconds(seconds: int) -> str:
    """Return a time in its two largest units: `2d3h`, `90s` as `1m30s`, `0s`."""
    parts = []
    for unit, size in _SECONDS.items():
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts[:2]) or "0s"


def _bad_duration(text: str) -> BadUnits:
    given = repr(text[:TEXT_CHARACTERS_MAX])
    return BadUnits(f"expected a time such as 90s, 30m, 1h or 2d, or a number such as 500 blocks, given {given}")

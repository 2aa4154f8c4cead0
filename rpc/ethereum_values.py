"""Values of the eth_ methods: what other nodes let pass, passes here too (execution-apis, EIP-1898).

Our own methods have one spelling for everything. Ethereum tools send leading zeros, upper-case
digits and JSON numbers, so for them reading is tolerant; what is answered is as strict as ever.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from .values import UINT64_MAX, BadValue, Kind

EthBlock = int | bytes | str
"""A height, a hash, `latest`, `earliest` or `pending`."""

_HEX: Final = re.compile(r"0[xX]([0-9a-fA-F]{1,64})", re.ASCII)
_HASH: Final = re.compile(r"0[xX]([0-9a-fA-F]{64})", re.ASCII)
# Nothing that is committed here is ever undone, so the head is safe and final.
_TAGS: Final = MappingProxyType(
    {"latest": "latest", "safe": "latest", "finalized": "latest", "earliest": "earliest", "pending": "pending"}
)


def _read_number(value: object) -> int:
    number = None
    if isinstance(value, str) and (match := _HEX.fullmatch(value)):
        number = int(match[1], 16)
    elif type(value) is int:  # not bool, which is an int too
        number = value
    if number is None or not 0 <= number <= UINT64_MAX:
        raise BadValue(ETH_NUMBER.expected, value)
    return number


def _read_hash(value: object) -> bytes:
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadValue(ETH_HASH.expected, value)
    return bytes.fromhex(match[1])


def _read_block(value: object) -> EthBlock:
    if isinstance(value, dict):
        return _read_block_object(value)
    if isinstance(value, str) and value in _TAGS:
        return _TAGS[value]
    try:
        return _read_number(value)
    except BadValue:
        raise BadValue(ETH_BLOCK.expected, value) from None


def _read_block_object(value: dict[str, object]) -> EthBlock:
    """Read an EIP-1898 object; there are no side chains, so requireCanonical makes no difference."""
    if value.keys() - {"requireCanonical"} == {"blockHash"}:
        return _read_hash(value["blockHash"])
    if value.keys() == {"blockNumber"}:
        return _read_number(value["blockNumber"])
    raise BadValue("an object of blockNumber, or of blockHash and optionally requireCanonical", value)


ETH_NUMBER: Final[Kind[int]] = Kind(
    "a quantity below 2^64", MappingProxyType({"type": "string", "pattern": "^0x[0-9a-fA-F]{1,16}$"}), _read_number
)
ETH_HASH: Final[Kind[bytes]] = Kind(
    "0x and 64 hex digits", MappingProxyType({"type": "string", "pattern": "^0x[0-9a-fA-F]{64}$"}), _read_hash
)
ETH_BLOCK: Final[Kind[EthBlock]] = Kind(
    "a block number, latest, earliest, pending, safe, finalized, or an EIP-1898 object",
    MappingProxyType({"type": ["string", "object"]}),
    _read_block,
)

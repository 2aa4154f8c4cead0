"""The genesis file: a JSON object with exactly thirteen members, from which block 0 follows (protocol section 6).

Numbers are 0x-quantities and addresses lower case, so that the canonical form of RFC 8785 is plain: members sorted, no
white space, ASCII only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from crypto.eip712 import CHAIN_ID_MAX, Domain
from crypto.hashing import keccak256
from crypto.merkle import EMPTY_ROOT
from crypto.words import AMOUNT_LIMIT, UINT64_LIMIT

from .errors import InvalidGenesis
from .header import Header
from .records import Account, account_key

_QUANTITY: Final = re.compile(r"0x(0|[1-9a-f][0-9a-f]*)\Z", re.ASCII)
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}\Z", re.ASCII)
_HASH: Final = re.compile(r"0x[0-9a-f]{64}\Z", re.ASCII)
HEIGHT_LIMIT: Final = 1 << 63
"""Durations stay below this, so that a height plus a duration always fits in 64 bits."""

_LIMITS: Final = {
    "chainId": (1, CHAIN_ID_MAX + 1),
    "timestamp": (0, UINT64_LIMIT),
    "blockInterval": (1, UINT64_LIMIT),
    "minFee": (0, AMOUNT_LIMIT),
    "reward": (0, AMOUNT_LIMIT),
    "minDuration": (1, HEIGHT_LIMIT),
    "maxDuration": (1, HEIGHT_LIMIT),
    "maxExpiriesPerBlock": (1, UINT64_LIMIT),
    "maxBlockTransactions": (1, UINT64_LIMIT),
    "maxBlockBytes": (1, UINT64_LIMIT),
}
_BRACKETS_MAX: Final = 64
"""Far more than the two objects of a genesis file."""
_MEMBERS: Final = {*_LIMITS, "authority", "extra", "alloc"}


@dataclass(frozen=True, slots=True)
class Genesis:
    """The parameters of one chain. Amounts in base units, durations in blocks, blockInterval in seconds."""

    chain_id: int
    timestamp: int
    authority: bytes
    extra: bytes
    alloc: Mapping[bytes, int]
    block_interval: int
    min_fee: int
    reward: int
    min_duration: int
    max_duration: int
    max_expiries_per_block: int
    max_block_transactions: int
    max_block_bytes: int
    supply: int = field(init=False, compare=False)
    """All tokens there are at the start: supply only ever shrinks, by burning."""

    def __post_init__(self) -> None:
        """Count once what every block is checked against: there may be many allocations."""
        object.__setattr__(self, "supply", sum(self.alloc.values()))

    def canonical_bytes(self) -> bytes:
        """Return the RFC 8785 bytes of the genesis file."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    def to_json(self) -> dict[str, Any]:
        """Return the genesis file as a JSON object."""
        return {
            "chainId": hex(self.chain_id),
            "timestamp": hex(self.timestamp),
            "authority": "0x" + self.authority.hex(),
            "extra": "0x" + self.extra.hex(),
            "alloc": {"0x" + who.hex(): hex(amount) for who, amount in self.alloc.items()},
            "blockInterval": hex(self.block_interval),
            "minFee": hex(self.min_fee),
            "reward": hex(self.reward),
            "minDuration": hex(self.min_duration),
            "maxDuration": hex(self.max_duration),
            "maxExpiriesPerBlock": hex(self.max_expiries_per_block),
            "maxBlockTransactions": hex(self.max_block_transactions),
            "maxBlockBytes": hex(self.max_block_bytes),
        }

    def allocations(self) -> dict[bytes, bytes]:
        """Return state key -> record of block 0; allocations of nothing leave no record."""
        accounts = ((who, Account(amount, 0).encode()) for who, amount in self.alloc.items())
        return {account_key(who): record for who, record in accounts if record is not None}

    def header(self, state_root: bytes) -> Header:
        """Return the header of block 0, given the root of the state that `allocations` makes."""
        return Header(
            chain_id=self.chain_id,
            height=0,
            timestamp=self.timestamp,
            parent_hash=keccak256(self.canonical_bytes()),
            tx_root=EMPTY_ROOT,
            tx_count=0,
            receipts_root=EMPTY_ROOT,
            state_root=state_root,
            history_root=EMPTY_ROOT,
            authority=self.authority,
        )

    def domain(self, genesis_hash: bytes) -> Domain:
        """Return the EIP-712 domain of the chain, whose salt is block 0's hash."""
        return Domain.of(self.chain_id, genesis_hash)


def parse_genesis(data: bytes) -> Genesis:
    """Return the genesis of a file's bytes; raises InvalidGenesis with what was expected."""
    # A library may have raised the limit of recursion (py_ecc does), and then deep nesting kills the process.
    if data.count(b"[") + data.count(b"{") > _BRACKETS_MAX:
        raise InvalidGenesis(f"the genesis file is not JSON of at most {_BRACKETS_MAX} objects and arrays")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique)
    except ValueError as error:
        raise InvalidGenesis(f"the genesis file is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidGenesis("the genesis file must be a JSON object")
    _expect_members(found)
    genesis = Genesis(
        chain_id=_quantity(found, "chainId"),
        timestamp=_quantity(found, "timestamp"),
        authority=_bytes(found["authority"], "authority", _ADDRESS),
        extra=_bytes(found["extra"], "extra", _HASH),
        alloc=_alloc(found["alloc"]),
        block_interval=_quantity(found, "blockInterval"),
        min_fee=_quantity(found, "minFee"),
        reward=_quantity(found, "reward"),
        min_duration=_quantity(found, "minDuration"),
        max_duration=_quantity(found, "maxDuration"),
        max_expiries_per_block=_quantity(found, "maxExpiriesPerBlock"),
        max_block_transactions=_quantity(found, "maxBlockTransactions"),
        max_block_bytes=_quantity(found, "maxBlockBytes"),
    )
    if genesis.min_duration > genesis.max_duration:
        raise InvalidGenesis("minDuration must not be above maxDuration")
    if genesis.supply >= AMOUNT_LIMIT:
        raise InvalidGenesis("the sum of alloc must be below 2^128")
    return genesis


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is given twice")
    return found


def _expect_members(found: dict[str, Any]) -> None:
    if missing := sorted(_MEMBERS - found.keys()):
        raise InvalidGenesis(f"missing: {', '.join(missing)}")
    if unknown := sorted(found.keys() - _MEMBERS):
        raise InvalidGenesis(f"unknown: {', '.join(unknown)}")


def _quantity(found: dict[str, Any], name: str) -> int:
    low, limit = _LIMITS[name]
    return _in_range(found[name], name, low, limit)


def _in_range(value: Any, name: str, low: int, limit: int) -> int:
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise InvalidGenesis(f"{name} must be a 0x-quantity without leading zeros, given {value!r:.80}")
    number = int(value, 16)
    if not low <= number < limit:
        raise InvalidGenesis(f"{name} must be from {low} to {limit - 1}")
    return number


def _bytes(value: Any, name: str, form: re.Pattern[str]) -> bytes:
    if not isinstance(value, str) or not form.match(value):
        digits = 40 if form is _ADDRESS else 64
        raise InvalidGenesis(f"{name} must be 0x and {digits} hexadecimal digits, lower-case, given {value!r:.80}")
    return bytes.fromhex(value[2:])


def _alloc(value: Any) -> dict[bytes, int]:
    if not isinstance(value, dict):
        raise InvalidGenesis("alloc must be an object of address to amount")
    return {
        _bytes(who, "an address of alloc", _ADDRESS): _in_range(amount, "alloc", 0, AMOUNT_LIMIT)
        for who, amount in value.items()
    }

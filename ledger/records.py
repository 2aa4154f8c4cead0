"""The records of the state, their canonical bytes and their keys (protocol section 4).

Records are fixed-width big-endian: amounts 16 bytes, counters and heights 8. These bytes are what the state root
commits to and what a state proof carries; `docs/protocol.md` has the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from crypto.bulk_hashes import hash_each
from crypto.state_proof import CLUSTER_BYTES

_AMOUNT: Final = 16
_COUNTER: Final = 8

BURNED_KEY: Final = b"b"


class PoolStatus(IntEnum):
    """Where a pool is in its life; a closed pool's record stays."""

    OPEN = 0
    EXPIRED = 1
    SLASHED = 2


@dataclass(init=False, slots=True)
class Account:
    """Tokens and the number of transactions sent so far."""

    balance: int
    nonce: int

    def __init__(self, balance: int, nonce: int) -> None:
        """Take the members."""
        self.balance = balance
        self.nonce = nonce

    def encode(self) -> bytes | None:
        """Return balance (16) || nonce (8); None for the account that is absent from the state."""
        if self.balance == 0 and self.nonce == 0:
            return None
        return self.balance.to_bytes(_AMOUNT, "big") + self.nonce.to_bytes(_COUNTER, "big")

    @classmethod
    def decode(cls, data: bytes) -> Account:
        """Return the account of 24 bytes."""
        _check_length(data, ACCOUNT_BYTES)
        return cls(int.from_bytes(data[:16], "big"), int.from_bytes(data[16:], "big"))


@dataclass(init=False, slots=True)
class Pool:
    """One micropayment pool (paper, step 1). Amounts in base units, createdAt and expiresAt are heights."""

    creator: bytes
    resource_id: bytes
    deposit: int
    collateral: int
    spent: int
    created_at: int
    expires_at: int
    status: PoolStatus

    def __init__(  # noqa: PLR0917 - the members, in their order
        self,
        creator: bytes,
        resource_id: bytes,
        deposit: int,
        collateral: int,
        spent: int,
        created_at: int,
        expires_at: int,
        status: PoolStatus,
    ) -> None:
        """Take the members."""
        self.creator = creator
        self.resource_id = resource_id
        self.deposit = deposit
        self.collateral = collateral
        self.spent = spent
        self.created_at = created_at
        self.expires_at = expires_at
        self.status = status

    @property
    def remaining(self) -> int:
        """What the deposit can still pay; of an expired pool, what was returned of it."""
        return self.deposit - self.spent

    @property
    def locked(self) -> int:
        """The tokens that the pool holds: none once it is closed."""
        return self.remaining + self.collateral if self.status is PoolStatus.OPEN else 0

    def after_payment(self, paid: int, status: PoolStatus) -> Pool:
        """Return the pool with `paid` base units more spent, in this status."""
        return Pool(
            self.creator,
            self.resource_id,
            self.deposit,
            self.collateral,
            self.spent + paid,
            self.created_at,
            self.expires_at,
            status,
        )

    def encode(self) -> bytes:
        """Return creator (20), resourceId (32), deposit, collateral, spent (16 each), two heights (8), status (1)."""
        return b"".join(
            (
                self.creator,
                self.resource_id,
                self.deposit.to_bytes(_AMOUNT, "big"),
                self.collateral.to_bytes(_AMOUNT, "big"),
                self.spent.to_bytes(_AMOUNT, "big"),
                self.created_at.to_bytes(_COUNTER, "big"),
                self.expires_at.to_bytes(_COUNTER, "big"),
                _STATUS_BYTES[self.status],
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> Pool:
        """Return the pool of 117 bytes."""
        _check_length(data, POOL_BYTES)
        # Amounts come in two halves.
        creator, resource_id, d1, d0, c1, c0, s1, s0, created_at, expires_at, status = _POOL.unpack(data)
        return cls(
            creator,
            resource_id,
            d1 << 64 | d0,
            c1 << 64 | c0,
            s1 << 64 | s0,
            created_at,
            expires_at,
            _status(status),
        )


@dataclass(init=False, slots=True)
class Target:
    """What one payee has had from one pool: settlements so far and their total."""

    seq: int
    paid: int

    def __init__(self, seq: int, paid: int) -> None:
        """Take the members."""
        self.seq = seq
        self.paid = paid

    def encode(self) -> bytes:
        """Return seq (8) || paid (16)."""
        return self.seq.to_bytes(_COUNTER, "big") + self.paid.to_bytes(_AMOUNT, "big")

    @classmethod
    def decode(cls, data: bytes) -> Target:
        """Return the record of 24 bytes."""
        _check_length(data, TARGET_BYTES)
        return cls(int.from_bytes(data[:8], "big"), int.from_bytes(data[8:], "big"))


_UNCLUSTERED: Final = (b"a", BURNED_KEY)
_CLUSTER_END: Final = 1 + CLUSTER_BYTES
_CLUSTERED_DIGEST: Final = 32 - CLUSTER_BYTES
ACCOUNT_BYTES: Final = 24
POOL_BYTES: Final = 117
TARGET_BYTES: Final = 24
_STATUSES: Final = tuple(PoolStatus)
_STATUS_BYTES: Final = tuple(bytes([status]) for status in PoolStatus)
_STATUS_AT: Final = POOL_BYTES - 1
_POOL: Final = Struct(">20s32s8QB")
ABSENT_ACCOUNT: Final = Account(0, 0)
ABSENT_TARGET: Final = Target(0, 0)


def balance_in(account: bytes | None) -> int:
    """Return the balance in an account's record; 0 for the absent one."""
    return int.from_bytes(account[:_AMOUNT], "big") if account else 0


def expiry_in(pool: bytes) -> int:
    """Return expiresAt in a pool's record."""
    return int.from_bytes(pool[108:_STATUS_AT], "big")


def locked_in(pool: bytes | None) -> int:
    """Return the tokens that the pool of a record holds: remaining deposit and collateral of an open one, else 0."""
    return remaining_in(pool) + int.from_bytes(pool[68:84], "big") if pool and is_open_in(pool) else 0


def remaining_in(pool: bytes) -> int:
    """Return what the deposit of a pool's record can still pay."""
    return int.from_bytes(pool[52:68], "big") - int.from_bytes(pool[84:100], "big")


def is_open_in(pool: bytes) -> bool:
    """Tell whether the pool of a record is open."""
    return pool[_STATUS_AT] == PoolStatus.OPEN


def _status(number: int) -> PoolStatus:
    if number >= len(_STATUSES):
        raise ValueError(f"expected a PoolStatus from 0 to {len(_STATUSES) - 1}, given {number}")
    return _STATUSES[number]


def encode_burned(burned: int) -> bytes | None:
    """Return the 16 bytes of the total ever burned; None while nothing was."""
    return burned.to_bytes(_AMOUNT, "big") if burned else None


def decode_burned(data: bytes | None) -> int:
    """Return the total ever burned; 0 for the absent record."""
    return int.from_bytes(data, "big") if data else 0


def account_key(address: bytes) -> bytes:
    """Return the state key of an account."""
    return b"a" + address


def pool_key(cptx_hash: bytes) -> bytes:
    """Return the state key of a pool."""
    return b"p" + cptx_hash


def target_key(cptx_hash: bytes, target: bytes) -> bytes:
    """Return the state key of a (pool, target) record."""
    return b"t" + cptx_hash + target


def tree_key(key: bytes) -> bytes:
    """Return the 32-byte key under which the state tree commits to the record of a state key.

    The same as `crypto.state_proof` says of an address or a cptxHash: its tags are the letters of the state keys.
    """
    return tree_keys([key])[0]


def tree_keys(keys: list[bytes]) -> list[bytes]:
    """Return the tree key of each state key."""
    return [
        digest if key[:1] in _UNCLUSTERED else key[1:_CLUSTER_END] + digest[:_CLUSTERED_DIGEST]
        for key, digest in zip(keys, hash_each(keys), strict=True)
    ]


def _check_length(data: bytes, expected: int) -> None:
    if len(data) != expected:
        raise ValueError(f"expected a record of {expected} bytes, given {len(data)}")

"""The state as a transition sees it: typed records over a reader of committed bytes.

Reads come from the parent, writes stay here. Nothing is ever written through: who owns the storage takes `changes`.
"""

from __future__ import annotations

from typing import Protocol

from .records import (
    ABSENT_ACCOUNT,
    ABSENT_TARGET,
    BURNED_KEY,
    Account,
    Pool,
    Target,
    account_key,
    decode_burned,
    encode_burned,
    pool_key,
    target_key,
)


class StateReader(Protocol):
    """One committed state, of one height."""

    def get(self, key: bytes) -> bytes | None:
        """Return the encoded record under a state key, or None where it is absent."""

    def due_pools(self, height: int, limit: int) -> list[bytes]:
        """Return the ids of open pools with expiresAt <= height, in the order (expiresAt, id), at most `limit`."""


class State:
    """A scratch copy of a state: what is written here is seen here and nowhere else."""

    __slots__ = ("_accounts", "_before", "_burned", "_parent", "_pools", "_targets")

    def __init__(self, parent: StateReader) -> None:
        """Start with no changes over `parent`."""
        self._parent = parent
        self._accounts: dict[bytes, Account] = {}
        self._pools: dict[bytes, Pool] = {}
        self._targets: dict[bytes, Target] = {}
        self._burned: int | None = None
        self._before: dict[bytes, bytes | None] = {}

    def account(self, address: bytes) -> Account:
        """Return the account of a 20-byte address; zeros where there is none."""
        key = account_key(address)
        found = self._accounts.get(key)
        if found is None:
            record = self._read(key)
            found = Account.decode(record) if record else ABSENT_ACCOUNT
        return found

    def put_account(self, address: bytes, account: Account) -> None:
        """Write an account."""
        key = account_key(address)
        self._remember(key)
        self._accounts[key] = account

    def credit(self, address: bytes, amount: int) -> None:
        """Add `amount` base units to a balance; crediting nothing writes nothing."""
        if amount:
            before = self.account(address)
            self.put_account(address, Account(before.balance + amount, before.nonce))

    def pool(self, cptx_hash: bytes) -> Pool | None:
        """Return the pool with this id, also a closed one; None where there never was one."""
        key = pool_key(cptx_hash)
        found = self._pools.get(key)
        if found is None:
            record = self._read(key)
            found = Pool.decode(record) if record else None
        return found

    def put_pool(self, cptx_hash: bytes, pool: Pool) -> None:
        """Write a pool."""
        key = pool_key(cptx_hash)
        self._remember(key)
        self._pools[key] = pool

    def target(self, cptx_hash: bytes, target: bytes) -> Target:
        """Return what `target` has had from a pool; zeros where there was no settlement."""
        key = target_key(cptx_hash, target)
        found = self._targets.get(key)
        if found is None:
            record = self._read(key)
            found = Target.decode(record) if record else ABSENT_TARGET
        return found

    def put_target(self, cptx_hash: bytes, target: bytes, record: Target) -> None:
        """Write a (pool, target) record."""
        key = target_key(cptx_hash, target)
        self._remember(key)
        self._targets[key] = record

    @property
    def burned(self) -> int:
        """The total ever burned, in base units."""
        if self._burned is None:
            return decode_burned(self._read(BURNED_KEY))
        return self._burned

    def burn(self, amount: int) -> None:
        """Add to the total ever burned."""
        total = self.burned + amount
        self._remember(BURNED_KEY)
        self._burned = total

    def changes(self) -> dict[bytes, bytes | None]:
        """Return state key -> encoded record (None: absent) for all that differs from the parent, sorted by key."""
        after: dict[bytes, bytes | None] = {
            key: record.encode()
            for records in (self._accounts, self._pools, self._targets)
            for key, record in records.items()
        }
        if self._burned is not None:
            after[BURNED_KEY] = encode_burned(self._burned)
        before = self._before
        return {key: after[key] for key in sorted(after) if after[key] != before[key]}

    def before(self) -> dict[bytes, bytes | None]:
        """Return state key -> the parent's record, for every key that was written here."""
        return self._before

    def _read(self, key: bytes) -> bytes | None:
        return self._parent.get(key)

    def _remember(self, key: bytes) -> None:
        if key not in self._before:
            self._before[key] = self._parent.get(key)

"""The state as a transition sees it: typed records over a reader of committed bytes.

Reads come from the parent, writes stay here. Nothing is ever written through: who owns the storage takes `changes`.
"""

from __future__ import annotations

from typing import Any, Protocol

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
    """A scratch copy of a state: what is written here is seen here and nowhere else. Asks its parent once for a key."""

    __slots__ = ("_base", "_burned", "_parent", "_records", "_written")

    def __init__(self, parent: StateReader) -> None:
        """Start with no changes over `parent`."""
        self._parent = parent
        self._base: dict[bytes, bytes | None] = {}
        self._burned: int | None = None
        self._records: dict[bytes, Any] = {}
        self._written: set[bytes] = set()

    def account(self, address: bytes) -> Account:
        """Return the account of a 20-byte address; zeros where there is none."""
        key = account_key(address)
        found: Account | None = self._records.get(key)
        if found is None:
            record = self.original(key)
            found = self._records[key] = Account.decode(record) if record else ABSENT_ACCOUNT
        return found

    def put_account(self, address: bytes, account: Account) -> None:
        """Write an account."""
        self._write(account_key(address), account)

    def credit(self, address: bytes, amount: int) -> None:
        """Add `amount` base units to a balance; crediting nothing writes nothing."""
        if amount:
            before = self.account(address)
            self._write(account_key(address), Account(before.balance + amount, before.nonce))

    def pool(self, cptx_hash: bytes) -> Pool | None:
        """Return the pool with this id, also a closed one; None where there never was one."""
        key = pool_key(cptx_hash)
        found: Pool | None = self._records.get(key)
        if found is None:
            record = self.original(key)
            found = self._records[key] = Pool.decode(record) if record else None
        return found

    def put_pool(self, cptx_hash: bytes, pool: Pool) -> None:
        """Write a pool."""
        self._write(pool_key(cptx_hash), pool)

    def target(self, cptx_hash: bytes, target: bytes) -> Target:
        """Return what `target` has had from a pool; zeros where there was no settlement."""
        key = target_key(cptx_hash, target)
        found: Target | None = self._records.get(key)
        if found is None:
            record = self.original(key)
            found = self._records[key] = Target.decode(record) if record else ABSENT_TARGET
        return found

    def put_target(self, cptx_hash: bytes, target: bytes, record: Target) -> None:
        """Write a (pool, target) record."""
        self._write(target_key(cptx_hash, target), record)

    @property
    def burned(self) -> int:
        """The total ever burned, in base units."""
        return decode_burned(self.original(BURNED_KEY)) if self._burned is None else self._burned

    def burn(self, amount: int) -> None:
        """Add to the total ever burned."""
        self._burned = self.burned + amount

    def original(self, key: bytes) -> bytes | None:
        """Return the parent's record under a state key."""
        if key in self._base:
            return self._base[key]
        found = self._base[key] = self._parent.get(key)
        return found

    def encoded(self, key: bytes) -> bytes | None:
        """Return the record under a state key as it is now; None where it is absent."""
        if key == BURNED_KEY:
            return encode_burned(self.burned)
        if key not in self._written:
            return self.original(key)
        record: bytes | None = self._records[key].encode()
        return record

    def changes(self) -> dict[bytes, bytes | None]:
        """Return state key -> encoded record (None: absent) for all that differs from the parent, sorted by key."""
        base, records = self._base, self._records
        after: dict[bytes, bytes | None] = {key: records[key].encode() for key in self._written}
        if self._burned is not None:
            after[BURNED_KEY] = encode_burned(self._burned)
        return {key: after[key] for key in sorted(after) if after[key] != base[key]}

    def before(self) -> dict[bytes, bytes | None]:
        """Return state key -> the parent's record, for every key that was written here."""
        return {key: self._base[key] for key in self._touched()}

    def _touched(self) -> set[bytes]:
        return self._written if self._burned is None else {*self._written, BURNED_KEY}

    def _write(self, key: bytes, record: Account | Pool | Target) -> None:
        if key not in self._written:
            self.original(key)
            self._written.add(key)
        self._records[key] = record

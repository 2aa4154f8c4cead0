"""Looking at what a node has written, after it has stopped: figures of wrong results are worth nothing."""

from __future__ import annotations

from ledger.records import Account, account_key
from storage.chain_view import ChainView


class Wrong(Exception):
    """The node has not done what it was asked to; the argument says what was expected and what was found."""


def expect(what: str, expected: object, found: object) -> None:
    """Raise Wrong unless both are equal."""
    if expected != found:
        raise Wrong(f"{what}: expected {expected}, found {found}")


def expect_account(view: ChainView, address: bytes, expected: Account) -> None:
    """Raise Wrong unless the account at the head is this."""
    expect(f"account 0x{address.hex()}", expected, Account.decode(need(view, account_key(address))))


def need(view: ChainView, state_key: bytes) -> bytes:
    """Return a record at the head; raises Wrong where there is none."""
    record = view.get(state_key)
    if record is None:
        raise Wrong(f"there is no record of 0x{state_key.hex()}")
    return record

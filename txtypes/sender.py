"""What transactions of a sender with a nonce share: Transfer and CreatePool."""

from __future__ import annotations

from ledger.errors import Refusal
from ledger.records import ABSENT_ACCOUNT, Account, account_key
from ledger.state import State
from ledger.transaction import Lane, Records


def debit_sender(state: State, sender: bytes, nonce: int, cost: int) -> None:
    """Take `cost` base units from the sender and raise its nonce.

    Raises Refusal BAD_NONCE, NONCE_GAP or INSUFFICIENT_BALANCE, in this order, and changes nothing then.
    """
    account = state.account(sender)
    if nonce < account.nonce:
        raise Refusal("BAD_NONCE", f"nonce {account.nonce}", nonce)
    if nonce > account.nonce:
        raise Refusal("NONCE_GAP", f"nonce {account.nonce}", nonce)
    if account.balance < cost:
        raise Refusal("INSUFFICIENT_BALANCE", f"a balance of at least {cost}", account.balance)
    state.put_account(sender, Account(account.balance - cost, nonce + 1))


def account_has_grown(base: Records, now: Records) -> bool:
    """Tell whether the sender's account has received tokens since it was looked at, and sent nothing."""
    before, after = (Account.decode(record) if record else ABSENT_ACCOUNT for record in (base[0], now[0]))
    return before.nonce == after.nonce and before.balance <= after.balance


def sender_lane(sender: bytes, nonce: int) -> Lane:
    """Return the queue of one sender, in the order of nonces."""
    key = account_key(sender)
    return Lane(key, nonce, (key,))

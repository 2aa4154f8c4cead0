"""The supply equation (protocol section 5).

    balances + remaining deposits and collaterals of open pools + burned = genesis supply

Totals are carried along from block to block by what each block changes, so the equation is checked after every block
at no cost that grows with the state; a full count over all records is for `poolchain verify`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .errors import InvariantViolation
from .genesis import Genesis
from .records import BURNED_KEY, balance_in, decode_burned, locked_in


class Supply(NamedTuple):
    """Where all tokens are, in base units."""

    balances: int
    locked: int
    """Remaining deposits and collaterals of open pools."""
    burned: int

    @property
    def total(self) -> int:
        """The sum, which is always the genesis supply."""
        return self.balances + self.locked + self.burned


def count(records: Iterable[tuple[bytes, bytes | None]]) -> Supply:
    """Return the supply held by (state key, record) pairs."""
    held = dict(records)
    return advance(Supply(0, 0, 0), dict.fromkeys(held), held)


def advance(supply: Supply, before: Mapping[bytes, bytes | None], changes: Mapping[bytes, bytes | None]) -> Supply:
    """Return the supply after `changes`, given the records that were there before."""
    balances, locked, burned = supply
    for key, record in changes.items():
        kind = key[:1]
        if kind == b"a":
            balances += balance_in(record) - balance_in(before[key])
        elif kind == b"p":
            locked += locked_in(record) - locked_in(before[key])
        elif key == BURNED_KEY:
            burned += decode_burned(record) - decode_burned(before[key])
    return Supply(balances, locked, burned)


def check(supply: Supply, genesis: Genesis) -> None:
    """Raise InvariantViolation unless nothing was made or lost."""
    if supply.total != genesis.supply:
        raise InvariantViolation(
            f"the supply equation is broken: {supply.balances} + {supply.locked} + "
            f"{supply.burned} is not {genesis.supply}"
        )

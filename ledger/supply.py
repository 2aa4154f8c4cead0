"""The supply equation (protocol section 4, rule 3).

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
    balances = locked = burned = 0
    for key, record in records:
        if record is None:
            continue
        kind = key[:1]
        if kind == b"a":
            balances += balance_in(record)
        elif kind == b"p":
            locked += locked_in(record)
        elif key == BURNED_KEY:
            burned += decode_burned(record)
    return Supply(balances, locked, burned)


def advance(supply: Supply, before: Mapping[bytes, bytes | None], changes: Mapping[bytes, bytes | None]) -> Supply:
    """Return the supply after `changes`, given the records that were there before."""
    gone = count((key, before[key]) for key in changes)
    come = count(changes.items())
    balances, locked, burned = supply
    return Supply(
        balances - gone.balances + come.balances, locked - gone.locked + come.locked, burned - gone.burned + come.burned
    )


def check(supply: Supply, genesis: Genesis) -> None:
    """Raise InvariantViolation unless nothing was made or lost."""
    if supply.total != genesis.supply:
        raise InvariantViolation(
            f"the supply equation is broken: {supply.balances} + {supply.locked} + "
            f"{supply.burned} is not {genesis.supply}"
        )

"""The ledger against the reference model: pools of a few base units and blocks, one expiry in a block, no minimum fee.

`POOLCHAIN_DIFFERENTIAL_TRANSACTIONS` says how many transactions the four files of this kind compare in all.
"""

from __future__ import annotations

import pytest

from .duel import SEEDS, check_coverage, compare
from .traffic import Profile

PROFILE = Profile(
    "tiny",
    {"minFee": "0x0", "reward": "0x1", "minDuration": "0x1", "maxDuration": "0x5", "maxExpiriesPerBlock": "0x1"},
    funds=10**4,
    deposit_max=5,
    mistakes=0.08,
    over_signing=0.08,
    kinds=(2, 3, 6),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_ledger_agrees_with_the_model(seed: int) -> None:
    compare(PROFILE, seed)


def test_every_rule_and_every_outcome_is_met() -> None:
    check_coverage(PROFILE, unreachable=frozenset({"FEE_TOO_LOW"}))

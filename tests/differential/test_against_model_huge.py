"""The ledger against the reference model: amounts near 2^124, heights near 2^63.

`POOLCHAIN_DIFFERENTIAL_TRANSACTIONS` says how many transactions the four files of this kind compare in all.
"""

from __future__ import annotations

import pytest

from .duel import SEEDS, check_coverage, compare
from .traffic import Profile

PROFILE = Profile(
    "huge",
    {
        "minFee": hex(10**12),
        "reward": hex(10**18),
        "minDuration": "0x1",
        "maxDuration": hex(2**63 - 1),
        "maxExpiriesPerBlock": "0x64",
    },
    funds=2**124,
    deposit_max=2**117,
    mistakes=0.12,
    over_signing=0.05,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_ledger_agrees_with_the_model(seed: int) -> None:
    compare(PROFILE, seed)


def test_every_rule_and_every_outcome_is_met() -> None:
    check_coverage(PROFILE)

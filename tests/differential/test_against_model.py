"""The ledger against the reference model: the numbers of the small chain, everybody's mistakes.

`POOLCHAIN_DIFFERENTIAL_TRANSACTIONS` says how many transactions the four files of this kind compare in all.
"""

from __future__ import annotations

import pytest

from .duel import SEEDS, check_coverage, compare
from .traffic import Profile

PROFILE = Profile(
    "mixed",
    {"minFee": "0xa", "reward": "0x64", "minDuration": "0x2", "maxDuration": "0x32", "maxExpiriesPerBlock": "0x2"},
    funds=10**6,
    deposit_max=2000,
    mistakes=0.1,
    over_signing=0.08,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_ledger_agrees_with_the_model(seed: int) -> None:
    compare(PROFILE, seed)


def test_every_rule_and_every_outcome_is_met() -> None:
    check_coverage(PROFILE)

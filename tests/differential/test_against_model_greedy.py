"""The ledger against the reference model: every fifth payment over-signed, rewards at their cap.

`POOLCHAIN_DIFFERENTIAL_TRANSACTIONS` says how many transactions the four files of this kind compare in all.
"""

from __future__ import annotations

import pytest

from .duel import SEEDS, check_coverage, compare
from .traffic import Profile

PROFILE = Profile(
    "greedy",
    {"minFee": "0x1", "reward": "0x5", "minDuration": "0x3", "maxDuration": "0x3e8", "maxExpiriesPerBlock": "0xa"},
    funds=5 * 10**5,
    deposit_max=400,
    mistakes=0.08,
    over_signing=0.2,
    kinds=(1, 5, 8),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_ledger_agrees_with_the_model(seed: int) -> None:
    compare(PROFILE, seed)


def test_every_rule_and_every_outcome_is_met() -> None:
    check_coverage(PROFILE)

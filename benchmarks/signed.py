"""Signed transactions for the benchmarks: planned first, then signed by one process for every core.

Keys are numbers: the same number is the same key in every process, so that a plan is small and can be sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple, TypeVar

from crypto.eip712 import Domain
from crypto.signature import SigningKey
from poolchain.signing import sign_payment, sign_settlement, sign_transaction

FEE: Final = 10**12
"""Of every transaction: the devnet's minimum."""
_GROUP: Final = 500
_COLLATERAL_ABOVE: Final = 10**18 * 2
_RESOURCE: Final = sha256(b"a benchmark's film").digest()
Plan = TypeVar("Plan")


class PlannedPool(NamedTuple):
    """A CreatePool to be signed."""

    creator: int
    nonce: int
    deposit: int
    duration: int


class PlannedSettlement(NamedTuple):
    """A ServicePayment to be signed by both."""

    creator: int
    target: int
    cptx_hash: bytes
    tgt_seq: int
    amount: int


class PlannedTransfer(NamedTuple):
    """A Transfer to be signed."""

    sender: int
    to: bytes
    amount: int
    nonce: int


@lru_cache(maxsize=1 << 17)
def key(number: int) -> SigningKey:
    """Return the key with a number."""
    return SigningKey(sha256(b"Poolchain benchmark key %d" % number).digest())


def sign_pools(domain: Domain, plans: Sequence[PlannedPool]) -> list[bytes]:
    """Return the raw CreatePool of each plan; the collateral is two tokens above the deposit."""
    return _sign(_sign_pool, domain, plans)


def sign_settlements(domain: Domain, plans: Sequence[PlannedSettlement]) -> list[bytes]:
    """Return the raw ServicePayment of each plan."""
    return _sign(_sign_settlement, domain, plans)


def sign_transfers(domain: Domain, plans: Sequence[PlannedTransfer]) -> list[bytes]:
    """Return the raw Transfer of each plan."""
    return _sign(_sign_transfer, domain, plans)


def _sign(sign: Callable[[Domain, Plan], bytes], domain: Domain, plans: Sequence[Plan]) -> list[bytes]:
    """Return what `sign` makes of each plan, in the order of the plans."""
    groups = [(sign, domain, plans[at : at + _GROUP]) for at in range(0, len(plans), _GROUP)]
    if len(groups) < 2:
        return [sign(domain, plan) for plan in plans]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return [raw for group in pool.map(_sign_group, groups) for raw in group]


def _sign_group(work: tuple[Callable[[Domain, Any], bytes], Domain, Sequence[Any]]) -> list[bytes]:
    sign, domain, plans = work
    return [sign(domain, plan) for plan in plans]


def _sign_pool(domain: Domain, plan: PlannedPool) -> bytes:
    fields = {
        "resourceId": _RESOURCE,
        "deposit": plan.deposit,
        "collateral": plan.deposit + _COLLATERAL_ABOVE,
        "duration": plan.duration,
        "fee": FEE,
        "nonce": plan.nonce,
    }
    return sign_transaction("CreatePool", fields, key(plan.creator), domain)


def _sign_settlement(domain: Domain, plan: PlannedSettlement) -> bytes:
    target = key(plan.target)
    fields = {
        "target": target.address,
        "amount": plan.amount,
        "cptxHash": plan.cptx_hash,
        "tgtSeq": plan.tgt_seq,
        "fee": FEE,
    }
    return sign_settlement(fields, sign_payment(fields, key(plan.creator), domain), target, domain)


def _sign_transfer(domain: Domain, plan: PlannedTransfer) -> bytes:
    fields = {"to": plan.to, "amount": plan.amount, "fee": FEE, "nonce": plan.nonce}
    return sign_transaction("Transfer", fields, key(plan.sender), domain)

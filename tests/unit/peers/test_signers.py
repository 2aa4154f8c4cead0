"""Signers are recovered alone and in groups, and each asker hears of its own payment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from peers.payment import BadPayment, Payment
from peers.signers import FEW, GROUP_MAX, Signers

from .books import CREATOR, DOMAIN, STRANGER, pay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CROWD = 1_000


def asked(work: Callable[[Signers], Awaitable[None]]) -> None:
    async def run() -> None:
        signers = Signers(DOMAIN)
        try:
            async with asyncio.timeout(20):
                await work(signers)
        finally:
            signers.close()

    asyncio.run(run())


@pytest.mark.parametrize("under_way", [1, FEW, FEW + 1])
def test_one_payment_has_its_signer(under_way: int) -> None:
    async def work(signers: Signers) -> None:
        assert await signers.signer(pay(100), under_way) == CREATOR.address
        with pytest.raises(BadPayment):
            await signers.signer(Payment(pay(1).promise, bytes(64) + b"\x1b"), under_way)

    asked(work)


def test_everybody_in_a_crowd_hears_of_its_own_payment() -> None:
    payments = [pay(amount, key=(CREATOR, STRANGER)[amount % 2]) for amount in range(1, 5 * GROUP_MAX)]

    async def work(signers: Signers) -> None:
        found = await asyncio.gather(*(signers.signer(payment, CROWD) for payment in payments))
        assert found == [(CREATOR, STRANGER)[payment.promise.amount % 2].address for payment in payments]

    asked(work)


@pytest.mark.parametrize("others", [0, 3, 3 * GROUP_MAX])
def test_a_bad_signature_is_refused_to_its_asker_alone(others: int) -> None:
    bad = Payment(pay(1).promise, bytes(64) + b"\x1b")

    async def work(signers: Signers) -> None:
        asking = [signers.signer(payment, CROWD) for payment in [*map(pay, range(1, others + 1)), bad]]
        *found, refused = await asyncio.gather(*asking, return_exceptions=True)
        assert found == [CREATOR.address] * others
        assert isinstance(refused, BadPayment)

    asked(work)


def test_whoever_goes_away_leaves_the_others_their_answers() -> None:
    async def work(signers: Signers) -> None:
        asking = [asyncio.create_task(signers.signer(pay(amount), CROWD)) for amount in range(1, 3 * GROUP_MAX)]
        await asyncio.sleep(0)
        for task in asking[::2]:
            task.cancel()
        assert await asyncio.gather(*asking[1::2]) == [CREATOR.address] * len(asking[1::2])
        assert await signers.signer(pay(1), CROWD) == CREATOR.address

    asked(work)

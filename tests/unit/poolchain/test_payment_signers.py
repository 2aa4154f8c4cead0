"""Signers of payments are found alone and in a crowd, and each asker hears of its own payment."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest

from peers.payment import BadPayment, Payment
from poolchain.payment_signers import IN_PLACE_MAX, PaymentSigners
from poolchain.verifier_pool import GROUP_MAX
from tests.unit.peers.books import CREATOR, DOMAIN, STRANGER, pay

from .pools import run_closing, until

BAD = Payment(pay(1).promise, bytes(64) + b"\x1b")
CROWD = 5 * GROUP_MAX


def asked(work: Callable[[PaymentSigners], Awaitable[None]]) -> None:
    run_closing(lambda: PaymentSigners(DOMAIN), work)


def pids(signers: PaymentSigners) -> list[int]:
    return signers._pool.pids


def test_few_are_looked_at_without_a_process() -> None:
    async def work(signers: PaymentSigners) -> None:
        found = await asyncio.gather(*(signers.signer(pay(amount)) for amount in range(1, IN_PLACE_MAX + 1)))
        assert found == [CREATOR.address] * IN_PLACE_MAX
        with pytest.raises(BadPayment, match="1 <= r < n"):
            await signers.signer(BAD)
        assert pids(signers) == []

    asked(work)


def test_everybody_in_a_crowd_hears_of_its_own_payment() -> None:
    payments = [pay(amount, key=(CREATOR, STRANGER)[amount % 2]) for amount in range(1, CROWD)]

    async def work(signers: PaymentSigners) -> None:
        found = await asyncio.gather(*map(signers.signer, payments))
        assert found == [(CREATOR, STRANGER)[payment.promise.amount % 2].address for payment in payments]
        assert len(pids(signers)) == 1

    asked(work)


@pytest.mark.parametrize("others", [0, IN_PLACE_MAX, 3 * GROUP_MAX])
def test_a_bad_signature_is_refused_to_its_asker_alone(others: int) -> None:
    async def work(signers: PaymentSigners) -> None:
        asking = [signers.signer(payment) for payment in [*map(pay, range(1, others + 1)), BAD]]
        *found, refused = await asyncio.gather(*asking, return_exceptions=True)
        assert found == [CREATOR.address] * others
        assert isinstance(refused, BadPayment)
        assert "1 <= r < n" in str(refused)

    asked(work)


def test_whoever_goes_away_leaves_the_others_their_answers() -> None:
    async def work(signers: PaymentSigners) -> None:
        asking = [asyncio.create_task(signers.signer(pay(amount))) for amount in range(1, CROWD)]
        await asyncio.sleep(0)
        for task in asking[::2]:
            task.cancel()
        assert await asyncio.gather(*asking[1::2]) == [CREATOR.address] * len(asking[1::2])
        assert await signers.signer(pay(1)) == CREATOR.address

    asked(work)


def test_a_killed_process_costs_nobody_an_answer_and_has_a_successor() -> None:
    async def work(signers: PaymentSigners) -> None:
        await asyncio.gather(*(signers.signer(pay(amount)) for amount in range(1, CROWD)))
        asking = [asyncio.create_task(signers.signer(pay(amount))) for amount in range(1, CROWD)]
        await asyncio.sleep(0)
        killed = pids(signers)
        os.kill(killed[0], signal.SIGKILL)
        assert await asyncio.gather(*asking) == [CREATOR.address] * len(asking)
        await until(lambda: pids(signers) != killed)
        assert await asyncio.gather(*(signers.signer(pay(amount)) for amount in range(1, CROWD)))
        await until(lambda: len(pids(signers)) == 1)

    asked(work)

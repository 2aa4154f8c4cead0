"""Signers are found on the spot."""

from __future__ import annotations

import asyncio

import pytest

from peers.payment import BadPayment, Payment
from peers.signers import SignersInPlace

from .books import CREATOR, DOMAIN, STRANGER, pay


def test_each_payment_has_its_signer_and_a_bad_one_none() -> None:
    async def run() -> None:
        signers = SignersInPlace(DOMAIN)
        assert await signers.signer(pay(100)) == CREATOR.address
        assert await signers.signer(pay(100, key=STRANGER)) == STRANGER.address
        with pytest.raises(BadPayment, match="1 <= r < n"):
            await signers.signer(Payment(pay(1).promise, bytes(64) + b"\x1b"))
        await signers.close()

    asyncio.run(run())

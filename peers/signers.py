"""Who signed a payment: what costs most of selling a chunk, and needs nothing of what a cacher knows.

A cacher is handed what finds it, so that a program may use other processes for it. Here is what does without.
"""

from __future__ import annotations

from typing import Protocol

from crypto.eip712 import Domain

from .payment import BadPayment, Payment, signer_of


class Signers(Protocol):
    """Finds the signers of payments on one chain."""

    async def signer(self, payment: Payment) -> bytes:
        """Return the address that signed; raises BadPayment."""

    async def close(self) -> None:
        """Give back what it uses; whoever has asked before is answered."""


class SignersInPlace:
    """Does it at once, on the caller's thread."""

    def __init__(self, domain: Domain) -> None:
        """Find signers for one chain."""
        self._domain = domain

    async def signer(self, payment: Payment) -> bytes:
        """Return the address that signed; raises BadPayment."""
        return payment.signer(self._domain)

    async def close(self) -> None:
        """Nothing is held."""


def find_signer(payment: bytes, domain: Domain) -> bytes | str:
    """Return the address that signed the 193 bytes of a payment, or why that cannot be told, for another process."""
    try:
        return signer_of(payment, domain)
    except BadPayment as error:
        return str(error)

"""Who signed a payment, found in a process of its own where a cacher is asked by many.

Recovering takes as long as all else about a sale. A thread for it would wait for the interpreter's lock after each.
"""

from __future__ import annotations

from typing import Final

from crypto.eip712 import Domain
from peers.payment import BadPayment, Payment
from peers.signers import find_signer

from .verifier_pool import VerifierPool

IN_PLACE_MAX: Final = 8
"""At the same moment. As many ask a cacher of few viewers, for which a process would be a waste."""


class PaymentSigners:
    """Finds signers for one chain: `peers.signers.Signers`. Used on the event loop's thread."""

    def __init__(self, domain: Domain) -> None:
        """Begin without a process; one keeps up with what a cacher's loop can do."""
        self._pool = VerifierPool(find_signer, domain, _signer, processes_max=1, in_place_max=IN_PLACE_MAX)

    async def signer(self, payment: Payment) -> bytes:
        """Return the address that signed; raises BadPayment."""
        found = await self._pool.one(payment.encode())
        if isinstance(found, BadPayment):
            raise found
        return found

    async def close(self) -> None:
        """End the process; what still waits is looked at here."""
        await self._pool.close()


def _signer(_: bytes, found: bytes | str) -> bytes | BadPayment:
    return BadPayment(found) if isinstance(found, str) else found

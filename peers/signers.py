"""Who signed a payment: what costs most of selling a chunk, and needs nothing of what the event loop owns.

While few ask, a payment is looked at in place: a hop to a thread and back would cost about as much. Where many ask, a
thread of its own works through them in groups while the loop goes on with the rest: libsecp256k1 runs without the
interpreter's lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from crypto.eip712 import Domain

from .payment import BadPayment, Payment
from .worker import Worker

FEW: Final = 8
"""Others who are under way: two viewers, as a rule."""
GROUP_MAX: Final = 64
"""So many at most before the loop hears of the first."""
_Waiting = tuple[Payment, "asyncio.Future[bytes]"]


class Signers:
    """Recovers signers for one domain. Used by one event loop."""

    def __init__(self, domain: Domain) -> None:
        """Begin with nothing to do."""
        self._domain = domain
        self._worker = Worker("signers")
        self._waiting: list[_Waiting] = []
        self._is_awaited = False
        """Whether `_next` will be called."""

    async def signer(self, payment: Payment, under_way: int) -> bytes:
        """Return the address that signed, while so many others are under way; raises BadPayment."""
        if under_way <= FEW:
            return payment.signer(self._domain)
        loop = asyncio.get_running_loop()
        found: asyncio.Future[bytes] = loop.create_future()
        self._waiting.append((payment, found))
        if not self._is_awaited:
            self._is_awaited = True
            loop.call_soon(self._next)  # after everybody who asks in this round of the loop
        return await found

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    def _next(self) -> None:
        """Begin with the next group."""
        group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
        payments = [payment for payment, _ in group]
        self._worker.do(lambda: recover_all(payments, self._domain), lambda signers: self._found(group, signers))

    def _found(self, group: Sequence[_Waiting], signers: Sequence[bytes | Exception] | Exception) -> None:
        if self._waiting:
            self._next()
        else:
            self._is_awaited = False
        _tell(group, [signers] * len(group) if isinstance(signers, Exception) else signers)


def recover_all(payments: Sequence[Payment], domain: Domain) -> Sequence[bytes | Exception]:
    """Return for each payment who signed it, or why that cannot be told."""
    return [_recover(payment, domain) for payment in payments]


def _recover(payment: Payment, domain: Domain) -> bytes | BadPayment:
    try:
        return payment.signer(domain)
    except BadPayment as error:
        return error


def _tell(group: Sequence[_Waiting], signers: Sequence[bytes | Exception]) -> None:
    for (_, future), signer in zip(group, signers, strict=True):
        if future.done():  # whoever asked went away
            continue
        if isinstance(signer, bytes):
            future.set_result(signer)
        else:
            future.set_exception(signer)

"""Raw transactions are checked in processes of their own; what they are is read here."""

from __future__ import annotations

import os
from collections.abc import Sequence

from crypto.eip712 import Domain
from ledger.errors import Refusal
from ledger.transaction import AnyTransaction, Transaction
from txtypes.table import kind_of

from .transaction_check import Refused, Verified, verify
from .verifier_pool import VerifierPool

Decoded = AnyTransaction | Refusal


class Verifiers:
    """Checks raw transactions of one chain. Used on the event loop's thread."""

    def __init__(self, domain: Domain, processes_max: int | None = None) -> None:
        """Begin without processes; `processes_max` is the number of cores by default."""
        processes_max = processes_max or os.cpu_count() or 1
        self._pool = VerifierPool(verify, domain, _decoded, processes_max=processes_max)

    @property
    def pids(self) -> list[int]:
        """The processes that there are: none before there is much to do."""
        return self._pool.pids

    async def decode(self, raw: bytes) -> AnyTransaction:
        """Return a checked transaction; raises Refusal."""
        found = await self._pool.one(raw)
        if isinstance(found, Refusal):
            raise found
        return found

    async def decode_many(self, raws: Sequence[bytes]) -> list[Decoded]:
        """Return for each raw transaction the checked one or its Refusal, in order."""
        return await self._pool.many(raws)

    async def close(self) -> None:
        """End the processes; what still waits is checked here."""
        await self._pool.close()


def _decoded(raw: bytes, found: Verified | Refused) -> Decoded:
    try:
        kind = kind_of(raw)
        fields = kind.decode(raw)
    except Refusal as refusal:
        return refusal
    return Refusal(*found) if len(found) == 3 else Transaction(kind, raw, found[0], fields, found[1])

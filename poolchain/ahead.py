"""Blocks made elsewhere, with their signatures checked ahead by other processes while earlier ones are executed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Final

from consensus.chain import Decode
from crypto.eip712 import Domain
from ledger.block import Block
from ledger.errors import Refusal
from ledger.transaction import AnyTransaction

from .verifiers import Decoded, Verifiers

TRANSACTIONS_AHEAD: Final = 5_000
"""Two of the largest blocks at most are held besides the one that is executed."""


async def decoded_ahead(blocks: Iterable[Block], domain: Domain) -> AsyncGenerator[tuple[Block, Decode], None]:
    """Yield each block, in order, with what decodes its transactions: a look-up, once they are checked.

    Consume it in `aclosing`: it ends the processes that it has started.
    """
    verifiers = Verifiers(domain)
    waiting: deque[tuple[Block, asyncio.Task[list[Decoded]]]] = deque()
    ahead = 0
    try:
        for block in blocks:
            waiting.append((block, asyncio.create_task(verifiers.decode_many(block.transactions))))
            ahead += len(block.transactions)
            while ahead > TRANSACTIONS_AHEAD or len(waiting) > TRANSACTIONS_AHEAD:
                first, task = waiting.popleft()
                ahead -= len(first.transactions)
                yield first, _found(await task)
        while waiting:
            first, task = waiting.popleft()
            yield first, _found(await task)
    finally:
        for _, task in waiting:
            task.cancel()
        await verifiers.close()


def _found(decoded: Sequence[Decoded]) -> Decode:
    """Return a Decode that answers what was found."""

    def decode(_: Sequence[bytes]) -> Sequence[AnyTransaction]:
        transactions = []
        for found in decoded:
            if isinstance(found, Refusal):
                raise found
            transactions.append(found)
        return transactions

    return decode

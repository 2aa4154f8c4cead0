"""A peer over a real socket that answers what a test has written down, and the seller that buys from it.

A resource of three chunks at 10, with a first payment of 20, from a pool of 1000.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from crypto.address import checksum_address
from peers.payer_ledger import PayerLedger
from peers.payment import Payment, Promise
from peers.purse import Purse
from peers.seller import Left, Offer, Seller, Terms
from peers.transfer import open_session

from .books import CREATOR, DOMAIN, POOL_ID, SELLER
from .manifests import single
from .serving import run, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

CONTENT = b"0123456789abcdefghijklmnopqrst"
MANIFEST = single(CONTENT)
PRICE, FIRST, DEPOSIT = 10, 20, 1000
TARGET = SELLER.address
TERMS = Terms(price_max=PRICE, first_amount_max=100, reply_seconds=0.3, block_seconds=0.5)
SILENCE = "silence"
Json = dict[str, Any]


@dataclass
class Peer:
    """Says what is next in its lists, the last for ever: (status, body), bytes, SILENCE, or None to hang up."""

    shakes: list[Any] = field(default_factory=lambda: [agreed()])
    sells: list[Any] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    handshakes: list[Json] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/handshake":
            self.handshakes.append(json.loads(await request.read()))
            return await self._say(request, self.shakes)
        assert request.path.startswith(f"/chunk/0x{MANIFEST.resource_id.hex()}/")
        self.payments.append(Payment.decode(bytes.fromhex(request.headers["Poolchain-Payment"][2:])))
        assert self.payments[-1].signer(DOMAIN) == CREATOR.address
        return await self._say(request, self.sells)

    async def _say(self, request: web.Request, answers: list[Any]) -> web.StreamResponse:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer == SILENCE:
            await asyncio.sleep(3600)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        status, body = answer
        return web.json_response(body, status=status, headers=self.headers)

    @property
    def amounts(self) -> list[tuple[int, int]]:
        return [(payment.promise.amount, payment.promise.tgt_seq) for payment in self.payments]


def agreed(**changes: Any) -> tuple[int, Json]:
    found = {
        "version": 1,
        "target": checksum_address(TARGET),
        "pricePerChunk": hex(PRICE),
        "firstAmount": hex(FIRST),
        "tgtSeq": "0x1",
        "paid": "0x0",
        "lastPayment": None,
    }
    return 200, {**found, **changes}


def chunk(index: int) -> bytes:
    return CONTENT[index * 10 : index * 10 + 10]


def demand(reason: str, amount: int, seq: int = 1, **more: Any) -> tuple[int, Json]:
    return 402, {"reason": reason, "amount": hex(amount), "tgtSeq": hex(seq), "lastPayment": None, **more}


def shown(amount: int, seq: int = 1, target: bytes = TARGET) -> str:
    return f"0x{Payment.sign(Promise(target, amount, POOL_ID, seq), CREATOR, DOMAIN).encode().hex()}"


@asynccontextmanager
async def dealing(
    peer: Peer, folder: Path, record: Json | None = None, terms: Terms = TERMS, **members: Any
) -> AsyncIterator[Seller]:
    """A seller that talks to this peer; `record` is what the chain's document says it was paid."""

    async def documents(cptx_hash: bytes, target: bytes) -> Json:
        assert (cptx_hash, target) == (POOL_ID, TARGET)
        return {"creation": 1, "poolState": 2, "targetState": {"record": record}}

    async with serving(peer.handle) as url, open_session() as session:
        with PayerLedger(folder / "pool.ledger", "chain", DEPOSIT) as ledger:
            purse = Purse(POOL_ID, DEPOSIT, ledger, CREATOR, DOMAIN)
            offer = Offer(url, TARGET, PRICE)
            yield Seller(session, offer, MANIFEST, purse=purse, terms=terms, documents=documents, **members)


def left(peer: Peer, folder: Path, work: Callable[[Seller], Awaitable[Any]], **more: Any) -> Left:
    """Why a peer is left."""
    found: list[Left] = []

    async def leaving() -> None:
        async with dealing(peer, folder, **more) as seller:
            with pytest.raises(Left) as caught:
                await work(seller)
            found.append(caught.value)

    run(leaving())
    return found[0]

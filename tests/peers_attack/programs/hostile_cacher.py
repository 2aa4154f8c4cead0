"""A cacher that takes the money: `main([conduct, secret, file, chunkBytes, price, firstAmount, chainId, genesis])`.

It believes every handshake, keeps every payment, and then does what its conduct says. `GET /holding` tells the newest
payment of each pool and what was delivered for it. It stops with its process.
"""

from __future__ import annotations

import asyncio
import json
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.signature import SigningKey
from peers.chunk_store import OriginFiles, cut_path
from peers.payment import Payment, Promise

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

LATE_S: Final = 1.0
"""Longer than the viewers of the attacks wait."""


class Thief:
    """What all of them do: keep the money. A conduct is a method that answers a paid request."""

    def __init__(
        self, conduct: str, key: SigningKey, source: OriginFiles, price: int, first: int, domain: Domain
    ) -> None:
        self.conduct = conduct
        self.key, self.source, self.price, self.first, self.domain = key, source, price, first, domain
        self.best: dict[str, Payment] = {}
        self.delivered = 0
        self.requests = 0
        self.handshakes = 0
        self.answer: Callable[[web.Request, Payment, int], Awaitable[web.StreamResponse]] = getattr(self, conduct)

    def terms(self) -> dict[str, str]:
        return {
            "target": checksum_address(self.key.address),
            "pricePerChunk": hex(self.price),
            "firstAmount": hex(self.first),
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        kind = request.path.split("/")[1]
        if kind == "offer":
            return web.json_response(self.terms())
        if kind == "holding":
            held = {pool: f"0x{payment.encode().hex()}" for pool, payment in self.best.items()}
            return web.json_response({"held": held, "delivered": self.delivered, "requests": self.requests})
        if kind == "handshake":
            self.handshakes += 1
            body: dict[str, Any] = json.loads(await request.read())
            return web.json_response(self.agreement(body))
        if kind != "chunk":
            return web.json_response({"reason": "UNKNOWN_PATH"}, status=404)
        self.requests += 1
        payment = Payment.decode(bytes.fromhex(request.headers["Poolchain-Payment"][2:]))
        pool = payment.promise.cptx_hash.hex()
        if pool not in self.best or payment.promise.amount > self.best[pool].promise.amount:
            self.best[pool] = payment
        return await self.answer(request, payment, int(request.path.split("/")[3]))

    def agreement(self, body: dict[str, Any]) -> dict[str, Any]:
        pool = body["creation"]["transactionHash"][2:] if "transactionHash" in body["creation"] else ""
        last = self.best.get(pool)
        shown = None if last is None else f"0x{last.encode().hex()}"
        found = {**self.terms(), "version": 1, "tgtSeq": "0x1", "paid": "0x0", "lastPayment": shown}
        if self.conduct == "claims_paid":
            found |= {"paid": hex(10**24), "lastPayment": self._forged(bytes(32))}
        if self.conduct == "claims_sequence":
            found |= {"tgtSeq": hex(7 + self.handshakes)}
        return found

    # Conducts

    async def nothing(self, *_: object) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    async def hangs_up(self, request: web.Request, *_: object) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def garbage(self, _: web.Request, __: Payment, index: int) -> web.StreamResponse:
        return web.Response(body=b"\x00" * self.source.manifest.chunk_size(index))

    async def too_much(self, *_: object) -> web.StreamResponse:
        return web.Response(body=b"\x00" * (8 << 20))

    async def another_chunk(self, _: web.Request, __: Payment, index: int) -> web.StreamResponse:
        return web.Response(body=self.source.read((index + 1) % self.source.manifest.chunk_count))

    async def slowly(self, request: web.Request, _: Payment, index: int) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data := self.source.read(index))
        await response.prepare(request)
        for byte in data:
            await response.write(bytes([byte]))
            await asyncio.sleep(LATE_S / 10)
        return response

    async def late(self, _: web.Request, __: Payment, index: int) -> web.StreamResponse:
        await asyncio.sleep(LATE_S)
        return web.Response(body=self.source.read(index))

    async def half(self, request: web.Request, _: Payment, index: int) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data := self.source.read(index))
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        assert request.transport is not None
        request.transport.abort()
        return response

    async def sells_three(self, request: web.Request, payment: Payment, index: int) -> web.StreamResponse:
        """Be honest at first."""
        if self.delivered == 3:
            return await self.hangs_up(request, payment, index)
        due = max(self.first, self.price * (self.delivered + 1))
        if payment.promise.amount < due:
            return _demand("PAYMENT_REQUIRED", due)
        self.delivered += 1
        return web.Response(body=self.source.read(index))

    async def greedy(self, _: web.Request, payment: Payment, __: int) -> web.StreamResponse:
        return _demand("PAYMENT_REQUIRED", payment.promise.amount + self.price)

    async def creeps(self, _: web.Request, payment: Payment, __: int) -> web.StreamResponse:
        return _demand("PAYMENT_REQUIRED", payment.promise.amount + 1)

    async def forgets(self, _: web.Request, payment: Payment, __: int) -> web.StreamResponse:
        """Ask for another handshake, then for one more chunk's price, and so on."""
        if self.requests % 2:
            return web.json_response({"reason": "NO_HANDSHAKE"}, status=403)
        return _demand("PAYMENT_REQUIRED", payment.promise.amount + max(self.price, self.first))

    async def returns(self, request: web.Request, payment: Payment, index: int) -> web.StreamResponse:
        """In every purchase of a viewer ask once for another chunk's price."""
        if payment.promise.amount < self.handshakes * max(self.price, self.first):
            return _demand("PAYMENT_REQUIRED", self.handshakes * max(self.price, self.first))
        return await self.hangs_up(request, payment, index)

    async def claims_sequence(self, _: web.Request, payment: Payment, __: int) -> web.StreamResponse:
        return _demand("WRONG_SEQUENCE", payment.promise.amount, payment.promise.tgt_seq + 1)

    async def claims_paid(self, _: web.Request, payment: Payment, __: int) -> web.StreamResponse:
        return _demand("PAYMENT_REQUIRED", 10**24 + self.price, last=self._forged(payment.promise.cptx_hash))

    async def capped(self, *_: object) -> web.StreamResponse:
        """Be busy settling, forever."""
        return _demand("CAP_REACHED", self.price)

    def _forged(self, pool: bytes) -> str:
        promise = Promise(self.key.address, 10**24, pool, 1)
        return f"0x{Payment.sign(promise, self.key, self.domain).encode().hex()}"


CONDUCTS: Final = [
    "nothing",
    "hangs_up",
    "garbage",
    "too_much",
    "another_chunk",
    "slowly",
    "late",
    "half",
    "sells_three",
    "greedy",
    "creeps",
    "forgets",
    "returns",
    "claims_sequence",
    "claims_paid",
]


def _demand(reason: str, amount: int, tgt_seq: int = 1, last: str | None = None) -> web.Response:
    body = {"reason": reason, "amount": hex(amount), "tgtSeq": hex(tgt_seq), "lastPayment": last}
    return web.json_response(body | {"retryAfterBlocks": "0x1"}, status=402)


async def _serve(thief: Thief) -> None:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", thief.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}"}), flush=True)
    for _ in count():
        await asyncio.sleep(60)


def main(arguments: list[str]) -> int:
    conduct, secret, file, chunk_bytes, price, first, chain_id, genesis = arguments
    path = Path(file)
    source = OriginFiles(path, cut_path(path, chunk_bytes=int(chunk_bytes), price_per_chunk=int(price)))
    domain = Domain.of(int(chain_id), bytes.fromhex(genesis))
    asyncio.run(_serve(Thief(conduct, SigningKey(bytes.fromhex(secret)), source, int(price), int(first), domain)))
    return 0

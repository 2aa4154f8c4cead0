"""A market in one process: a chain that needs no node, an origin, and cachers that obey docs/peers.md, or do not."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.signature import SigningKey
from ledger.records import ABSENT_TARGET, Pool, PoolStatus
from peers.chain_link import Parameters, ProvenRecords
from peers.chunk_store import OriginFiles, cut_path
from peers.payment import BadPayment, Payment, Promise
from txtypes.table import decode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from peers.manifest import Manifest

DOMAIN = Domain.of(20487, bytes(range(32)))
VIEWER = SigningKey(b"\x01" * 32)
PRICE = 1_000
FEE = 500
FIRST = 2 * FEE


class ToyChain:
    """Pools that exist as soon as they are submitted; it satisfies `pools_of_viewer.Chain`."""

    def __init__(self) -> None:
        self.domain = DOMAIN
        self.parameters = Parameters(block_interval=1, min_fee=FEE, reward=10_000)
        self.height = 1
        self.pools: dict[bytes, Pool] = {}
        self.rpc = self

    async def call(self, method: str, parameters: Mapping[str, Any] | None = None) -> Any:
        assert method == "eth_getTransactionCount", (method, parameters)
        return hex(len(self.pools))

    async def handshake_documents(self, cptx_hash: bytes, target: bytes) -> dict[str, Any]:
        return {"creation": cptx_hash.hex(), "poolState": None, "targetState": {"target": target.hex()}}

    async def records(self, cptx_hash: bytes, target: bytes) -> ProvenRecords:
        assert len(target) == 20
        return ProvenRecords(None, self.pools.get(cptx_hash), ABSENT_TARGET)  # type: ignore[arg-type]

    async def submit(self, raw: bytes) -> dict[str, Any]:
        transaction = decode(raw, DOMAIN)
        fields: Any = transaction.fields
        self.pools[keccak256(raw)] = Pool(
            creator=transaction.sender,
            resource_id=fields.resource_id,
            deposit=fields.deposit,
            collateral=fields.collateral,
            spent=0,
            created_at=self.height,
            expires_at=self.height + fields.duration,
            status=PoolStatus.OPEN,
        )
        return {}

    async def refresh(self) -> None:
        return None


@dataclass
class ToyCacher:
    """A cacher that obeys, as far as its fields do not say otherwise."""

    key: SigningKey
    source: OriginFiles
    price: int = PRICE
    first: int = FIRST
    garbage: bool = False
    wrong_chunk: bool = False
    silent: bool = False
    drops: int = 0
    """So many answers are lost after the payment was stored."""
    busy: int = 0
    wrong_seq_after: int | None = None
    cap_after: int | None = None
    inflated: int = 0
    greedy: bool = False
    lacks: frozenset[int] = frozenset()
    forgets_handshakes: int = 0
    delay_seconds: float = 0.0
    url: str = ""
    best: dict[str, Payment] = field(default_factory=dict)
    delivered: dict[str, int] = field(default_factory=dict)
    had: dict[str, set[int]] = field(default_factory=dict)
    tgt_seq: int = 1
    requests: int = 0

    @property
    def served(self) -> int:
        return sum(len(indices) for indices in self.had.values())

    @property
    def promised(self) -> int:
        return sum(payment.promise.amount for payment in self.best.values())

    def offer(self) -> dict[str, str]:
        return {
            "url": self.url,
            "target": checksum_address(self.key.address),
            "pricePerChunk": hex(self.price),
            "firstAmount": hex(self.first),
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        if request.path.startswith("/offer/"):
            return web.json_response(self.offer())
        if self.silent and request.path.startswith("/chunk/"):
            await asyncio.sleep(3600)
        if self.busy:
            self.busy -= 1
            return web.json_response({"reason": "NOT_READY"}, status=503)
        if request.path == "/handshake":
            return self._shake(json.loads(await request.read()))
        return await self._sell(request)

    def _shake(self, body: dict[str, Any]) -> web.Response:
        pool = body["creation"]
        assert body["targetState"]["target"] == self.key.address.hex()
        self.had.setdefault(pool, set())
        best = self.best.get(pool)
        self.delivered.setdefault(pool, best.promise.amount if best else 0)
        terms = {
            **self.offer(),
            "version": 1,
            "tgtSeq": hex(self.tgt_seq),
            "paid": "0x0",
            "lastPayment": self._last(pool),
        }
        return web.json_response(terms)

    def _last(self, pool: str) -> str | None:
        best = self.best.get(pool)
        if self.inflated:
            forged = Promise(self.key.address, self.inflated, bytes.fromhex(pool), self.tgt_seq)
            return "0x" + Payment.sign(forged, self.key, DOMAIN).encode().hex()
        return None if best is None else "0x" + best.encode().hex()

    async def _sell(self, request: web.Request) -> web.StreamResponse:
        index = int(request.path.split("/")[3])
        try:
            payment = Payment.decode(bytes.fromhex(request.headers["Poolchain-Payment"][2:]))
            assert payment.signer(DOMAIN) == VIEWER.address
        except (BadPayment, KeyError):
            return web.json_response({"reason": "BAD_PAYMENT"}, status=403)
        pool = payment.promise.cptx_hash.hex()
        if self.forgets_handshakes:
            self.forgets_handshakes -= 1
            self.had.pop(pool, None)
        if pool not in self.had:
            return web.json_response({"reason": "NO_HANDSHAKE"}, status=403)
        if index in self.lacks:
            return web.json_response({"reason": "UNKNOWN_CHUNK"}, status=404)
        refusal = self._account(pool, payment, index)
        if refusal is not None:
            return refusal
        if self.drops:
            self.drops -= 1
            assert request.transport is not None
            request.transport.abort()
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        data = self.source.read((index + 1) % self.source.manifest.chunk_count if self.wrong_chunk else index)
        return web.Response(body=b"garbage" if self.garbage else data)

    def _account(self, pool: str, payment: Payment, index: int) -> web.Response | None:
        best, amount = self.best.get(pool), payment.promise.amount
        extra = {"tgtSeq": hex(self.tgt_seq), "lastPayment": self._last(pool)}
        if best == payment and index in self.had[pool]:
            return None
        if self.wrong_seq_after is not None and len(self.had[pool]) >= self.wrong_seq_after:
            self.tgt_seq, self.wrong_seq_after = self.tgt_seq + 1, None
            extra["tgtSeq"] = hex(self.tgt_seq)
        least = self.delivered[pool] + self.price
        if best is None:
            least = max(least, self.first)
        if self.greedy:
            least += amount
        if payment.promise.tgt_seq != self.tgt_seq and payment != best:
            return web.json_response({"reason": "WRONG_SEQUENCE", "amount": hex(least), **extra}, status=402)
        if self.cap_after is not None and len(self.had[pool]) >= self.cap_after:
            return web.json_response({"reason": "CAP_REACHED", "retryAfterBlocks": "0x2"}, status=402)
        if amount < least or (best is not None and amount < best.promise.amount):
            return web.json_response({"reason": "PAYMENT_REQUIRED", "amount": hex(least), **extra}, status=402)
        self.best[pool] = payment
        self.delivered[pool] += self.price
        self.had[pool].add(index)
        return None


@dataclass
class Market:
    """An origin with a file, and cachers of it."""

    chain: ToyChain
    manifest: Manifest
    file: Path
    cachers: list[ToyCacher]
    origin_url: str
    origin_requests: list[str] = field(default_factory=list)
    origin_works: bool = True
    urls: list[str] = field(default_factory=list)

    async def origin(self, request: web.Request) -> web.Response:
        kind = request.path.split("/")[1]
        if kind == "peers":
            return web.json_response({"peers": [cacher.offer() for cacher in self.cachers]})
        if kind == "manifest":
            return web.json_response(self.manifest.to_json())
        self.origin_requests.append(request.path)
        if not self.origin_works:
            return web.json_response({"reason": "GONE"}, status=500)
        return web.Response(body=OriginFiles(self.file, self.manifest).read(int(request.path.split("/")[3])))


@asynccontextmanager
async def open_market(
    folder: Path, chunks: int = 40, chunk_bytes: int = 1000, *, cachers: list[dict[str, Any]]
) -> AsyncIterator[Market]:
    """Serve a file of so many chunks; each cacher with these fields."""
    file = folder / "film.bin"
    file.write_bytes(
        b"".join(keccak256(number.to_bytes(4)) * (chunk_bytes // 32 + 1) for number in range(chunks))[
            : chunks * chunk_bytes - 7
        ]
    )
    manifest = cut_path(file, chunk_bytes=chunk_bytes, price_per_chunk=PRICE)
    source = OriginFiles(file, manifest)
    keys = [SigningKey(bytes([number + 2]) * 32) for number in range(len(cachers))]
    toys = [ToyCacher(key, source, **fields) for key, fields in zip(keys, cachers, strict=True)]
    market = Market(ToyChain(), manifest, file, toys, "")
    runners = []
    try:
        for handle in [market.origin, *(toy.handle for toy in toys)]:
            app = web.Application()
            app.router.add_route("*", "/{tail:.*}", handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            runners.append(runner)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            market.urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        market.origin_url = market.urls[0]
        for toy, url in zip(toys, market.urls[1:], strict=True):
            toy.url = url
        yield market
    finally:
        for runner in runners:
            await runner.cleanup()

"""How many payments a cacher accepts: durable, below HTTP and through it, beside what the signatures alone would allow.

    python -m benchmarks.payments --pools 64 --chunks 200

Every pool has one viewer, who sends one payment after the other and waits for each chunk. All payments are signed
before the clock starts. Below HTTP, requests go to the cacher's own logic in this process; through HTTP, to a process
of its own over kept-alive connections, so that client and server share the machine. The chain is a real devnet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from crypto.address import checksum_address
from crypto.eip712 import Domain
from crypto.hashing import keccak256
from crypto.signature import recover
from ledger.records import ABSENT_TARGET, Pool, PoolStatus
from peers.book import Book, Caps
from peers.handshake import Terms
from peers.payment import Payment, Promise
from peers.payment_store import PaymentStore
from peers.till import charge, read_payment
from poolchain.devnet import devnet_keys
from poolchain.signing import sign_transaction
from tests.functional.cacher_process import CacherProcess
from tests.functional.node_process import NodeProcess

PRICE = 10**13
ALICE, BOB = devnet_keys().accounts[:2]
RECOVERIES = 5_000


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--pools", type=int, default=64, help="pools, each with one payment under way at a time")
    parser.add_argument("--chunks", type=int, default=200, help="payments from each pool")
    parser.add_argument("--chunk-bytes", type=int, default=1000)
    parser.add_argument("--folder", type=Path, help="where the stores are made: on the disk to be measured")
    found = parser.parse_args()
    signatures = measure_recoveries()
    print(f"signatures alone      {signatures:8.0f} recoveries/s on one core")
    with tempfile.TemporaryDirectory(dir=found.folder) as folder:
        for pools in sorted({1, 8, found.pools}):
            rate = asyncio.run(measure_below(Path(folder), pools, found.chunks))
            show(f"below HTTP, {pools:4}", rate, signatures)
        for pools in sorted({1, 8, found.pools}):
            with tempfile.TemporaryDirectory(dir=found.folder) as place:
                rate = measure_through(Path(place), pools, found.chunks, found.chunk_bytes)
            show(f"through HTTP, {pools:2}", rate, signatures)
    print(f"signatures alone      {measure_recoveries():8.0f} recoveries/s at the end")


def show(name: str, rate: float, signatures: float) -> None:
    """Print one line."""
    print(f"{name:21} {rate:8.0f} durable payments/s, {rate / signatures:.2f} of the signatures alone")


def measure_recoveries() -> float:
    """Return how many signers are recovered in a second."""
    payment = Payment.sign(Promise(BOB.address, 1, bytes(32), 1), ALICE, Domain.of(1, bytes(32)))
    digest = payment.promise.digest(Domain.of(1, bytes(32)))
    start = time.perf_counter()
    for _ in range(RECOVERIES):
        recover(digest, payment.signature)
    return RECOVERIES / (time.perf_counter() - start)


async def measure_below(folder: Path, pools: int, chunks: int) -> float:
    """Return the rate of: read the header, recover the signer, judge, write, sync."""
    domain = Domain.of(20487, bytes(32))
    caps = Caps(1 << 100, (1, 1))
    store = PaymentStore.open(folder / f"below-{pools}", domain.genesis_hash, BOB.address)
    pool = Pool(ALICE.address, bytes(32), chunks * PRICE, 1 << 100, 0, 1, 10**6, PoolStatus.OPEN)
    terms = Terms(bytes(32), PRICE, chunks, PRICE, 10**12, 10**18, 50, 1)
    books = [Book(number.to_bytes(32, "big"), BOB.address, pool, ABSENT_TARGET) for number in range(pools)]
    signed = [sign_all(book.cptx_hash, chunks, domain) for book in books]

    async def view(book: Book, headers: Sequence[str]) -> None:
        for index, header in enumerate(headers):
            payment = read_payment(header, terms)
            signer = payment.signer(domain)
            was_paid = await store.was_paid(book.cptx_hash, index)
            book = charge(book, payment, signer, terms, caps=caps, was_paid=was_paid)
            await store.save(book, index)

    start = time.perf_counter()
    await asyncio.gather(*map(view, books, signed))
    rate = pools * chunks / (time.perf_counter() - start)
    await store.close()
    return rate


def sign_all(cptx_hash: bytes, chunks: int, domain: Domain) -> list[str]:
    """Return the headers of all payments of one pool."""
    first = Promise(BOB.address, 0, cptx_hash, 1)
    promises = (replace(first, amount=PRICE * (index + 1)) for index in range(chunks))
    return [f"0x{Payment.sign(promise, ALICE, domain).encode().hex()}" for promise in promises]


def measure_through(folder: Path, pools: int, chunks: int, chunk_bytes: int) -> float:
    """Return the rate of whole requests to a cacher's process."""
    with NodeProcess(folder) as node:
        cacher = CacherProcess(folder, node.url, "--quiet", "1000", price=PRICE)
        content = [index.to_bytes(4, "big") * (chunk_bytes // 4) for index in range(chunks)]
        manifest = cacher.resource(content, chunk_bytes=chunk_bytes // 4 * 4)
        with cacher:
            domain = Domain.of(int(node.banner["chainId"], 16), bytes.fromhex(node.banner["genesisHash"][2:]))
            ids = create_pools(node, domain, manifest.resource_id, pools, chunks)
            for cptx_hash in ids:
                shake_hands(node, cacher, manifest.resource_id, cptx_hash)
            signed = [sign_all(cptx_hash, chunks, domain) for cptx_hash in ids]
            return asyncio.run(buy_all(cacher.url, manifest.resource_id, signed))


def create_pools(node: NodeProcess, domain: Domain, resource_id: bytes, pools: int, chunks: int) -> list[bytes]:
    """Commit pools whose deposit keeps every cap away."""
    deposit = 3 * chunks * PRICE
    raws = [
        sign_transaction(
            "CreatePool",
            {
                "resourceId": resource_id,
                "deposit": deposit,
                "collateral": deposit + 2 * 10**18,
                "duration": 100_000,
                "fee": 10**12,
                "nonce": nonce,
            },
            ALICE,
            domain,
        )
        for nonce in range(pools)
    ]
    for raw in raws:
        node.call("tx_submit", raw="0x" + raw.hex(), wait="committed")
    return [keccak256(raw) for raw in raws]


def shake_hands(node: NodeProcess, cacher: CacherProcess, resource_id: bytes, cptx_hash: bytes) -> None:
    """Show a pool to the cacher."""
    name = "0x" + cptx_hash.hex()
    body = {
        "version": 1,
        "resourceId": "0x" + resource_id.hex(),
        "creation": node.call("proof_getTransaction", name),
        "poolState": node.call("proof_getState", {"cptxHash": name}),
        "targetState": node.call("proof_getState", {"cptxHash": name, "target": checksum_address(BOB.address)}),
    }
    reply = cacher.request("POST", "/handshake", json.dumps(body).encode())
    if reply.status != 200:
        raise RuntimeError(reply.body.decode())


async def buy_all(url: str, resource_id: bytes, signed: Sequence[Sequence[str]]) -> float:
    """Return the rate at which all chunks came, one connection for each pool."""
    at = urlsplit(url)
    connections = [await asyncio.open_connection(at.hostname, at.port) for _ in signed]

    async def view(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], headers: Sequence[str]) -> None:
        reader, writer = connection
        for index, header in enumerate(headers):
            path = f"/chunk/0x{resource_id.hex()}/{index}"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\nPoolchain-Payment: {header}\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            body = await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
            if " 200 " not in head.split("\r\n")[0]:
                raise RuntimeError(body.decode())

    start = time.perf_counter()
    await asyncio.gather(*map(view, connections, signed))
    rate = sum(map(len, signed)) / (time.perf_counter() - start)
    for _, writer in connections:
        writer.close()
    return rate


if __name__ == "__main__":
    main()

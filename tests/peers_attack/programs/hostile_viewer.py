"""A viewer that wants more than it pays for: `main([conduct, node, secret, resourceId, folder, cacher …])`.

It prints {pool, got, answers}: the chunks it was given and every answer's reason, in order.
"""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crypto.address import parse_address
from crypto.eip712 import Domain
from crypto.signature import SigningKey
from light.verify import Trust
from peers.chain_link import ChainLink
from peers.node_rpc import NodeRpc
from peers.payment import Payment, Promise
from peers.pools_of_viewer import PoolTerms, ViewerPools
from peers.transfer import Answer, ask, open_session

Json = dict[str, Any]


class Fraud:
    """A viewer without a ledger. A conduct is a method."""

    def __init__(self, link: ChainLink, key: SigningKey, resource_id: str, folder: Path, urls: list[str]) -> None:
        self.link, self.key, self.resource_id, self.urls = link, key, resource_id, urls
        self.pools = ViewerPools(folder, link, key)
        self.session = open_session()
        self.got: list[int] = []
        self.answers: list[str] = []
        self.targets: dict[str, bytes] = {}
        self.price = self.count = 0
        self.pool = b""

    async def prepare(self, count: int, duration: int = 400) -> None:
        for url in self.urls:
            offer = (await ask(self.session, "GET", f"{url}/offer/{self.resource_id}", limit=9999)).json
            self.targets[url], self.price = parse_address(offer["target"]), int(offer["pricePerChunk"], 16)
        self.count = count
        self.pool = await self.new_pool(duration)

    async def new_pool(self, duration: int) -> bytes:
        terms = PoolTerms(self.count * self.price, duration)
        purse = await self.pools.create(bytes.fromhex(self.resource_id[2:]), terms, self.price)
        purse.ledger.close()
        return purse.cptx_hash

    async def documents(self, url: str) -> Json:
        return await self.link.handshake_documents(self.pool, self.targets[url])

    async def shake(self, url: str, documents: Json | None = None) -> Answer:
        found = await self.documents(url) if documents is None else documents
        body = json.dumps({"version": 1, "resourceId": self.resource_id, **found}).encode()
        answer = await ask(self.session, "POST", f"{url}/handshake", body=body, limit=99_999)
        if answer.status != 200:
            self.answers.append(answer.reason)
        return answer

    async def height_of(self, url: str) -> int:
        """The newest block that a cacher knows."""
        answer = await ask(self.session, "GET", f"{url}/status", limit=99_999)
        return int(answer.json["head"]["height"], 16)

    def promise(self, url: str, amount: int, tgt_seq: int = 1) -> Promise:
        return Promise(self.targets[url], amount, self.pool, tgt_seq)

    async def ask_for(self, url: str, index: int, payment: Payment | Promise) -> Answer:
        signed = Payment.sign(payment, self.key, self.link.domain) if isinstance(payment, Promise) else payment
        headers = {"Poolchain-Payment": f"0x{signed.encode().hex()}"}
        path = f"{url}/chunk/{self.resource_id}/{index}"
        answer = await ask(self.session, "GET", path, headers=headers, limit=99_999)
        if answer.status == 200:
            self.got.append(index)
        else:
            self.answers.append(answer.reason)
        return answer

    async def buy(self, url: str, start: int, stop: int, tgt_seq: int = 1) -> None:
        """Be honest for some chunks, as long as they are given."""
        for index in range(start, stop):
            answer = await self.ask_for(url, index, self.promise(url, (index + 1) * self.price, tgt_seq))
            if answer.status != 200:
                return

    # Conducts

    async def underpays(self, url: str, *_: str) -> None:
        await self.shake(url)
        await self.ask_for(url, 0, self.promise(url, self.price - 1))
        await self.ask_for(url, 0, self.promise(url, 0))
        await self.buy(url, 0, 1)
        await self.ask_for(url, 1, self.promise(url, 2 * self.price - 1))
        await self.ask_for(url, 1, self.promise(url, self.price - 1))

    async def replays(self, url: str, *_: str) -> None:
        await self.shake(url)
        payment = Payment.sign(self.promise(url, self.price), self.key, self.link.domain)
        await asyncio.gather(*(self.ask_for(url, index, payment) for index in range(10)))

    async def repeats(self, url: str, *_: str) -> None:
        """Fetch what was paid for again and again."""
        await self.shake(url)
        for _time in range(60):
            await self.ask_for(url, 0, self.promise(url, self.price))

    async def repeats_for_a_trifle(self, url: str, *_: str) -> None:
        """The same, with one base unit more each time."""
        await self.shake(url)
        for more in range(60):
            await self.ask_for(url, 0, self.promise(url, self.price + more))

    async def signs_wrongly(self, url: str, *_: str) -> None:
        await self.shake(url)
        domain, promise = self.link.domain, self.promise(url, 3 * self.price)
        another_chain = Domain.of(domain.chain_id + 1, domain.genesis_hash)
        another_genesis = Domain.of(domain.chain_id, bytes(32))
        for payment in (
            Payment.sign(promise, self.key, another_chain),
            Payment.sign(promise, self.key, another_genesis),
            Payment.sign(promise, SigningKey(b"\x09" * 32), domain),
            Payment.sign(Promise(b"\x09" * 20, 3 * self.price, self.pool, 1), self.key, domain),
            Payment(promise, bytes(65)),
            Payment(promise, Payment.sign(self.promise(url, 1), self.key, domain).signature),
        ):
            await self.ask_for(url, 0, payment)

    async def pays_from_another_pool(self, url: str, *_: str) -> None:
        await self.shake(url)
        self.pool = await self.new_pool(400)
        await self.buy(url, 0, 1)

    async def overdraws(self, url: str, *_: str) -> None:
        await self.shake(url)
        await self.ask_for(url, 0, self.promise(url, self.count * self.price + 1))

    async def over_signs(self, first: str, second: str) -> None:
        """Buy everything from one, half of it settled; and half once more from another."""
        half = self.count // 2
        await self.shake(first)
        await self.shake(second)
        await self.buy(first, 0, half)
        while (await self.link.records(self.pool, self.targets[first])).target.seq == 0:
            await asyncio.sleep(0.05)
            await self.ask_for(first, half, self.promise(first, half * self.price + 1))
        await self.buy(second, 0, half)
        await self.buy(first, half, self.count, tgt_seq=2)

    async def shows_forgeries(self, url: str, *_: str) -> None:
        good = await self.documents(url)
        former, self.pool = self.pool, await self.new_pool(400)
        other = await self.documents(url)
        self.pool = former
        richer = copy.deepcopy(good)
        richer["poolState"]["record"]["deposit"] = hex(10**24)
        unsealed = copy.deepcopy(good)
        unsealed["creation"]["seal"] = unsealed["creation"]["seal"][:-4] + "0000"
        for documents in (
            richer,
            unsealed,
            {**good, "poolState": other["poolState"]},
            {**good, "creation": other["creation"]},
            {**good, "targetState": good["poolState"]},
            {**good, "targetState": None},
        ):
            await self.shake(url, documents)
        await self.buy(url, 0, 1)

    async def uses_a_slashed_pool(self, url: str, other: str) -> None:
        """Have one's own pool slashed through one cacher, and show both what the pool was and what it is."""
        stale = await self.documents(other)
        await self.overdraws(url)
        while (found := (await self.link.records(self.pool, self.targets[url])).pool) and found.status.name == "OPEN":
            await asyncio.sleep(0.05)
            await self.link.refresh()
        await self.shake(url)
        await self.shake(other)
        self.answers.append("and the old proof:")
        await self.shake(other, stale)
        await self.buy(other, 0, self.count)

    async def shows_an_old_head(self, url: str, *_: str) -> None:
        """Hand in documents that the chain has left behind; then those of now."""
        old = await self.documents(url)
        await self.link.rpc.call("dev_mine", {"count": "0x2"})
        head = await self.link.refresh()
        while await self.height_of(url) < head.header.height:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.02)
        await self.shake(url, old)
        await self.buy(url, 0, 1)
        await self.shake(url)
        await self.buy(url, 0, 1)

    async def uses_an_expiring_pool(self, url: str, *_: str) -> None:
        self.pool = await self.new_pool(4)
        old = await self.documents(url)
        await self.shake(url)
        await self.buy(url, 0, 1)
        await self.link.rpc.call("dev_mine", {"count": "0x5"})
        await self.link.refresh()
        await self.shake(url)
        await self.shake(url, old)
        await self.buy(url, 0, 1)

    async def loses_replies(self, url: str, *_: str) -> None:
        """Hang up as soon as the request is sent; then ask the same again."""
        await self.shake(url)
        at = urlsplit(url)
        for index in range(self.count // 4):
            promise = self.promise(url, (index + 1) * self.price)
            header = f"0x{Payment.sign(promise, self.key, self.link.domain).encode().hex()}"
            lines = f"GET /chunk/{self.resource_id}/{index} HTTP/1.1\r\nHost: x\r\nPoolchain-Payment: {header}\r\n\r\n"
            with socket.create_connection((at.hostname or "", at.port or 0)) as lost:
                lost.sendall(lines.encode())
                if index % 2:
                    lost.recv(20)
            await self.ask_for(url, index, promise)


async def _run(arguments: list[str]) -> Json:
    conduct, node, secret, resource_id, count, folder, *urls = arguments
    rpc = NodeRpc(node)
    status = await rpc.call("chain_status")
    await rpc.close()
    trust = Trust(bytes.fromhex(status["authority"][2:]), bytes.fromhex(status["genesisHash"][2:]))
    place = Path(folder)
    await asyncio.to_thread(place.mkdir, parents=True, exist_ok=True)
    link = ChainLink(node, trust, place / "head.json")
    await link.connect()
    async with link.running():
        fraud = Fraud(link, SigningKey(bytes.fromhex(secret)), resource_id, place, urls)
        async with fraud.session:
            await fraud.prepare(int(count))
            await getattr(fraud, conduct)(*urls)
            return {"pool": f"0x{fraud.pool.hex()}", "got": fraud.got, "answers": fraud.answers}


def main(arguments: list[str]) -> int:
    sys.stdout.write(json.dumps(asyncio.run(_run(arguments))) + "\n")
    return 0

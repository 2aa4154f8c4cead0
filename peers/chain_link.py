"""A node as a light client uses it: whatever is believed of the chain was proven to the trusted authority's seal.

`ChainLink` follows the newest head over a WebSocket, or by asking where there is none, and moves only to heads that
continue the one it knows. The chain's parameters are those of the genesis file, which the trusted genesis hash covers.
While the node is away the last proven head stays, `away` says why, and it is tried again with growing pauses.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from crypto.address import checksum_address
from crypto.eip712 import Domain
from ledger.records import ABSENT_TARGET, Pool, Target, pool_key, target_key
from light.documents import ConsistencyProof, SealedHeader, StateDocument, read_document, read_sealed
from light.errors import ProofRefused
from light.genesis import verify_genesis
from light.head import Equivocation, HeadFollower
from light.verify import Trust, verify_record

from .node_rpc import COMMIT_SECONDS, Call, Json, NodeAway, NodeRefused, NodeRpc

T = TypeVar("T")
PAUSE_SECONDS: Final = (0.2, 10.0)
"""The first and the longest pause between two tries to reach a node."""
POOLS_PER_CALL: Final = 40
_log = logging.getLogger(__name__)


class NotTrusted(Exception):
    """The node is of another chain than the trusted one, or the authority has contradicted itself: stop."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the genesis sets; the interval in seconds, amounts in base units."""

    block_interval: int
    min_fee: int
    reward: int


@dataclass(frozen=True, slots=True)
class ProvenRecords:
    """A pool and one target's record in the state after a proven head; the pool is None where there is none."""

    head: SealedHeader
    pool: Pool | None
    target: Target


class ChainLink:
    """One node, and the newest head that was proven. One event loop uses it."""

    def __init__(self, url: str, trust: Trust, head_file: Path) -> None:
        """Take a node's URL, what is trusted, and the file that keeps the head; raises ValueError for a bad URL."""
        self.rpc = NodeRpc(url)
        self.trust = trust
        self.away: str | None = "not connected yet"
        """Why the node cannot be used now; None while it can."""
        self._seen_at = time.monotonic()
        self._unproven_at: float | None = None
        self._head_file = head_file
        # One thread, so that two writes of the head never meet, also when whoever waits for the first is cancelled.
        self._thread = ThreadPoolExecutor(1, "head")
        self._follower: HeadFollower | None = None
        self._domain: Domain | None = None
        self._parameters: Parameters | None = None
        self._moving = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._newest: SealedHeader | None = None
        self._arrived = asyncio.Event()

    # What is known

    @property
    def domain(self) -> Domain:
        """The signing domain of the trusted chain; only after `connect`."""
        return _known(self._domain)

    @property
    def parameters(self) -> Parameters:
        """What the proven genesis sets; only after `connect`."""
        return _known(self._parameters)

    @property
    def head(self) -> SealedHeader:
        """The newest proven head; only after `connect`."""
        return _known(None if self._follower is None else self._follower.head)

    @property
    def height(self) -> int:
        """The height of the newest proven head."""
        return self.head.header.height

    @property
    def away_seconds(self) -> float:
        """How long the node has not been usable, or has told of heads that it does not prove; 0 while all is well."""
        now = time.monotonic()
        silent = 0.0 if self.away is None else now - self._seen_at
        unproven = 0.0 if self._unproven_at is None else now - self._unproven_at
        return max(silent, unproven)

    async def wait_above(self, height: int) -> SealedHeader:
        """Wait for a proven head above a height and return it."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.height > height)
        return self.head

    # Connecting and following

    async def connect(self) -> None:
        """Prove the chain's parameters and a first head; raises NodeAway, NodeRefused, NotTrusted and ProofRefused."""
        document = await self._ask("chain_getGenesis", {})
        try:
            genesis = await self._in_thread(verify_genesis, document, self.trust)
        except ProofRefused as refused:
            if refused.reason == "WRONG_CHAIN":
                raise NotTrusted(f"the node is of another chain: {refused.detail}") from refused
            raise
        if self._follower is None:
            self._follower = await self._in_thread(HeadFollower, self.trust, genesis.chain_id, self._head_file)
            self._domain = genesis.domain(self.trust.genesis_hash)
        self._parameters = Parameters(genesis.block_interval, genesis.min_fee, genesis.reward)
        await self.refresh()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow the chain inside; close the connections at the end. `connect` comes first."""
        try:
            async with asyncio.TaskGroup() as tasks:
                following = [tasks.create_task(self._listen()), tasks.create_task(self._move_on_arrival())]
                try:
                    yield
                finally:
                    for task in following:
                        task.cancel()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections and let a head that is being written be finished."""
        await self.rpc.close()
        self._thread.shutdown()

    async def refresh(self) -> SealedHeader:
        """Ask for the newest head, prove it and return what is the newest then; raises as `connect`."""
        sealed = _sealed_answer(await self._ask("chain_getHeader", {"block": "latest"}))
        await self.move_to(sealed)
        return self.head

    async def move_to(self, sealed: SealedHeader) -> None:
        """Go on to a newer head if it continues the known one; raises NodeAway, NotTrusted and ProofRefused."""
        async with self._moving:
            follower = _known(self._follower)
            before = follower.head
            try:
                if before is None:
                    await self._in_thread(follower.accept_first, sealed)
                elif sealed.header.height <= before.header.height:
                    await self._in_thread(follower.notice, sealed)
                else:
                    await self._in_thread(follower.accept, await self._consistency(before, sealed))
            except Equivocation as error:
                raise NotTrusted(str(error)) from error
        if follower.head is not before:
            async with self._moved:
                self._moved.notify_all()

    async def _in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _consistency(self, known: SealedHeader, newer: SealedHeader) -> ConsistencyProof:
        names = {"from": _hex(known.hash), "to": _hex(newer.hash)}
        proof = read_document(await self._ask("proof_getConsistency", names))
        if not isinstance(proof, ConsistencyProof):
            raise ProofRefused("MALFORMED", "expected a proof of consistency")
        return proof

    async def _listen(self) -> None:
        """Take heads from subscriptions, one after the other, and ask once before each."""
        pause = PAUSE_SECONDS[0]
        while True:
            try:
                async with self.rpc.events("newHeads", {}) as events:
                    self._arrive(_sealed_answer(await self._ask("chain_getHeader", {"block": "latest"})))
                    pause = PAUSE_SECONDS[0]
                    async for event in events:
                        self._arrive(_sealed_answer(event))
                self.away = "the node has closed the connection"
            except (NodeAway, NodeRefused, ProofRefused) as error:
                self.away = str(error)
                if await self._poll_once():
                    pause = min(self.parameters.block_interval / 2, PAUSE_SECONDS[1])
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS[1])

    async def _poll_once(self) -> bool:
        """Where no subscription can be had, asking at every block's time is as good; tell whether there was an answer.

        A subscription is tried again before each.
        """
        try:
            self._arrive(_sealed_answer(await self._ask("chain_getHeader", {"block": "latest"})))
        except (NodeAway, NodeRefused, ProofRefused) as error:
            _log.info("no newer head: %s", error)
            return False
        return True

    def _arrive(self, sealed: SealedHeader) -> None:
        """Keep only the newest that was told: those in between need no look of their own."""
        if self._newest is None or sealed.header.height >= self._newest.header.height:
            self._newest = sealed
            self._arrived.set()

    async def _move_on_arrival(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            try:
                await self.move_to(_known(self._newest))
                self._unproven_at = None
            except (NodeAway, NodeRefused, ProofRefused) as error:
                self._newest = None
                self.away = f"a head was not proven: {error}"
                self._unproven_at = self._unproven_at or time.monotonic()
                _log.warning("%s", self.away)

    # Proven records

    async def records(self, cptx_hash: bytes, target: bytes) -> ProvenRecords:
        """Return a pool and a target's record, proven at the newest head; raises NodeAway and ProofRefused."""
        return (await self.many_records([cptx_hash], target))[0]

    async def many_records(self, pools: Sequence[bytes], target: bytes) -> list[ProvenRecords]:
        """Return the records of several pools, each call's against the newest head of its moment."""
        found: list[ProvenRecords] = []
        for start in range(0, len(pools), POOLS_PER_CALL):
            part = pools[start : start + POOLS_PER_CALL]
            found += await self._at_head(partial(self._records_at, part, target))
        return found

    async def _records_at(self, pools: Sequence[bytes], target: bytes, head: SealedHeader) -> list[ProvenRecords]:
        keys = [key for pool in pools for key in (pool_key(pool), target_key(pool, target))]
        answers = await self._ask_many([_state_call(key, head) for key in keys])
        records = [_proven(answer, key, head) for answer, key in zip(answers, keys, strict=True)]
        return [
            ProvenRecords(head, Pool.decode(pool) if pool else None, Target.decode(record) if record else ABSENT_TARGET)
            for pool, record in zip(records[::2], records[1::2], strict=True)
        ]

    async def handshake_documents(self, cptx_hash: bytes, target: bytes) -> Json:
        """Return {creation, poolState, targetState}, all against one proven head, as a viewer sends them.

        They are passed on as the node gave them: the cacher checks them, and so may the viewer.
        """

        async def fetch(head: SealedHeader) -> Json:
            creation: Call = ("proof_getTransaction", {"hash": _hex(cptx_hash), "head": _hex(head.hash)})
            keys = (pool_key(cptx_hash), target_key(cptx_hash, target))
            found = await self._ask_many([creation, *(_state_call(key, head) for key in keys)])
            return dict(zip(("creation", "poolState", "targetState"), found, strict=True))

        return await self._at_head(fetch)

    async def _at_head(self, fetch: Callable[[SealedHeader], Awaitable[T]]) -> T:
        """Fetch what is proven against the head; once more against a newer one where the state is gone already."""
        try:
            return await fetch(self.head)
        except NodeRefused as refused:
            if refused.reason not in {"NOT_READY", "NOT_FOUND", "HEAD_TOO_OLD", "HEAD_UNKNOWN"}:
                raise
            return await fetch(await self.refresh())

    # Transactions

    async def submit(self, raw: bytes) -> Json:
        """Submit a transaction and return {hash, receipt, proof} once it is in a block, as the node says.

        Raises NodeRefused with the reason (PENDING: in no block within 30 seconds) and NodeAway; after either the same
        call may be made again.
        """
        found = await self._ask("tx_submit", {"raw": _hex(raw), "wait": "committed"}, COMMIT_SECONDS)
        return dict(found)

    async def pool(self, raw: bytes) -> str:
        """Put a transaction into the mempool and return its hash; raises NodeRefused and NodeAway."""
        return str((await self._ask("tx_submit", {"raw": _hex(raw)}))["hash"])

    async def _ask(self, method: str, parameters: Json, seconds: float | None = None) -> Any:
        found = await self._note(
            self.rpc.call(method, parameters, seconds=seconds)
            if seconds is not None
            else self.rpc.call(method, parameters)
        )
        if not isinstance(found, dict):
            raise NodeAway(f"{self.rpc.url} answered {method} with something else")
        return found

    async def _ask_many(self, calls: Sequence[Call]) -> list[Any]:
        found: list[Any] = await self._note(self.rpc.call_many(calls))
        return found

    async def _note(self, answer: Any) -> Any:
        """Remember whether the node is there."""
        try:
            found = await answer
        except NodeAway as error:
            self.away = str(error)
            raise
        except NodeRefused:
            self._note_answer()
            raise
        self._note_answer()
        return found

    def _note_answer(self) -> None:
        self.away, self._seen_at = None, time.monotonic()


async def connect_patiently(link: ChainLink, on_away: Callable[[str], None], *, patience: float | None = None) -> None:
    """Connect, and try again while the node is away; `on_away` is told why.

    Raises NodeAway or NodeRefused after `patience` seconds, and what else `connect` raises at once.
    """
    deadline = None if patience is None else time.monotonic() + patience
    pause = PAUSE_SECONDS[0]
    while True:
        try:
            await link.connect()
        except (NodeAway, NodeRefused) as error:
            on_away(str(error))
            if deadline is not None and time.monotonic() + pause > deadline:
                raise
        else:
            return
        await asyncio.sleep(pause)
        pause = min(2 * pause, PAUSE_SECONDS[1])


def _state_call(key: bytes, head: SealedHeader) -> Call:
    name = {"cptxHash": _hex(key[1:33])} | ({"target": checksum_address(key[33:])} if key[:1] == b"t" else {})
    return "proof_getState", {"key": name, "block": _hex(head.hash)}


def _proven(answer: object, key: bytes, head: SealedHeader) -> bytes | None:
    """Return the record of a state proof against a proven head; raises ProofRefused."""
    document = read_document(answer)
    if not isinstance(document, StateDocument) or document.key != key or document.block.hash != head.hash:
        raise ProofRefused("WRONG_STATE", "expected the state proof that was asked for")
    verify_record(document)
    return document.record_bytes


def _sealed_answer(answer: object) -> SealedHeader:
    """Return the header of what chain_getHeader and newHeads answer; raises ProofRefused."""
    if not isinstance(answer, dict):
        raise ProofRefused("MALFORMED", "expected a header")
    return read_sealed(answer.get("headerBytes"), answer.get("seal"))


def _known(value: T | None) -> T:
    if value is None:
        raise NodeAway("no node has been reached yet")
    return value


def _hex(data: bytes) -> str:
    return "0x" + data.hex()

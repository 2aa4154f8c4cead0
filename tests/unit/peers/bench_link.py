"""A ChainLink on a chain in memory: the real methods and the real light client, without sockets, with faults.

Everything runs on the bench's own loop (`bench.runner.run`). A transaction that is submitted is mined at once unless
`is_sealing` is False.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from light.verify import Trust
from peers.chain_link import ChainLink
from peers.node_rpc import NodeAway, NodeRefused, NodeRpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from tests.node_bench import NodeBench

Json = dict[str, Any]


class BenchRpc(NodeRpc):
    """Calls go to the bench. `faults` are raised by the next submissions, one each; `lost` answers get lost."""

    def __init__(self, bench: NodeBench) -> None:
        super().__init__("http://127.0.0.1:1")
        self.bench = bench
        self.is_away = False
        self.is_sealing = True
        self.is_full = False
        """Whether blocks have no room for what is submitted."""
        self.faults: list[Exception | None] = []
        self.lost = 0
        self.submitted: list[str] = []
        self.before_submit: Callable[[], None] = lambda: None
        self._heads: list[asyncio.Queue[Any]] = []

    async def call(
        self,
        method: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        seconds: float = 10.0,  # noqa: ARG002  # nothing takes time here
    ) -> Any:
        if self.is_away:
            raise NodeAway("the bench is away")
        if method == "tx_submit":
            return await self._submit(dict(parameters or {}))
        return await self._answer(method, **(parameters or {}))

    async def call_many(self, calls: Sequence[tuple[str, Mapping[str, Any]]], *, seconds: float = 10.0) -> list[Any]:
        return [await self.call(method, parameters, seconds=seconds) for method, parameters in calls]

    @asynccontextmanager
    async def events(self, kind: str, parameters: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
        assert (kind, parameters) == ("newHeads", {})
        if self.is_away:
            raise NodeAway("the bench is away")
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._heads.append(queue)

        async def told() -> AsyncIterator[Any]:
            while True:
                yield await queue.get()

        yield told()

    async def mine(self, count: int = 1) -> None:
        await self._answer("dev_mine", hex(count))
        head = await self._answer("chain_getHeader", "latest")
        for queue in self._heads:
            queue.put_nowait(head)

    async def _submit(self, parameters: Json) -> Any:
        self.before_submit()
        self.submitted.append(parameters["raw"])
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if self.is_full:
            raise NodeRefused({"message": "pending", "data": {"reason": "PENDING"}})
        pooled = await self._answer("tx_submit", raw=parameters["raw"], wait="pooled", may_be_known=True)
        if not self.is_sealing:
            raise NodeRefused({"message": "pending", "data": {"reason": "PENDING"}})
        await self.mine()
        if self.lost:
            self.lost -= 1
            raise NodeAway("the answer was lost")
        return pooled

    async def _answer(self, method: str, *positional: Any, may_be_known: bool = False, **named: Any) -> Any:
        answer = await self.bench.ask(method, *positional, **named)
        if "error" in answer:
            reason = answer["error"]["data"]["reason"]
            if may_be_known and reason in {"ALREADY_KNOWN", "ALREADY_COMMITTED"}:
                return {"hash": answer["error"]["data"]["hash"], "receipt": None, "proof": None}
            raise NodeRefused(answer["error"])
        return answer["result"]


def bench_link(bench: NodeBench, folder: Path) -> tuple[ChainLink, BenchRpc]:
    """A link that is not connected yet, and its faulty transport."""
    trust = Trust(bench.genesis.authority, bench.domain.genesis_hash)
    link = ChainLink("http://127.0.0.1:1", trust, folder / "head.json")
    rpc = BenchRpc(bench)
    link.rpc = rpc
    return link, rpc

"""A node at work: chain, RPC and block maker in one process, until a signal or a failure of the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Thread

from crypto.signature import SigningKey
from rpc.application import Application
from rpc.dispatch import Dispatcher
from rpc.doors import WALLET_ORIGINS, Doors
from rpc.limits import Limits
from rpc.methods import ALL_METHODS
from rpc.ports import NodePort, Sealing
from rpc.registry import Registry

from .clock import Clock
from .http_server import serve
from .node import Node
from .opening import OpenChain
from .version import VERSION


class NodeFailed(Exception):
    """The node stopped because it could not write any more; the argument says why."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How a node runs."""

    host: str
    port: int
    sealing: Sealing
    pages: tuple[str, ...] = ()
    """Origins of web pages that may call the node, besides those of wallets."""
    faucet_key: SigningKey | None = None
    """The key that dev_faucet pays with: given on a devnet only, and makes it one."""
    limits: Limits = field(default_factory=Limits)


async def run_node(
    opened: OpenChain, key: SigningKey, settings: NodeSettings, on_started: Callable[[str, int], None]
) -> None:
    """Serve until SIGTERM or SIGINT; `on_started` gets the real address. Raises CannotListen and NodeFailed."""
    clock = Clock(opened.store.view().clock_offset())
    node = Node(
        opened.store,
        opened.authority(key),
        clock,
        settings.sealing,
        limits=settings.limits,
        faucet_key=settings.faucet_key,
    )
    registry: Registry[NodePort] = Registry(
        ALL_METHODS, title="Poolchain", version=VERSION, devnet=settings.faucet_key is not None
    )
    doors = Doors((settings.host,), (*WALLET_ORIGINS, *settings.pages))
    application = Application(Dispatcher(registry, node, settings.limits), why_not_ready=node.readiness, doors=doors)

    def started(host: str, port: int) -> None:
        on_started(host, port)
        # FastAPI is imported now, beside the first requests, and not before them.
        Thread(target=lambda: application.pages, name="pages").start()

    await serve(
        application,
        settings.host,
        settings.port,
        started,
        lifespan=_at_work(node),
        message_bytes_max=settings.limits.body_bytes_max,
        stop=node.maker.failed,
    )
    if node.maker.failure is not None:
        raise NodeFailed(node.maker.failure)


@asynccontextmanager
async def _at_work(node: Node) -> AsyncIterator[None]:
    """Make blocks while inside; finish the one in hand on the way out."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(node.run())
        try:
            yield
        finally:
            await node.stop()

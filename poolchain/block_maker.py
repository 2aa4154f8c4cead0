"""When blocks come: on transaction, by hand, or at an interval; one at a time, on one writer thread.

The event loop's thread owns the mempool, and lends it to the writer thread while a block is chosen and executed (see
`turns`). Recording, sealing and committing run on the writer thread as well; what arrives meanwhile waits for the next
block. The sync of what was committed comes after the answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, TypeVar

from consensus.authority import Authority, Begun
from consensus.mempool import Mempool
from ledger.executed import ExecutedBlock
from rpc.errors import StorageFailed
from rpc.ports import Sealing
from storage.kv import StorageError

from .clock import Clock
from .turns import Turns

ON_TRANSACTION: Final = "on-transaction"
MANUAL: Final = "manual"
_SMALL_BLOCK: Final = 16
"""Transactions that are executed on the event loop's thread: some milliseconds, and one change of threads less."""
T = TypeVar("T")
_log = logging.getLogger(__name__)


class BlockMaker:
    """Drives the authority of one node."""

    def __init__(
        self,
        authority: Authority,
        mempool: Mempool,
        clock: Clock,
        sealing: Sealing,
        follow: Callable[[Sequence[ExecutedBlock]], Awaitable[None]],
    ) -> None:
        """Take the parts; `follow` is awaited after every commit, while nobody judges."""
        self.sealing = sealing
        self.failure: str | None = None
        """Why nothing can be written any more."""
        self.failed = asyncio.Event()
        self._authority = authority
        self._mempool = mempool
        self._clock = clock
        self._follow = follow
        self._writer = ThreadPoolExecutor(1, "writer")
        self.turns = Turns()
        self._turn = asyncio.Lock()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = False
        self._begun: set[asyncio.Task[int]] = set()

    async def run(self) -> None:
        """Make blocks until `stop`; returns at once after a failure."""
        with suppress(StorageFailed):
            while not self._stopping and self.failure is None:
                if isinstance(self.sealing, int):
                    await self._sleep(self.sealing)
                else:
                    await self._arrived.wait()
                    self._arrived.clear()
                await self._produce_if_due()
        async with self._turn:  # what is begun is finished
            self._writer.shutdown()

    async def _sleep(self, seconds: int) -> None:
        """Return after the interval, or when the mode changes."""
        self._changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    async def _produce_if_due(self) -> None:
        """Make the block that the mode asks for now, if any."""
        if isinstance(self.sealing, int):
            if not self._changed.is_set():
                await self._produce()
        elif self.sealing == ON_TRANSACTION:
            while len(self._mempool) and not self._stopping:
                await self._produce(even_empty=False)

    def wake(self) -> None:
        """Tell that a transaction has come."""
        self._arrived.set()

    def set_sealing(self, mode: Sealing) -> None:
        """Change when blocks come, from the next one on."""
        self.sealing = mode
        self._changed.set()
        self._arrived.set()

    async def stop(self) -> None:
        """Finish the block in hand and make no more."""
        self._stopping = True
        self._changed.set()
        self._arrived.set()
        async with self._turn:
            pass

    async def mine(self, count: int) -> None:
        """Make `count` blocks: what is pending goes into the first of them, runs of empty ones share a commit."""
        while count > 0:
            making = self._produce() if len(self._mempool) else self._produce_empty(count)
            count -= await self._to_the_end(making)

    async def _to_the_end(self, making: Coroutine[Any, Any, int]) -> int:
        """Make blocks, also when whoever asked goes away: what is begun is executed, written and followed."""
        task = asyncio.create_task(making)
        self._begun.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[int]) -> None:
        self._begun.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked is told, if still there; the failure is kept in any case

    async def write(self, work: Callable[..., T], *arguments: object) -> T:
        """Run work that writes on the writer thread; raises StorageFailed when the disk failed, now or before."""
        with self._or_fail():
            return await asyncio.get_running_loop().run_in_executor(self._writer, work, *arguments)

    @contextmanager
    def _or_fail(self) -> Iterator[None]:
        """Do what leads to the next block, inside; raises StorageFailed when that goes wrong, or did before."""
        self.require_alive()
        try:
            yield
        except Exception as error:
            # Whatever it was: nothing that is built on it can be trusted.
            raise self.broken(error) from error

    async def _show(self, blocks: Sequence[ExecutedBlock]) -> None:
        """Bring the node to the new head."""
        try:
            with self.turns.closed():
                await self._follow(blocks)
        except StorageError as error:
            raise self.broken(error) from error

    def fail(self, reason: str) -> None:
        """Write nothing more and let the process end."""
        if self.failure is None:
            _log.critical("stopping: %s", reason)
            self.failure = reason
        self.failed.set()
        self._changed.set()
        self._arrived.set()

    def broken(self, error: Exception) -> StorageFailed:
        """Fail for this reason; return what whoever asked is told."""
        self.fail(str(error))
        return StorageFailed(str(error))

    def require_alive(self) -> None:
        """Raise StorageFailed after a failure: nothing may be acknowledged any more."""
        if self.failure is not None:
            raise StorageFailed(self.failure)

    @asynccontextmanager
    async def _making(self) -> AsyncIterator[None]:
        """Make blocks inside, one caller at a time; raises StorageFailed once no more are to be made."""
        async with self._turn:
            if self._stopping:
                raise StorageFailed("the node is shutting down")
            yield

    async def _produce(self, *, even_empty: bool = True) -> int:
        """Make one block of what is pending when its turn comes; return the number of blocks made."""
        async with self._making():
            async with self.turns.executing():
                if not len(self._mempool) and not even_empty:
                    return 0
                if len(self._mempool) <= _SMALL_BLOCK:
                    with self._or_fail():
                        begun = self._begin(self._clock.now())
                else:
                    begun = await self.write(self._begin, self._clock.now())
            for transaction, refusal in begun.skipped:
                _log.debug("left out 0x%s: %s", transaction.hash.hex(), refusal)
            await self._show(await self.write(self._authority.finish, begun.prepared))
            await self._settle()
            return 1

    def _begin(self, timestamp: int) -> Begun:
        """Execute a block of what is pending, on either thread: nobody changes the mempool meanwhile."""
        genesis = self._authority.chain.genesis
        candidates = self._mempool.select(genesis.max_block_transactions, genesis.max_block_bytes)
        return self._authority.begin(candidates, timestamp)

    async def _produce_empty(self, count: int) -> int:
        async with self._making():
            made = await self.write(self._authority.produce_empty, count, self._clock.now())
            await self._show(made)
            await self._settle()
            return len(made)

    async def _settle(self) -> None:
        """Have the writer thread sync what is committed, once whoever waited for the block has been answered.

        The block is in the signing record: a power cut does not take it. The next one is executed while this goes on,
        and finished after it, for there is one writer.
        """
        await asyncio.sleep(0)  # they go on now
        settling = asyncio.get_running_loop().run_in_executor(self._writer, self._authority.chain.sync)
        settling.add_done_callback(self._settled)

    def _settled(self, settling: asyncio.Future[None]) -> None:
        if not settling.cancelled() and (error := settling.exception()):
            self.fail(str(error))

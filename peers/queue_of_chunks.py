"""Which chunk is fetched next: playing order, a sliding window, urgent ones first. One event loop, no lock."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterable


class ChunkQueue:
    """Chunks that are wanted and by whom they are being fetched."""

    def __init__(self, window: int) -> None:
        """Allow no chunk to be begun that is `window` or more after the first one that is not here."""
        self._window = window
        self._urgent: list[int] = []
        self._wanted: list[int] = []
        self._waiting: set[int] = set()
        self._under_way: set[int] = set()
        self._changed = asyncio.Event()
        self._arrivals: dict[int, list[asyncio.Future[None]]] = {}

    @property
    def is_done(self) -> bool:
        """Whether nothing is wanted or under way."""
        return not self._waiting and not self._under_way

    def want(self, indices: Iterable[int], *, urgent: bool = False) -> None:
        """Ask for chunks that are not here; urgent ones are begun before all others, whatever the window."""
        for index in indices:
            if index in self._under_way:
                continue
            if urgent:
                heapq.heappush(self._urgent, index)
            elif index not in self._waiting:
                heapq.heappush(self._wanted, index)
            self._waiting.add(index)
        self.wake()

    def take(self, can: Callable[[int], bool]) -> int | None:
        """Return the next chunk that `can` be fetched by whoever asks, None when there is none now."""
        found = self._pop(self._urgent, can, None)
        if found is None:
            first = min(self._under_way | set(self._head(self._wanted)), default=0)
            found = self._pop(self._wanted, can, first + self._window)
        if found is not None:
            self._waiting.discard(found)
            self._under_way.add(found)
        return found

    def take_this(self, index: int) -> bool:
        """Take one certain chunk, if it is wanted and nobody fetches it."""
        if index not in self._waiting:
            return False
        self._waiting.discard(index)
        self._under_way.add(index)
        return True

    def give_back(self, index: int) -> None:
        """Let somebody else fetch a chunk, before all others."""
        self._under_way.discard(index)
        self._waiting.add(index)
        heapq.heappush(self._urgent, index)
        self.wake()

    def arrived(self, index: int) -> None:
        """Note that a chunk is in the store."""
        self._under_way.discard(index)
        self._waiting.discard(index)
        for future in self._arrivals.pop(index, []):
            if not future.done():
                future.set_result(None)
        self.wake()

    async def wait_for(self, index: int) -> None:
        """Wait until a chunk has arrived."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals.setdefault(index, []).append(future)
        await future

    async def wait_for_change(self) -> None:
        """Wait until something changes, or somebody calls `wake`."""
        self._changed.clear()
        await self._changed.wait()

    def wake(self) -> None:
        """Have everybody who waits look again."""
        self._changed.set()

    def _head(self, heap: list[int]) -> list[int]:
        while heap and heap[0] not in self._waiting:
            heapq.heappop(heap)
        return heap[:1]

    def _pop(self, heap: list[int], can: Callable[[int], bool], limit: int | None) -> int | None:
        passed: list[int] = []
        found = None
        while heap and (limit is None or heap[0] < limit):
            index = heapq.heappop(heap)
            if index not in self._waiting:
                continue
            if can(index):
                found = index
                break
            passed.append(index)
        for index in passed:
            heapq.heappush(heap, index)
        return found

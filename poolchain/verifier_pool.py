"""Processes that recover signers, so that all cores work on what costs most.

The two signatures of a settlement take as long as everything else about it. Threads would wait for the interpreter's
lock after every one of them; a process is handed a group at a time. The processes are started when the first large
group comes: who is asked little has none. Where one dies, its groups are checked here, and another takes its place when
there is more to do, after a pause if it had never answered. One that is silent for long over its work is ended.
"""

from __future__ import annotations

import asyncio
import logging
import marshal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

from crypto.eip712 import Domain

from .verifier_process import LENGTH_BYTES, Answer, packed

GROUP_MAX: Final = 64
"""Items in one message: some milliseconds of work."""
_GROUP_MIN: Final = 4
"""So few are not divided: a message costs the event loop about as much as one of them costs a verifier."""
IN_PLACE_MAX: Final = 2
"""So few are checked on the event loop's thread: a round trip would take longer."""
_GROUPS_UNDER_WAY: Final = 3
"""With one verifier at a time: it goes on while the event loop is busy."""
_NICENESS: Final = 10
"""Whoever asks goes first where both want a core: what is verified is of no use before it is judged and executed."""
_STOP_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 30.0
"""Before processes are started again, where they could not be started or never answered."""
_SILENCE_SECONDS: Final = 30.0
"""A verifier that has work and gives no answer for so long is stopped or stuck: a group takes some milliseconds."""
_SECOND_LOOK_SECONDS: Final = 1.0
"""It is ended when it still has not answered then: we may have been stopped ourselves, with all verifiers."""
_START_FACTOR: Final = 4
"""Its first answer may take so many times as long, for it has to start before."""
_HOME: Final = Path(__file__).resolve().parents[1]
"""Where the rooms are; a verifier finds them from there."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class _Group(NamedTuple):
    items: Sequence[bytes]
    future: asyncio.Future[list[Any]]


class VerifierPool(Generic[T]):
    """Has one thing found out about many items, for one chain. Used on the event loop's thread."""

    def __init__(
        self,
        answer: Answer,
        domain: Domain,
        understand: Callable[[bytes, Any], T],
        *,
        processes_max: int,
        in_place_max: int = IN_PLACE_MAX,
    ) -> None:
        """Begin without processes. `understand` makes what is returned of an item and what `answer` says of it."""
        self._answer = answer
        self._domain = domain
        self._understand = understand
        self._processes_max = processes_max
        self._in_place_max = in_place_max
        self._verifiers: list[_Verifier] = []
        self._ended: list[_Verifier] = []
        self._waiting: deque[_Group] = deque()
        self._singles: list[tuple[bytes, asyncio.Future[T]]] = []
        self._starting: asyncio.Task[None] | None = None
        self._watching: asyncio.TimerHandle | None = None
        self._may_start = True
        self._is_closing = False

    @property
    def pids(self) -> list[int]:
        """The processes that there are."""
        return [verifier.pid for verifier in self._verifiers]

    async def one(self, item: bytes) -> T:
        """Return the answer for an item; those that come at the same moment are one group."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._singles.append((item, future))
        if len(self._singles) == 1:
            loop.call_soon(self._flush)
        return await future

    async def many(self, items: Sequence[bytes]) -> list[T]:
        """Return the answers in order."""
        if self._belong_here(items):
            return self._in_place(items)
        size = self._group_size(len(items))
        groups = [self._enqueue(items[at : at + size]) for at in range(0, len(items), size)]
        return [found for group in await asyncio.gather(*groups) for found in group]

    async def close(self) -> None:
        """End the processes; what still waits is checked here."""
        self._may_start, self._is_closing = False, True
        self._flush()
        if self._starting is not None:
            await asyncio.wait([self._starting])  # which goes on to its end, whatever becomes of who closes
        if self._watching is not None:
            self._watching.cancel()
        ending = [*self._verifiers, *self._ended]
        for verifier in ending:
            verifier.end()
        await asyncio.gather(*(asyncio.to_thread(verifier.wait) for verifier in ending))

    def _flush(self) -> None:
        """Check what has come one by one since the last round of the loop."""
        singles, self._singles = self._singles, []
        size = self._group_size(len(singles))
        for at in range(0, len(singles), size):
            part = singles[at : at + size]
            items = [item for item, _ in part]
            if self._belong_here(items):
                group = _Group(items, asyncio.get_running_loop().create_future())
                self._check_in_place(group)
                _resolve(part, group.future)
            else:
                self._enqueue(items).add_done_callback(partial(_resolve, part))

    def _belong_here(self, items: Sequence[bytes]) -> bool:
        """Tell whether items are so few that a round trip would take longer, and no verifier is at work anyway."""
        return len(items) <= self._in_place_max and not any(verifier.under_way for verifier in self._verifiers)

    def _group_size(self, count: int) -> int:
        """Return how many of `count` items go into a message.

        Some for every verifier, and twice: the first answers are made use of while the last items are checked.
        """
        groups = min(2 * len(self._verifiers), count // _GROUP_MIN)
        return min(GROUP_MAX, ceil(count / groups)) if groups else GROUP_MAX

    def _enqueue(self, items: Sequence[bytes]) -> asyncio.Future[list[T]]:
        future: asyncio.Future[list[T]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Group(items, future))
        self._hand_out()
        return future

    def _hand_out(self) -> None:
        """Give waiting groups to those who have least to do; do without verifiers that cannot be had."""
        if self._waiting and self._may_start and self._starting is None:
            self._may_start = False
            self._starting = asyncio.create_task(self._start())
        if not self._verifiers and self._starting is None:
            while self._waiting:
                self._check_in_place(self._waiting.popleft())
        while self._waiting and self._verifiers:
            verifier = min(self._verifiers, key=lambda one: (len(one.under_way), one.has_answered))
            if len(verifier.under_way) >= _GROUPS_UNDER_WAY:
                break
            verifier.take(self._waiting.popleft())
            if self._watching is None:
                self._watching = asyncio.get_running_loop().call_later(_SILENCE_SECONDS, self._watch)

    def _watch(self) -> None:
        """End verifiers that have been silent over their work; look again later while others have some."""
        silent = [verifier for verifier in self._verifiers if verifier.is_silent]
        pause = _SECOND_LOOK_SECONDS if silent else _SILENCE_SECONDS
        for verifier in silent:
            if verifier.is_suspect:
                _log.warning("a verifier is ended that does not answer: pid=%d", verifier.pid)
                verifier.kill()
            verifier.is_suspect = True
        is_working = any(verifier.under_way for verifier in self._verifiers)
        self._watching = asyncio.get_running_loop().call_later(pause, self._watch) if is_working else None

    def _start_again_later(self) -> None:
        """Allow another start after a pause."""

        def allow() -> None:
            self._may_start = not self._is_closing

        asyncio.get_running_loop().call_later(_PAUSE_SECONDS, allow)

    async def _start(self) -> None:
        """Start as many as are missing, and forget those that have ended."""
        self._ended = [verifier for verifier in self._ended if not verifier.is_gone()]
        try:
            for _ in range(self._processes_max - len(self._verifiers)):
                self._verifiers.append(await self._started())
        except (OSError, RuntimeError) as error:
            _log.warning("signatures are checked by %d processes: %s", len(self._verifiers), error)
            self._start_again_later()
        finally:
            self._starting = None
            self._hand_out()

    async def _started(self) -> _Verifier:
        """Start a verifier; raises OSError, and RuntimeError where there is no thread to be had."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as undone:
            undone.callback(ours.close)
            process = await asyncio.to_thread(
                subprocess.Popen,
                [sys.executable, "-m", "poolchain.verifier_process", str(theirs.fileno()), str(_NICENESS)],
                pass_fds=[theirs.fileno()],
                cwd=_HOME,
                stdin=subprocess.DEVNULL,
            )
            undone.pop_all()
        loop = asyncio.get_running_loop()
        _, verifier = await loop.create_connection(lambda: _Verifier(process, self._answered, self._lost), sock=ours)
        answer, domain = self._answer, self._domain
        verifier.send((answer.__module__, answer.__name__, domain.chain_id, domain.genesis_hash))
        return verifier

    def _answered(self, group: _Group, found: Sequence[Any]) -> None:
        """Hand an answer on, and the verifier its next group."""
        _settle(group, lambda: list(map(self._understand, group.items, found)))
        self._hand_out()

    def _lost(self, verifier: _Verifier) -> None:
        """Go on without a verifier that has ended."""
        self._verifiers.remove(verifier)
        self._ended.append(verifier)
        if verifier.has_answered:
            self._may_start = not self._is_closing
        else:
            self._start_again_later()
        if any(not group.future.done() for group in verifier.under_way) and not self._is_closing:
            _log.warning("a verifier has ended in the middle of its work: pid=%d", verifier.pid)
        for group in verifier.under_way:
            self._check_in_place(group)
        self._hand_out()

    def _check_in_place(self, group: _Group) -> None:
        _settle(group, lambda: self._in_place(group.items))

    def _in_place(self, items: Sequence[bytes]) -> list[T]:
        return [self._understand(item, self._answer(item, self._domain)) for item in items]


class _Verifier(asyncio.Protocol):
    """One process, and the groups that it has."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        answered: Callable[[_Group, Sequence[Any]], None],
        lost: Callable[[_Verifier], None],
    ) -> None:
        self.under_way: deque[_Group] = deque()
        self.has_answered = False
        self.is_suspect = False
        """Whether it was silent when it was looked at last."""
        self._heard = time.monotonic()
        self._process = process
        self._answered = answered
        self._lost = lost
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_silent(self) -> bool:
        """Whether it has work and has not answered for too long, since it was given some when it had none."""
        limit = _SILENCE_SECONDS * (1 if self.has_answered else _START_FACTOR)
        return bool(self.under_way) and time.monotonic() - self._heard > limit

    def take(self, group: _Group) -> None:
        """Have a group checked."""
        if not self.under_way:
            self._heard = time.monotonic()
        self.under_way.append(group)
        self.send(list(group.items))

    def send(self, message: Any) -> None:
        if self._transport is not None:
            self._transport.write(packed(message))

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def kill(self) -> None:
        """End a process that does not listen, and do without its answers from now on."""
        self._process.kill()
        if self._transport is not None:
            self._transport.abort()

    def is_gone(self) -> bool:
        """Whether the process has ended, which takes it from the system's list as well."""
        return self._process.poll() is not None

    def wait(self) -> None:
        """Return when the process has ended; a closed line ends it, and a kill what does not read it."""
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._received[:LENGTH_BYTES], "big")
            if len(self._received) < end:
                return
            found = marshal.loads(self._received[LENGTH_BYTES:end])  # noqa: S302 - from our own child
            del self._received[:end]
            self.has_answered = True
            self._heard = time.monotonic()
            self.is_suspect = False
            self._answered(self.under_way.popleft(), found)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._lost(self)


def _settle(group: _Group, find: Callable[[], list[Any]]) -> None:
    """Answer a group, with the error if there is one: whoever waits must hear of it."""
    if group.future.done():  # whoever asked went away
        return
    try:
        found = find()
    except Exception as error:  # noqa: BLE001 - it is whoever asked who knows what to do
        group.future.set_exception(error)
    else:
        group.future.set_result(found)


def _resolve(singles: Sequence[tuple[bytes, asyncio.Future[T]]], group: asyncio.Future[list[T]]) -> None:
    """Hand everybody who asked for one his own answer."""
    error = group.exception()
    for at, (_, future) in enumerate(singles):
        if future.done():
            continue
        if error is None:
            future.set_result(group.result()[at])
        else:
            future.set_exception(error)

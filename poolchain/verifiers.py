"""Recovering signers in processes of their own, so that all cores work on what costs most.

The two signatures of a settlement take as long as everything else about it. Threads would wait for the interpreter's
lock after every one of them; a process is handed a group at a time. The processes are started when the first large
group comes: a node that is asked little has none. Where one dies, its groups are checked here.
"""

from __future__ import annotations

import asyncio
import logging
import marshal
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from crypto.eip712 import Domain
from ledger.errors import Refusal
from ledger.transaction import AnyTransaction, Transaction
from txtypes.table import kind_of

from .verifier_process import LENGTH_BYTES, Refused, Verified, packed, verify

GROUP_MAX: Final = 64
"""Transactions in one message: some milliseconds of work."""
IN_PLACE_MAX: Final = 2
"""So few are checked on the event loop's thread: a round trip would take longer."""
_GROUPS_UNDER_WAY: Final = 3
"""With one verifier at a time: it goes on while the event loop is busy."""
_STOP_SECONDS: Final = 5.0
_HOME: Final = Path(__file__).resolve().parents[1]
"""Where the rooms are; a verifier finds them from there."""
_log = logging.getLogger(__name__)

Decoded = AnyTransaction | Refusal
_Singles = Sequence[tuple[bytes, "asyncio.Future[Decoded]"]]


class _Group(NamedTuple):
    raws: Sequence[bytes]
    future: asyncio.Future[list[Decoded]]


class Verifiers:
    """Checks raw transactions of one chain. Used on the event loop's thread."""

    def __init__(self, domain: Domain, processes_max: int | None = None) -> None:
        """Begin without processes; `processes_max` is the number of cores by default."""
        self._domain = domain
        self._processes_max = processes_max or os.cpu_count() or 1
        self._verifiers: list[_Verifier] = []
        self._ended: list[_Verifier] = []
        self._waiting: deque[_Group] = deque()
        self._singles: list[tuple[bytes, asyncio.Future[Decoded]]] = []
        self._starting: asyncio.Task[None] | None = None
        self._may_start = True

    async def decode(self, raw: bytes) -> AnyTransaction:
        """Return a checked transaction; those that come at the same moment are one group. Raises Refusal."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Decoded] = loop.create_future()
        self._singles.append((raw, future))
        if len(self._singles) == 1:
            loop.call_soon(self._flush)
        found = await future
        if isinstance(found, Refusal):
            raise found
        return found

    async def decode_many(self, raws: Sequence[bytes]) -> list[Decoded]:
        """Return for each raw transaction the checked one or its Refusal, in order."""
        if len(raws) <= IN_PLACE_MAX:
            return self._in_place(raws)
        groups = [self._enqueue(raws[at : at + GROUP_MAX]) for at in range(0, len(raws), GROUP_MAX)]
        return [found for group in await asyncio.gather(*groups) for found in group]

    async def close(self) -> None:
        """End the processes; what still waits is checked here."""
        self._may_start = False
        if self._starting is not None:
            await self._starting
        ending = [*self._verifiers, *self._ended]
        for verifier in ending:
            verifier.end()
        await asyncio.gather(*(asyncio.to_thread(verifier.wait) for verifier in ending))

    def _flush(self) -> None:
        """Check what has come one by one since the last round of the loop."""
        singles, self._singles = self._singles, []
        for at in range(0, len(singles), GROUP_MAX):
            part = singles[at : at + GROUP_MAX]
            raws = [raw for raw, _ in part]
            if len(raws) <= IN_PLACE_MAX:
                _resolve(part, self._in_place(raws))
            else:
                self._enqueue(raws).add_done_callback(partial(_resolve_group, part))

    def _enqueue(self, raws: Sequence[bytes]) -> asyncio.Future[list[Decoded]]:
        future: asyncio.Future[list[Decoded]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Group(raws, future))
        self._hand_out()
        return future

    def _hand_out(self) -> None:
        """Give waiting groups to those who have least to do; do without verifiers that cannot be had."""
        if not self._verifiers and self._starting is None:
            if self._may_start:
                self._may_start = False
                self._starting = asyncio.create_task(self._start())
            else:
                while self._waiting:
                    self._check_in_place(self._waiting.popleft())
        while self._waiting and self._verifiers:
            verifier = min(self._verifiers, key=lambda one: len(one.under_way))
            if len(verifier.under_way) >= _GROUPS_UNDER_WAY:
                break
            verifier.take(self._waiting.popleft())

    async def _start(self) -> None:
        try:
            for _ in range(self._processes_max):
                self._verifiers.append(await _started(self._domain, self._follow))
        except OSError as error:
            _log.warning("signatures are checked by %d processes: %s", len(self._verifiers), error)
        self._starting = None
        self._hand_out()

    def _follow(self, verifier: _Verifier) -> None:
        """Go on after an answer of a verifier, or without it after its end."""
        if verifier.has_ended:
            self._verifiers.remove(verifier)
            self._ended.append(verifier)
            if verifier.under_way:
                _log.warning("a verifier has ended in the middle of its work: pid=%d", verifier.pid)
            for group in verifier.under_way:
                self._check_in_place(group)
        self._hand_out()

    def _check_in_place(self, group: _Group) -> None:
        if not group.future.done():
            group.future.set_result(self._in_place(group.raws))

    def _in_place(self, raws: Sequence[bytes]) -> list[Decoded]:
        return _decoded(raws, [verify(raw, self._domain) for raw in raws])


class _Verifier(asyncio.Protocol):
    """One process, and the groups that it has."""

    def __init__(self, process: subprocess.Popen[bytes], follow: Callable[[_Verifier], None]) -> None:
        self.under_way: deque[_Group] = deque()
        self.has_ended = False
        self._process = process
        self._follow = follow
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def take(self, group: _Group) -> None:
        """Have a group checked."""
        self.under_way.append(group)
        self.send(list(group.raws))

    def send(self, message: Any) -> None:
        if self._transport is not None:
            self._transport.write(packed(message))

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()

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
            group = self.under_way.popleft()
            if not group.future.done():
                group.future.set_result(_decoded(group.raws, found))
            self._follow(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport, self.has_ended = None, True
        self._follow(self)


async def _started(domain: Domain, follow: Callable[[_Verifier], None]) -> _Verifier:
    """Start a verifier; raises OSError."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.to_thread(
            subprocess.Popen,
            [sys.executable, "-m", "poolchain.verifier_process", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=_HOME,
            stdin=subprocess.DEVNULL,
        )
    loop = asyncio.get_running_loop()
    _, verifier = await loop.create_connection(lambda: _Verifier(process, follow), sock=ours)
    verifier.send((domain.chain_id, domain.genesis_hash))
    return verifier


def _decoded(raws: Sequence[bytes], found: Sequence[Verified | Refused]) -> list[Decoded]:
    return [_one_decoded(raw, item) for raw, item in zip(raws, found, strict=True)]


def _one_decoded(raw: bytes, found: Verified | Refused) -> Decoded:
    try:
        kind = kind_of(raw)
        fields = kind.decode(raw)
    except Refusal as refusal:
        return refusal
    return Refusal(*found) if len(found) == 3 else Transaction(kind, raw, found[0], fields, found[1])


def _resolve_group(singles: _Singles, group: asyncio.Future[list[Decoded]]) -> None:
    _resolve(singles, group.result())


def _resolve(singles: _Singles, found: Sequence[Decoded]) -> None:
    for (_, future), decoded in zip(singles, found, strict=True):
        if not future.done():
            future.set_result(decoded)

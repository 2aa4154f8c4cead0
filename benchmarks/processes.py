"""What a process and all that it started have used: processor time and memory, from /proc."""

from __future__ import annotations

import os
import threading
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SAMPLE_SECONDS: Final = 0.1
_QUIET_SECONDS: Final = 0.25
_QUIET_WITHIN_SECONDS: Final = 20.0
_TIMES: Final = slice(11, 15)
"""Places in /proc/PID/stat behind the name: utime, stime, and both of children that have ended."""
_PROC: Final = Path("/proc")


class Memory(NamedTuple):
    """Of all processes of a tree together, in bytes."""

    resident: int
    """Shared pages count once for every process."""
    anonymous: int


class Strangers:
    """How much of the machine went to programs that are none of ours: figures taken beside much of it are low."""

    def __init__(self) -> None:
        """Begin now."""
        self._started = time.monotonic()
        self._before = _machine_seconds() - _own_seconds()

    def share(self) -> float:
        """Return the part of all cores' time that others, the kernel's interrupts and a busy host have had since.

        What was started here counts as ours once it has ended.
        """
        took = _machine_seconds() - _own_seconds() - self._before
        return max(0.0, took / ((time.monotonic() - self._started) * (os.cpu_count() or 1)))


class Watch(AbstractContextManager["Watch"]):
    """Looks at a tree's memory ten times a second while inside; costs about 0.5 % of a core."""

    def __init__(self, pid: int) -> None:
        """Take the tree's first process."""
        self.peak = memory(pid)
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_SAMPLE_SECONDS):
            now = memory(self._pid)
            self.peak = Memory(max(self.peak.resident, now.resident), max(self.peak.anonymous, now.anonymous))


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, of all that it started and of all that has ended below it."""
    return sum(sum(map(int, _stat(one)[_TIMES])) for one in tree(pid)) / _TICKS


def wait_until_quiet(pid: int) -> None:
    """Return when a tree uses hardly any processor time, as after its start; raises TimeoutError."""
    deadline = time.monotonic() + _QUIET_WITHIN_SECONDS
    before = -1.0
    while (now := cpu_seconds(pid)) - before > 1.5 / _TICKS:
        if time.monotonic() > deadline:
            raise TimeoutError("the node does not come to rest")
        before = now
        time.sleep(_QUIET_SECONDS)


def memory(pid: int) -> Memory:
    """Return what the processes of a tree hold now."""
    found = [_memory(one) for one in tree(pid)]
    return Memory(sum(one.resident for one in found), sum(one.anonymous for one in found))


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants that are still there."""
    found = [pid]
    for one in found:
        found += _children(one)
    return found


def _children(pid: int) -> list[int]:
    """Return the processes that any thread of a process has started and that are still there."""
    found: list[int] = []
    with suppress(OSError):
        for thread in (_PROC / str(pid) / "task").iterdir():
            with suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
    return found


def _machine_seconds() -> float:
    """Return what all cores have been busy with so far: user, nice, system, irq, softirq, steal."""
    user, nice, system, _idle, _wait, *rest = map(int, (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9])
    return (user + nice + system + sum(rest)) / _TICKS


def _own_seconds() -> float:
    """Return the processor time of this process and of all that has ended below it."""
    return sum(os.times()[:4])


def _stat(pid: int) -> list[str]:
    """Return the members of /proc/PID/stat behind the name, which may contain anything; none when it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def _memory(pid: int) -> Memory:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return Memory(0, 0)
    kib = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines) if "kB" in value}
    return Memory(kib.get("VmRSS", 0) << 10, kib.get("RssAnon", 0) << 10)

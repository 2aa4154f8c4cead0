"""Processor time and memory are those of a whole tree of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.processes import (
    Strangers,
    Watch,
    _machine_seconds,
    _own_seconds,
    cpu_seconds,
    memory,
    tree,
    wait_until_quiet,
)

BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
CHILD = (
    "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])\nprint(flush=True)\nsys.stdin.read()\n"
)


@contextmanager
def python(code: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has done its work when it has written a line, and ends with its input."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def first_line(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.stdout.readline()


def test_the_time_of_children_counts_also_when_they_have_ended() -> None:
    with python(CHILD.format(code=BURN.format(seconds=0.3))) as process:
        first_line(process)
        assert tree(process.pid) == [process.pid]
        assert 0.3 <= cpu_seconds(process.pid) < 1


def test_the_memory_of_children_counts_while_they_live() -> None:
    hold = "held = bytearray(50_000_000)\nprint(flush=True)\ninput()"
    with python(CHILD.format(code=hold)) as process:
        first_line(process)
        parent, child = tree(process.pid)
        assert (parent, memory(child).anonymous > 50_000_000) == (process.pid, True)
        assert memory(parent).resident >= memory(parent).anonymous > memory(child).anonymous
        process.communicate(b"\n\n")


def test_a_process_that_has_ended_has_nothing() -> None:
    with python("pass") as process:
        process.wait()
    assert memory(process.pid) == (0, 0)
    assert cpu_seconds(process.pid) == 0


def test_a_watch_keeps_the_most_that_it_has_seen() -> None:
    before = memory(os.getpid()).anonymous
    with Watch(os.getpid()) as watch:
        held = bytearray(80_000_000)
        time.sleep(0.3)
        del held
        time.sleep(0.2)
    assert watch.peak.anonymous > before + 70_000_000


def test_quiet_is_when_hardly_any_time_is_used() -> None:
    with python(BURN.format(seconds=0.6) + "print(flush=True)\nimport sys\nsys.stdin.read()") as process:
        started = time.monotonic()
        wait_until_quiet(process.pid)
        assert 0.6 < time.monotonic() - started < 10


def test_a_process_that_never_rests_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.processes._QUIET_WITHIN_SECONDS", 0.5)
    with python(BURN.format(seconds=5)) as process:
        with pytest.raises(TimeoutError, match="come to rest"):
            wait_until_quiet(process.pid)
        process.kill()


def test_strangers_have_what_the_cores_did_and_we_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    machine, own, now = [100.0], [10.0], [0.0]
    monkeypatch.setattr("benchmarks.processes._machine_seconds", lambda: machine[0])
    monkeypatch.setattr("benchmarks.processes._own_seconds", lambda: own[0])
    monkeypatch.setattr("benchmarks.processes.time.monotonic", lambda: now[0])
    monkeypatch.setattr("benchmarks.processes.os.cpu_count", lambda: 2)
    strangers = Strangers()
    machine[0], own[0], now[0] = 108.0, 15.0, 10.0
    assert strangers.share() == pytest.approx(3 / 20)
    own[0] = 19.0
    assert strangers.share() == 0


def test_what_has_ended_below_us_is_ours() -> None:
    before = _own_seconds()
    machine = _machine_seconds()
    subprocess.run([sys.executable, "-c", BURN.format(seconds=0.5)], check=True)
    assert 0.5 <= _own_seconds() - before < 5
    assert _machine_seconds() - machine > 0.45

"""Showing how a purchase goes: a bar where rich is installed and somebody looks, else a line every second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from peers.progress import Progress

from .console import is_json, note
from .units import format_tokens

LINE_SECONDS: Final = 1.0
_MEGABYTE: Final = 1_000_000


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Give what shows a progress while inside; nothing is shown with --json."""
    if is_json():
        yield lambda _: None
        return
    bar = _rich_bar() if sys.stderr.isatty() else None
    if bar is None:
        yield _lines()
        return
    with bar:
        task = bar.add_task("", total=None)
        yield lambda progress: bar.update(
            task, total=progress.chunk_count, completed=progress.chunks_here, description=describe(progress)
        )


def describe(progress: Progress) -> str:
    """Return speed, cost and everybody's share in one line."""
    shares = [f"{peer.url.removeprefix('http://')} {peer.chunks}" for peer in progress.peers if peer.chunks]
    if progress.from_origin:
        shares.append(f"origin {progress.from_origin}")
    return (
        f"{progress.chunks_here}/{progress.chunk_count} chunks, {progress.bytes_per_second / _MEGABYTE:.1f} MB/s, "
        f"{format_tokens(progress.spent)} tokens; {', '.join(shares) or 'nobody yet'}"
    )


def _lines() -> Callable[[Progress], None]:
    next_at = 0.0

    def show(progress: Progress) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + LINE_SECONDS
            note(describe(progress))

    return show


def _rich_bar() -> Any:
    """Return a progress bar of rich, None where it is not installed."""
    try:
        from rich.console import Console  # noqa: PLC0415  # optional, and slow to load
        from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415
    except ImportError:
        return None
    columns = (BarColumn(), TextColumn("{task.description}", markup=False))
    return Bar(*columns, console=Console(stderr=True))

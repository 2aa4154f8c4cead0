"""Showing how a purchase goes: a picture that is drawn anew where somebody looks, else a line every second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from peers.progress import Progress

from .console import is_json, note
from .units import format_tokens, tokens_text

LINE_SECONDS: Final = 1.0
_MEGABYTE: Final = 1_000_000
_BAR_CELLS: Final = 40


@contextmanager
def shown() -> Iterator[Callable[[Progress], None]]:
    """Give what shows a progress while inside; nothing is shown with --json."""
    if is_json():
        yield lambda _: None
    elif sys.stderr.isatty():
        with _drawn() as show:
            yield show
    else:
        yield _lines()


def describe(progress: Progress) -> str:
    """Return speed, cost and everybody's share in one line."""
    shares = [f"{peer.url.removeprefix('http://')} {peer.chunks}" for peer in progress.peers if peer.chunks]
    if progress.from_origin:
        shares.append(f"origin {progress.from_origin}")
    return f"{_summary(progress)}; {', '.join(shares) or 'nobody yet'}"


def picture(progress: Progress) -> Any:
    """Return a renderable of rich: a bar, speed and cost, and a row for everybody who delivers."""
    # Slow to load, and of use to a purchase that somebody looks at only.
    from rich.console import Group  # noqa: PLC0415
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    head = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=max(1, progress.chunk_count), completed=progress.chunks_here, width=_BAR_CELLS)
    head.add_row(bar, Text(_summary(progress)))
    table = Table(box=None, padding=(0, 2, 0, 0))
    for title in ("from", "chunks", "share", "tokens", "state"):
        table.add_column(title, justify="right" if title in {"chunks", "share", "tokens"} else "left")
    for row in rows(progress):
        # A peer chooses its url and, by what it answers, its state: neither is markup.
        table.add_row(*map(Text, row))
    return Group(head, table)


def rows(progress: Progress) -> list[tuple[str, ...]]:
    """Return who delivered how many chunks, which share of all of this run, for how many tokens, and how it stands."""
    total = sum(peer.chunks for peer in progress.peers) + progress.from_origin

    def share(chunks: int) -> str:
        return f"{100 * chunks / total:.0f} %" if total else ""

    found: list[tuple[str, ...]] = [
        (
            peer.url.removeprefix("http://"),
            str(peer.chunks),
            share(peer.chunks),
            format_tokens(peer.spent),
            peer.state,
        )
        for peer in progress.peers
    ]
    if progress.from_origin:
        found.append(("origin", str(progress.from_origin), share(progress.from_origin), "", "for nothing"))
    return found


def _summary(progress: Progress) -> str:
    return (
        f"{progress.chunks_here}/{progress.chunk_count} chunks, {progress.bytes_per_second / _MEGABYTE:.1f} MB/s, "
        f"{tokens_text(progress.spent)}"
    )


def _lines() -> Callable[[Progress], None]:
    next_at = 0.0

    def show(progress: Progress) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + LINE_SECONDS
            note(describe(progress))

    return show


@contextmanager
def _drawn() -> Iterator[Callable[[Progress], None]]:
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    with Live(console=Console(stderr=True), auto_refresh=False) as live:
        yield lambda progress: live.update(picture(progress), refresh=True)

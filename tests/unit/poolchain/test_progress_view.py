"""What people see of a purchase: speed, cost, and everybody's share."""

from __future__ import annotations

import io
from typing import Any

import click
import pytest
from rich.console import Console

from peers.progress import PeerShare, Progress
from poolchain.progress_view import describe, picture, rows, shown

TOKEN = 10**18
ONE = PeerShare("http://127.0.0.1:8800", "0x1", 30, 3 * TOKEN, "buying")
TWO = PeerShare("http://127.0.0.1:8801", "0x2", 10, TOKEN // 2, "left: cheated: 7 bytes are not chunk 3")
NEW = PeerShare("http://127.0.0.1:8802", "0x3", 0, 0, "shaking hands")


def progress(*peers: PeerShare, **members: Any) -> Progress:
    found: dict[str, Any] = {
        "chunks_here": 50,
        "chunk_count": 200,
        "bytes_fetched": 50_000_000,
        "seconds": 4.0,
        "from_origin": 0,
    }
    return Progress(**{**found, **members}, peers=peers)


def drawn(found: Progress, width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(picture(found))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_one_line_says_speed_cost_and_who_delivered() -> None:
    assert describe(progress(ONE, TWO, NEW, from_origin=10)) == (
        "50/200 chunks, 12.5 MB/s, 3.5 tokens; 127.0.0.1:8800 30, 127.0.0.1:8801 10, origin 10"
    )
    assert describe(progress(NEW, bytes_fetched=0, seconds=0.0)).endswith("0.0 MB/s, 0 tokens; nobody yet")


def test_shares_are_of_what_was_delivered_in_this_run() -> None:
    found = rows(progress(ONE, TWO, NEW, from_origin=10))
    assert [row[:4] for row in found] == [
        ("127.0.0.1:8800", "30", "60 %", "3"),
        ("127.0.0.1:8801", "10", "20 %", "0.5"),
        ("127.0.0.1:8802", "0", "0 %", "0"),
        ("origin", "10", "20 %", ""),
    ]
    assert [row[2] for row in rows(progress(NEW))] == [""], "no share of nothing"


def test_the_picture_has_a_bar_and_a_row_for_everybody() -> None:
    lines = drawn(progress(ONE, TWO, NEW))
    assert lines[0].endswith("50/200 chunks, 12.5 MB/s, 3.5 tokens")
    assert lines[0].startswith("━" * 10)
    assert lines[1].split() == ["from", "chunks", "share", "tokens", "state"]
    assert lines[2].split() == ["127.0.0.1:8800", "30", "75", "%", "3", "buying"]
    assert "left: cheated: 7 bytes are not chunk 3" in lines[3]
    assert len(lines) == 5


def test_a_peers_words_are_not_markup_and_an_empty_resource_is_drawn() -> None:
    rude = PeerShare("http://[red]x:1", "0x4", 1, 0, "left: [bold]refused[/bold]")
    assert any("[red]x:1" in line and "[bold]refused[/bold]" in line for line in drawn(progress(rude)))
    assert drawn(progress(chunk_count=0, chunks_here=0, bytes_fetched=0, seconds=0.0))[0].endswith(
        "0/0 chunks, 0.0 MB/s, 0 tokens"
    )


@pytest.mark.parametrize("is_json", [True, False])
def test_without_a_terminal_there_is_a_line_now_and_then_and_nothing_for_scripts(
    is_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with click.Context(click.Command("fetch")) as context:
        context.find_root().meta["poolchain.json"] = is_json
        with shown() as show:
            show(progress(ONE))
            show(progress(TWO))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("" if is_json else describe(progress(ONE)) + "\n"), "the second comes too soon"

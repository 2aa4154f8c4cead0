"""What commands print: one JSON object with --json, else a few aligned lines; notes go to standard error."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

import click

from .failure import BadArgument

F = TypeVar("F")
_JSON = "poolchain.json"
_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def json_option(command: F) -> F:
    """Add --json to a command; `emit` obeys it, also when it stands before the command's name."""
    option = click.option(
        "--json", is_flag=True, expose_value=False, callback=_remember, help="Print one JSON object for scripts."
    )
    return option(command)  # type: ignore[type-var]  # click's bound is not importable


def _remember(context: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001  # click calls it so
    if value:
        context.find_root().meta[_JSON] = True


def examples(*lines: str) -> str:
    """Return the end of a command's help: what one would type."""
    return "\n".join(("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def is_json() -> bool:
    """Tell whether the running command was asked for JSON."""
    return bool(click.get_current_context().find_root().meta.get(_JSON))


def emit(document: Mapping[str, Any], text: str) -> None:
    """Print the result: the document with --json, the text without."""
    click.echo(json.dumps(document) if is_json() else text)


def note(text: str) -> None:
    """Tell people something that is not the result."""
    click.echo(text, err=True)


def log_to_stderr(least: str) -> None:
    """Show log lines on standard error, of the level in POOLCHAIN_LOG or else `least` and above; raises BadArgument."""
    level = os.environ.get("POOLCHAIN_LOG") or least
    if level.upper() not in _LEVELS:
        raise BadArgument(f"POOLCHAIN_LOG: expected one of {', '.join(_LEVELS).lower()}, given {level}", reason="USAGE")
    logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s %(message)s")


def aligned(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and values as two columns."""
    listed = [*rows]
    width = max((len(name) for name, _ in listed), default=0)
    return "\n".join(f"{name:{width}}  {value}".rstrip() for name, value in listed)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return rows under their headings; the last column is not padded."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )

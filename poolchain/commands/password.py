"""The password of a keystore file: --password-file, POOLCHAIN_PASSWORD, or a prompt."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from poolchain.failure import BadArgument


def password_option(command: Any) -> Any:
    """Add --password-file."""
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="File with the keystore's password; else POOLCHAIN_PASSWORD, else a prompt.",
    )(command)


def read_password(file: Path | None, *, new: bool = False) -> str:
    """Return the password of a keystore file, a `new` one never empty and asked for twice; raises BadArgument."""
    password = os.environ.get("POOLCHAIN_PASSWORD")
    if file is not None:
        password = file.read_text("utf-8").rstrip("\r\n")
    elif password is None:
        if not sys.stdin.isatty():
            raise BadArgument(
                "a password is needed: give --password-file FILE or set POOLCHAIN_PASSWORD.", reason="NO_PASSWORD"
            )
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt=new, err=True))
    if new and not password:
        raise BadArgument("the password of a new account must not be empty.", reason="NO_PASSWORD")
    return password

"""Files that only their owner may read, whole or not there at all, also after a crash."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from storage.directory import sync_directory

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it, for its owner alone; leaves one that exists as it is. Raises OSError."""
    for directory in (*reversed(path.parents), path):
        directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)


def is_private(path: Path) -> bool:
    """Tell whether nobody but the owner has rights on a file or directory."""
    return not path.stat().st_mode & 0o077


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, and make it durable. Raises FileExistsError, OSError."""
    draft = _write_draft(path, data)
    try:
        # Unlike a rename, a link refuses to take the place of another file.
        path.hardlink_to(draft)
    finally:
        draft.unlink()
    sync_directory(path.parent)


def write_over(path: Path, data: bytes) -> None:
    """Write a file in the place of the one that may be there, and make it durable. Raises OSError."""
    _write_draft(path, data).replace(path)
    sync_directory(path.parent)


@contextmanager
def replaced(path: Path) -> Iterator[TextIO]:
    """Give a new text file that takes the place of the one that may be there, durable, when it is complete.

    Nothing is left of one that was not. Raises OSError.
    """
    draft = _draft(path)
    try:
        with os.fdopen(os.open(draft, _NEW, FILE_MODE), "w", encoding="ascii") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _draft(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _write_draft(path: Path, data: bytes) -> Path:
    draft = _draft(path)
    descriptor = os.open(draft, _NEW, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink()
        raise
    return draft

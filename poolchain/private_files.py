"""Files that only their owner may read, whole or not there at all, also after a crash."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from storage.directory import sync_directory

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it, for its owner alone and durably; leaves one that exists as it is.

    Raises OSError.
    """
    for directory in (*reversed(path.parents), path):
        if not directory.exists():
            directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            sync_directory(directory.parent)


def is_private(path: Path) -> bool:
    """Tell whether nobody but the owner has rights on a file or directory."""
    return not path.stat().st_mode & 0o077


def write_new(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet, and make it durable. Raises FileExistsError, OSError."""
    with _draft(path) as (draft, file):
        file.write(data)
        _sync(file)
        # Unlike a rename, a link refuses to take the place of another file.
        path.hardlink_to(draft)
    sync_directory(path.parent)


def write_over(path: Path, data: bytes) -> None:
    """Write a file in the place of the one that may be there, and make it durable. Raises OSError."""
    with replaced(path) as file:
        file.write(data)


@contextmanager
def replaced(path: Path) -> Iterator[BinaryIO]:
    """Give a new file that takes the place of the one that may be there, durable, when it is complete.

    Nothing is left of one that was not. Raises OSError.
    """
    with _draft(path) as (draft, file):
        yield file
        _sync(file)
        draft.replace(path)
    sync_directory(path.parent)


@contextmanager
def _draft(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new file beside `path`, which is gone at the end unless it has been renamed."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield draft, file
    finally:
        draft.unlink(missing_ok=True)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())

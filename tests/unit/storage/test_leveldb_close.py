"""What is let go of when a store is closed, and in which order."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from storage import leveldb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage.directory import DirectoryLock
    from storage.log_files import LogFiles


class Batch:
    """Holds its database, as plyvel's does."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def put(self, key: bytes, value: bytes) -> None: ...

    def write(self) -> None: ...

    def clear(self) -> None: ...

    def approximate_size(self) -> int:
        return 14


class Database:
    """Tells when it goes."""

    def __init__(self, ended: list[str]) -> None:
        self.ended = ended

    def get(self) -> None: ...

    def raw_iterator(self) -> None: ...

    def write_batch(self, **_: bool) -> Batch:
        return Batch(self)

    def __del__(self) -> None:
        self.ended.append("database")


class Directory:
    """Tells when it is released."""

    def __init__(self, ended: list[str]) -> None:
        self.ended = ended

    def __del__(self) -> None:
        self.ended.append("directory")


class Logs:
    """Syncs nothing."""

    def follow(self) -> None: ...

    def sync(self, _: Directory) -> None: ...


@pytest.mark.parametrize("writes", [0, 1])
def test_the_database_is_closed_before_its_directory_is_released(writes: int) -> None:
    ended: list[str] = []
    store = leveldb.LevelDb(leveldb._Handle(cast("DirectoryLock", Directory(ended)), Database(ended)))
    store._logs = cast("LogFiles", Logs())
    for _ in range(writes):
        store.write([(b"a", b"1")])
    store.close()
    assert ended == ["database", "directory"]


def test_a_write_that_failed_does_not_keep_the_database_open(tmp_path: Path) -> None:
    def torn() -> Iterator[tuple[bytes, bytes | None]]:
        yield b"a", b"1"
        raise ValueError("torn")

    store = leveldb.create(tmp_path / "db")
    with pytest.raises(ValueError, match="torn") as kept:
        store.write(torn())
    store.close()
    with closing(leveldb.open_existing(tmp_path / "db").store) as again:
        assert again.get(b"a") is None
    del kept


def test_a_closed_store_holds_no_file_open(tmp_path: Path) -> None:
    def held() -> set[str]:
        links = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]  # noqa: PTH208
        return {link.readlink().name for link in links if link.is_file() and link.readlink().parent == tmp_path / "db"}

    store = leveldb.create(tmp_path / "db")
    store.write([(b"a", b"1")])
    assert any(name.endswith(".log") for name in held())
    store.close()
    assert held() == set()

"""A node's directory: all of a chain or nothing of it, wherever a crash interrupts, and whatever the directory is."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poolchain.data_directory import DataDirectory, create, replace
from poolchain.devnet import devnet_genesis, devnet_keys
from poolchain.opening import open_chain
from storage.kv import StorageRefused

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = devnet_keys()
OLD, NEW = devnet_genesis(KEYS, 1), devnet_genesis(KEYS, 2)
WHOLE = {"genesis.json", "signing.record", "chain"}


class PowerCut(Exception):
    """The process ends here."""


def cut_before(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Have the process end before one of the steps that change names."""
    steps = iter(range(step + 1))

    def cutting(work: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any, **options: Any) -> Any:
            if next(steps, None) is None:
                raise PowerCut
            return work(*arguments, **options)

        return cut

    next(steps)
    for owner, name in ((Path, "rename"), (Path, "rmdir"), (Path, "unlink"), (shutil, "rmtree")):
        monkeypatch.setattr(owner, name, cutting(getattr(owner, name)))


def chain_in(path: Path) -> int:
    """The id of the chain that opens."""
    with open_chain(DataDirectory(path), KEYS.authority) as opened:
        return opened.genesis.chain_id


def test_a_new_chain_is_whole(tmp_path: Path) -> None:
    create(tmp_path / "a" / "b", OLD)
    assert {entry.name for entry in (tmp_path / "a" / "b").iterdir()} == WHOLE
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert chain_in(tmp_path / "a" / "b") == 1


def test_nothing_is_put_over_anything(tmp_path: Path) -> None:
    create(tmp_path / "chain", OLD)
    with pytest.raises(StorageRefused, match="a chain in"):
        create(tmp_path / "chain", NEW)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("files", "file"):
        with pytest.raises(StorageRefused, match="is not empty"):
            create(tmp_path / name, NEW)
    assert chain_in(tmp_path / "chain") == 1


def test_the_root_of_a_filesystem_is_as_good_as_an_empty_directory(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    create(tmp_path, OLD)
    replace(DataDirectory(tmp_path), NEW)
    assert {entry.name for entry in tmp_path.iterdir()} == WHOLE | {"lost+found"}
    assert chain_in(tmp_path) == 2


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    create(tmp_path / "link", OLD)
    replace(DataDirectory(tmp_path / "link"), NEW)
    assert chain_in(tmp_path / "link") == 2
    assert (tmp_path / "link").is_symlink()
    assert {entry.name for entry in (tmp_path / "disk").iterdir()} == WHOLE


def test_a_chain_in_use_is_not_replaced(tmp_path: Path) -> None:
    directory = create(tmp_path / "chain", OLD)
    with open_chain(directory, KEYS.authority), pytest.raises(StorageRefused, match="in use"):
        replace(directory, NEW)
    assert chain_in(tmp_path / "chain") == 1


def test_a_creation_that_is_cut_short_anywhere_left_all_or_nothing(tmp_path: Path) -> None:
    found = set()
    for step in range(20):
        path = tmp_path / str(step)
        with pytest.MonkeyPatch.context() as patch:
            cut_before(patch, step)
            try:
                create(path, OLD)
            except PowerCut:
                pass
            else:
                break
        found.add(is_there := DataDirectory(path).exists())
        if not is_there:
            create(path, OLD)
        assert {entry.name for entry in path.iterdir()} == WHOLE
        assert chain_in(path) == 1
    assert found == {False, True}
    assert step > 4


def test_a_replacement_that_is_cut_short_anywhere_left_one_of_the_two_and_can_be_done_again(tmp_path: Path) -> None:
    found = []
    for step in range(40):
        directory = create(tmp_path / str(step), OLD)
        with pytest.MonkeyPatch.context() as patch:
            cut_before(patch, step)
            try:
                replace(directory, NEW)
            except PowerCut:
                pass
            else:
                break
        # Also what finishes it may be cut short.
        with pytest.MonkeyPatch.context() as patch, suppress(PowerCut):
            cut_before(patch, 2)
            directory.exists()
        found.append(chain_in(directory.path))
        replace(directory, NEW)
        assert {entry.name for entry in directory.path.iterdir()} == WHOLE
        assert chain_in(directory.path) == 2
    assert found == sorted(found)
    assert set(found) == {1, 2}
    assert step > 8

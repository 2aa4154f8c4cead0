"""A node's directory: all of a chain or nothing of it, wherever a crash interrupts, and whatever the directory is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from poolchain import data_directory
from poolchain.data_directory import DataDirectory, create, replace
from poolchain.devnet import devnet_genesis, devnet_keys
from poolchain.opening import open_chain
from storage.directory import DirectoryLock
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


def is_cut(step: int, work: Callable[[], object]) -> bool:
    """Whether the process ended in the middle of it, before this step."""
    with pytest.MonkeyPatch.context() as patch:
        cut_before(patch, step)
        try:
            work()
        except PowerCut:
            return True
    return False


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
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "letter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, why in (("chain", "a chain in"), ("files", "is not empty"), ("file", "is not a directory")):
        with pytest.raises(StorageRefused, match=why):
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


def test_a_chain_that_is_a_link_is_replaced_and_what_it_leads_to_is_left(tmp_path: Path) -> None:
    directory = create(tmp_path / "chain", OLD)
    directory.chain.rename(tmp_path / "fast")
    directory.chain.symlink_to(tmp_path / "fast")
    assert chain_in(directory.path) == 1
    replace(directory, NEW)
    assert chain_in(directory.path) == 2
    assert (tmp_path / "fast" / "CURRENT").exists()


def test_while_one_makes_replaces_or_opens_a_chain_every_other_is_refused(tmp_path: Path) -> None:
    """Two that had both seen an empty directory put a chain there, one over the other, and over a running node's."""
    (tmp_path / "new").mkdir()
    with DataDirectory(tmp_path / "new").held(), pytest.raises(StorageRefused, match="in use"):
        create(tmp_path / "new", NEW)
    directory = create(tmp_path / "chain", OLD)
    with directory.held():
        with pytest.raises(StorageRefused, match="in use"):
            replace(directory, NEW)
        with pytest.raises(StorageRefused, match="in use"):
            chain_in(directory.path)
        (directory.path / ".next").mkdir()  # as if something were to be finished
        with pytest.raises(StorageRefused, match="in use"):
            directory.exists()
    assert chain_in(directory.path) == 1


def test_whoever_waited_for_the_lock_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked before the lock may be otherwise under it."""
    path = tmp_path / "chain"

    def late(where: Path) -> DirectoryLock:
        monkeypatch.setattr(data_directory, "DirectoryLock", DirectoryLock)
        create(path, OLD)
        return DirectoryLock(where)

    path.mkdir()
    monkeypatch.setattr(data_directory, "DirectoryLock", late)
    with pytest.raises(StorageRefused, match="a chain in"):
        create(path, NEW)
    assert chain_in(path) == 1


def test_where_the_database_is_everything_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody who looks meanwhile finds a chain without its record or its key."""
    names: list[str] = []
    rename = Path.rename

    def noted(source: Path, target: Path) -> Path:
        names.append(target.name)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", noted)
    create(tmp_path / "chain", OLD, b"{}")
    placed = [name for name in names if name in WHOLE | {"authority.json"}]
    assert sorted(placed[:-1]) == ["authority.json", "genesis.json", "signing.record"]
    assert placed[-1] == "chain"


def test_a_creation_that_is_cut_short_anywhere_left_all_or_nothing(tmp_path: Path) -> None:
    found = set()
    for step in range(20):
        path = tmp_path / str(step)
        if not is_cut(step, lambda: create(path, OLD)):  # noqa: B023
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
        if not is_cut(step, lambda: replace(directory, NEW)):  # noqa: B023
            break
        is_cut(2, directory.exists)  # also what finishes it may be cut short
        found.append(chain_in(directory.path))
        replace(directory, NEW)
        assert {entry.name for entry in directory.path.iterdir()} == WHOLE
        assert chain_in(directory.path) == 2
    assert found == sorted(found)
    assert set(found) == {1, 2}
    assert step > 8

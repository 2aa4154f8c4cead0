"""A power cut behind the answer: the files of a real data directory, cut to what was synced of them."""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import TYPE_CHECKING

import pytest

from poolchain.data_directory import DataDirectory, create
from poolchain.devnet import TOKEN, devnet_genesis, devnet_keys
from poolchain.opening import OpenChain, open_chain
from poolchain.signing import sign_transaction
from txtypes.table import decode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Synced:
    """How much of every file was synced through Python: LevelDB syncs its tables itself, and never its logs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bytes: dict[int, int] = {}
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, partial(self._spy, getattr(os, name)))

    def _spy(self, sync: Callable[[int], None], descriptor: int) -> None:
        sync(descriptor)
        status = os.fstat(descriptor)
        self.bytes[status.st_ino] = status.st_size

    def copy(self, source: DataDirectory, target: Path) -> DataDirectory:
        """A copy of a directory as a power cut might leave it, logs and signing record cut where they were synced."""
        shutil.copytree(source.path, target)
        for file in (*source.chain.glob("*.log"), source.record):
            os.truncate(target / file.relative_to(source.path), self.bytes.get(file.stat().st_ino, 0))
        return DataDirectory(target)


def _transfer(opened: OpenChain, nonce: int) -> bytes:
    """Make a block of one transfer, sealed and committed; its hash."""
    keys = devnet_keys()
    fields = {"to": keys.accounts[1].address, "amount": TOKEN, "fee": opened.genesis.min_fee, "nonce": nonce}
    raw = sign_transaction("Transfer", fields, keys.accounts[0], opened.domain)
    produced = opened.authority(keys.authority).produce([decode(raw, opened.domain)], opened.genesis.timestamp)
    return produced.executed.tip.hash


def _expect(directory: DataDirectory, told: list[bytes], recovered: int) -> None:
    """Start on what is left: it is all that was told, and goes on."""
    with open_chain(directory, devnet_keys().authority) as opened:
        assert opened.recovered_blocks == recovered
        view = opened.store.view()
        assert [view.sealed_header(height).header.hash() for height in range(1, view.height + 1)] == told
        _transfer(opened, len(told))


def _live(directory: DataDirectory, told: list[bytes], synced: Synced, *, is_synced: bool) -> None:
    """Make four blocks, and have the power go after each in a copy."""
    with open_chain(directory, devnet_keys().authority) as opened:
        for _ in range(4):
            told.append(_transfer(opened, len(told)))
            if is_synced:
                opened.chain.sync()
            left = synced.copy(directory, directory.path.with_name(f"left-{len(told)}"))
            _expect(left, told, 0 if is_synced else 1)


@pytest.mark.parametrize("is_synced", [False, True])
def test_every_block_that_was_told_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_synced: bool
) -> None:
    synced = Synced(monkeypatch)
    directory = create(tmp_path / "data", devnet_genesis(devnet_keys()))
    told: list[bytes] = []
    for _ in range(3):
        _live(directory, told, synced, is_synced=is_synced)
    assert len(told) == 12

"""One number bounds a node's memory: all that may grow has its part of it, and the parts are what is opened with."""

from __future__ import annotations

from pathlib import Path

import pytest

from poolchain.data_directory import DataDirectory, create
from poolchain.devnet import devnet_genesis, devnet_keys
from poolchain.memory import DEFAULT_MEMORY, MEMORY_MIB, MEMORY_MIB_MIN, memory_of
from poolchain.opening import open_chain


@pytest.mark.parametrize("mebibytes", [MEMORY_MIB_MIN, 100, MEMORY_MIB, 4_096])
def test_the_parts_together_stay_below_the_whole(mebibytes: int) -> None:
    memory = memory_of(mebibytes)
    database = 2 * memory.database.write_buffer_bytes + memory.database.block_cache_bytes
    parts = database + memory.tree_bytes + memory.pages_bytes + memory.records_bytes + memory.tails_bytes
    assert 0.85 * (mebibytes << 20) < parts <= mebibytes << 20


def test_the_default_has_room_for_the_deepest_levels_of_the_tree_in_memory() -> None:
    assert DEFAULT_MEMORY.tree_bytes == 32 << 20


def test_a_chain_is_continued_with_less_memory_than_it_was_made_with(tmp_path: Path) -> None:
    directory = create(tmp_path / "chain", devnet_genesis(devnet_keys()))
    assert [_height_after_two_more(directory, mebibytes) for mebibytes in (MEMORY_MIB, MEMORY_MIB_MIN)] == [2, 4]


def _height_after_two_more(directory: DataDirectory, mebibytes: int) -> int:
    authority = devnet_keys().authority
    with open_chain(directory, authority, memory_of(mebibytes)) as opened:
        opened.authority(authority).produce_empty(2, opened.genesis.timestamp)
        return opened.chain.tip.header.height

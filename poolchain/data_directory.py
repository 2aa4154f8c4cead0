"""A node's directory: genesis file, database, signing record and, on a chain of one's own, the authority's key.

    genesis.json      the genesis file, for people and for `init` elsewhere
    chain/            LevelDB
    signing.record    the witness outside the database
    authority.json    the authority's key as an encrypted web3 keystore (not on a devnet)

`create` makes all of it or nothing, `replace` puts another in its place; nothing else ever creates a chain. Both build
the new one inside the directory, which may be a mount point or a link, and give it the name `.next` when it is complete
and on the disk: from then on it is what counts, and whoever comes next finishes what a crash interrupted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.genesis import Genesis
from storage import leveldb, signing_record
from storage.chain_store import create_chain
from storage.directory import DirectoryLock, sync_directory
from storage.kv import StorageRefused

from .private_files import make_private_directory, write_new

GENESIS_FILE: Final = "genesis.json"
CHAIN_DIRECTORY: Final = "chain"
RECORD_FILE: Final = "signing.record"
KEY_FILE: Final = "authority.json"
_DRAFT: Final = ".new"
_NEXT: Final = ".next"
_NOT_OURS: Final = frozenset({"lost+found"})
"""What the root of a filesystem has from the beginning."""


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """The places in one node's directory."""

    path: Path

    @property
    def genesis(self) -> Path:
        """The genesis file."""
        return self.path / GENESIS_FILE

    @property
    def chain(self) -> Path:
        """The database."""
        return self.path / CHAIN_DIRECTORY

    @property
    def record(self) -> Path:
        """The signing record."""
        return self.path / RECORD_FILE

    @property
    def key(self) -> Path:
        """The authority's keystore file."""
        return self.path / KEY_FILE

    def exists(self) -> bool:
        """Tell whether there is a chain here, after finishing what a crash interrupted.

        Raises StorageRefused while that is under way in another process, and OSError.
        """
        if (self.path / _NEXT).exists():
            with self.held():
                pass
        return self.chain.exists()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process from making, replacing or opening a chain here; finish what a crash interrupted.

        Raises StorageRefused where another one does, and OSError.
        """
        lock = DirectoryLock(self.path)
        try:
            if (self.path / _NEXT).exists():
                _settle(self.path)
            yield
        finally:
            del lock


def create(path: Path, genesis: Genesis, keystore: bytes | None = None) -> DataDirectory:
    """Make a new chain in a directory that does not exist or is empty; raises StorageRefused and OSError."""
    if path.exists() and not path.is_dir():
        raise StorageRefused(f"{path} is not a directory: a new chain is never put over anything")
    make_private_directory(path)
    directory = DataDirectory(path)
    with directory.held():
        if directory.chain.exists():
            raise StorageRefused(f"there is a chain in {path} already: a new one is never put over it")
        if {entry.name for entry in path.iterdir()} - {_DRAFT, *_NOT_OURS}:
            raise StorageRefused(f"{path} is not empty: a new chain is never put over anything")
        _build(path / _DRAFT, genesis, keystore)
        _settle(path)
    return directory


def replace(directory: DataDirectory, genesis: Genesis) -> None:
    """Put a new chain in the place of an old one, which is deleted; a crash leaves one of the two.

    Raises StorageRefused while something runs on the old one, and OSError.
    """
    with directory.held():
        if directory.chain.is_mount():
            raise StorageRefused(
                f"{directory.chain} is a mount point and cannot be replaced: mount its directory instead"
            )
        _build(directory.path / _DRAFT, genesis, None)
        _settle(directory.path)


def _settle(path: Path) -> None:
    """Put what is complete into its place, over what was there; can be interrupted anywhere and done again."""
    following = path / _NEXT
    # The database comes last: where it is, everything is.
    for name in (GENESIS_FILE, RECORD_FILE, KEY_FILE, CHAIN_DIRECTORY):
        if (following / name).exists():
            _remove(path / name)
            (following / name).rename(path / name)
    sync_directory(path)
    following.rmdir()
    sync_directory(path)


def _build(draft: Path, genesis: Genesis, keystore: bytes | None) -> None:
    """Make everything in `draft`, and call it `.next` when it is complete and on the disk."""
    _remove(draft)  # left by a crash before it became anything
    draft.mkdir(mode=0o700)
    directory = DataDirectory(draft)
    text = json.dumps(genesis.to_json(), indent=2, sort_keys=True) + "\n"
    write_new(directory.genesis, text.encode())
    if keystore is not None:
        write_new(directory.key, keystore)
    signing_record.create(directory.record).close()
    store = create_chain(leveldb.create(directory.chain), genesis)
    store.close()
    sync_directory(draft)
    draft.rename(draft.with_name(_NEXT))
    sync_directory(draft.parent)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

"""A node's directory: genesis file, database, signing record and, on a chain of one's own, the authority's key.

    genesis.json      the genesis file, for people and for `init` elsewhere
    chain/            LevelDB
    signing.record    the witness outside the database
    authority.json    the authority's key as an encrypted web3 keystore (not on a devnet)

`create` makes all of it or nothing; nothing else ever creates a chain.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ledger.genesis import Genesis
from storage import leveldb, signing_record
from storage.chain_store import create_chain
from storage.directory import sync_directory
from storage.kv import StorageRefused

from .private_files import write_new

GENESIS_FILE: Final = "genesis.json"
CHAIN_DIRECTORY: Final = "chain"
RECORD_FILE: Final = "signing.record"
KEY_FILE: Final = "authority.json"


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
        """Tell whether there is a chain here, after finishing a `replace` that a crash interrupted."""
        former = _beside(self.path, "former")
        if not self.path.exists() and former.exists():
            former.rename(self.path)
        return self.chain.exists()


def create(path: Path, genesis: Genesis, keystore: bytes | None = None) -> DataDirectory:
    """Make a new chain in a directory that does not exist or is empty; raises StorageRefused.

    It is built beside its place and renamed when it is complete and synced.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise StorageRefused(f"{path} is not empty: a new chain is never put over anything")
    path.parent.mkdir(parents=True, exist_ok=True)
    built = _build(_beside(path, "new"), genesis, keystore)
    built.rename(path)
    sync_directory(path.parent)
    return DataDirectory(path)


def replace(directory: DataDirectory, genesis: Genesis) -> None:
    """Put a new chain in the place of an old one, which is deleted; a crash leaves one of the two."""
    path = directory.path
    built = _build(_beside(path, "new"), genesis, None)
    former = _beside(path, "former")
    path.rename(former)
    built.rename(path)
    sync_directory(path.parent)
    shutil.rmtree(former)


def _build(path: Path, genesis: Genesis, keystore: bytes | None) -> Path:
    if path.exists():
        # Left by a crash before it became anything.
        shutil.rmtree(path)
    path.mkdir(mode=0o700)
    directory = DataDirectory(path)
    text = json.dumps(genesis.to_json(), indent=2, sort_keys=True) + "\n"
    write_new(directory.genesis, text.encode())
    if keystore is not None:
        write_new(directory.key, keystore)
    signing_record.create(directory.record).close()
    store = create_chain(leveldb.create(directory.chain), genesis)
    store.close()
    sync_directory(path)
    return path


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{path.name}.{what}")

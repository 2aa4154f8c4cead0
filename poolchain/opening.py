"""From a directory to a chain that may be served: open, check, finish what a crash interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from consensus.authority import Authority
from consensus.chain import Chain
from consensus.recovery import recorded_blocks, recover
from crypto.eip712 import Domain
from crypto.signature import SigningKey
from ledger.errors import InvalidGenesis
from ledger.genesis import Genesis, parse_genesis
from storage import leveldb, signing_record
from storage.chain_store import ChainStore, expect_schema
from storage.chain_view import ChainView
from storage.kv import ReadView, StorageDamaged, StorageRefused
from storage.signing_record import SigningRecord
from txtypes.table import decode

from .data_directory import DataDirectory
from .integrity import NotOneChain, check_all, check_recent
from .memory import DEFAULT_MEMORY, Memory


@dataclass(frozen=True, slots=True)
class OpenChain:
    """A chain that was found whole, and the means to continue it."""

    store: ChainStore
    record: SigningRecord
    chain: Chain
    recovered_blocks: int
    """Blocks that were signed but not committed when the process last died, finished now."""

    @property
    def genesis(self) -> Genesis:
        """The parameters of the chain."""
        return self.chain.genesis

    @property
    def domain(self) -> Domain:
        """The signing domain of the chain."""
        return self.chain.domain

    def authority(self, key: SigningKey) -> Authority:
        """Return the authority with its key; raises ValueError for another key."""
        return Authority(self.chain, key, self.record)


@contextmanager
def open_chain(
    directory: DataDirectory, key: SigningKey | None, memory: Memory = DEFAULT_MEMORY
) -> Iterator[OpenChain]:
    """Open the chain of a directory, with the authority's key where this node has it, and close it again.

    Raises StorageRefused (missing, locked, another genesis), StorageDamaged, NotOneChain or RecordConflict, each with
    one sentence for the operator.
    """
    stated_genesis(directory)  # refuses where there is no chain to hold
    with directory.held(), closing(signing_record.open_existing(directory.record)) as record:
        stated = stated_genesis(directory)
        opened = leveldb.open_existing(directory.chain, memory.database, accept=lambda reader: _accept(reader, record))
        with closing(opened.store) as kv:
            store = ChainStore(kv, memory.tails_bytes)
            genesis, domain = _identity(store.view())
            if stated != genesis:
                raise StorageRefused(f"{directory.genesis} is not the genesis of the chain beside it")
            check_recent(store.view(), genesis, domain)
            chain = Chain(
                store,
                genesis,
                domain,
                memory.tree_bytes,
                pages_bytes=memory.pages_bytes,
                records_bytes=memory.records_bytes,
            )
            seal = Authority(chain, key, record).seal if key else None
            finished = recover(chain, record, lambda raws: [decode(raw, domain) for raw in raws], seal)
            yield OpenChain(store, record, chain, finished)


def stated_genesis(directory: DataDirectory) -> Genesis:
    """Return what the genesis file of a directory says; raises StorageRefused where there is none, or no chain."""
    if not directory.exists():
        raise StorageRefused(f"there is no chain in {directory.path}: make one with 'poolchain init'")
    try:
        return parse_genesis(directory.genesis.read_bytes())
    except OSError as error:
        raise StorageRefused(f"{directory.genesis} cannot be read: {error.strerror}") from error
    except InvalidGenesis as error:
        raise StorageRefused(f"{directory.genesis} is damaged: {error}") from error


def _accept(reader: ReadView, record: SigningRecord) -> None:
    """Judge a database that LevelDB can only open by dropping what it cannot read of its log.

    Raises StorageDamaged unless it is a whole chain with everything that was acknowledged: all that the record does
    not hold. The recorded group itself may be missing, whole; recovery finishes it. Raises StorageRefused for a chain
    of another schema.
    """
    expect_schema(reader)
    view = ChainView(reader)
    recorded = recorded_blocks(record)
    if recorded and view.height < recorded[0].header.height - 1:
        raise StorageDamaged(f"the database ends at {view.height} but block {recorded[-1].header.height} was signed")
    try:
        check_all(view, *_identity(view))
    except NotOneChain as error:
        raise StorageDamaged(str(error)) from error


def _identity(view: ChainView) -> tuple[Genesis, Domain]:
    try:
        genesis = parse_genesis(view.genesis_bytes())
    except InvalidGenesis as error:
        raise StorageDamaged(f"the genesis in the database is damaged: {error}") from error
    return genesis, genesis.domain(view.sealed_header(0).header.hash())

"""Chains for benchmarks: a devnet's, with more funded accounts, and blocks that are made without HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Final

from crypto.hashing import keccak256
from ledger.genesis import Genesis
from ledger.transaction import AnyTransaction, Transaction
from poolchain.data_directory import DataDirectory, create
from poolchain.devnet import TOKEN, devnet_genesis, devnet_keys
from poolchain.opening import OpenChain, open_chain
from txtypes.table import KINDS

from .checks import expect
from .signed import key

FUNDS: Final = 10**6 * TOKEN
"""Of every funded account at genesis."""
DATA: Final = "devnet"
"""The data directory in a part's folder, where NodeProcess looks for it."""
AUTHORITY: Final = devnet_keys().authority


def bench_genesis(funded: Iterable[int]) -> Genesis:
    """Return the devnet's genesis with funds for the keys with these numbers."""
    genesis = devnet_genesis(devnet_keys())
    return replace(genesis, alloc={**genesis.alloc, **{key(number).address: FUNDS for number in funded}})


def make_chain(folder: Path, funded: Iterable[int]) -> DataDirectory:
    """Make a new chain in `folder`/devnet."""
    return create(folder / DATA, bench_genesis(funded))


def open_made(folder: Path) -> AbstractContextManager[OpenChain]:
    """Open the chain in `folder`/devnet, with the authority's key."""
    return open_chain(DataDirectory(folder / DATA), AUTHORITY)


def commit(opened: OpenChain, transactions: Sequence[AnyTransaction], in_block: int) -> None:
    """Make blocks of so many transactions; raises Wrong if one is left out."""
    authority = opened.authority(AUTHORITY)
    for at in range(0, len(transactions), in_block):
        candidates = transactions[at : at + in_block]
        built = authority.produce(candidates, opened.genesis.timestamp)
        expect("transactions in a block", len(candidates), len(built.executed.transactions))


def signed_by(raw: bytes, *signers: bytes) -> AnyTransaction:
    """Return a transaction whose signers are known: we have just signed it ourselves."""
    kind = KINDS[raw[0]]
    return Transaction(kind, raw, keccak256(raw), kind.decode(raw), signers)

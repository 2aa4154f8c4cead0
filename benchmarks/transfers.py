"""How many transfers a second a node takes over HTTP, like settlements.py: many senders, nonces in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crypto.eip712 import Domain
from ledger.records import Account
from storage.chain_view import ChainView

from .bench_chain import AUTHORITY, FUNDS, make_chain, open_made
from .checks import expect_account
from .figures import Goal, Sample, Scale
from .runs import MANY, ONE_BY_ONE, Run, Way, deal, drive_new_node
from .signed import FEE, PlannedTransfer, key, sign_transfers

BY_MANY: Final = "transfers by tx_submitMany"
BY_ONE: Final = "transfers by tx_submit, 32 connections"
ANVIL_BATCHES: Final = "anvil transfers, best mode, batches"
GOALS: Final = (Goal(BY_MANY, 1.2, ANVIL_BATCHES),)
AMOUNT: Final = 10**15
_FIRST_RECEIVER: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class Senders:
    """So many senders, each of whom pays a receiver of its own so often."""

    count: int
    transfers: int
    """Of each."""

    def make(self, folder: Path) -> Domain:
        """Make a chain in `folder`/devnet in which they have funds."""
        make_chain(folder, range(self.count))
        with open_made(folder) as opened:
            return opened.domain

    def sign(self, domain: Domain) -> list[list[bytes]]:
        """Return the raw transfers of each, by nonce."""
        plans = [
            PlannedTransfer(sender, self._receiver(sender), AMOUNT, nonce)
            for sender in range(self.count)
            for nonce in range(self.transfers)
        ]
        raws = sign_transfers(domain, plans)
        return [raws[at : at + self.transfers] for at in range(0, len(raws), self.transfers)]

    def check(self, view: ChainView) -> None:
        """Raise Wrong unless every balance, every nonce and the fees are what the transfers make them."""
        spent = self.transfers * (AMOUNT + FEE)
        for sender in range(self.count):
            expect_account(view, key(sender).address, Account(FUNDS - spent, self.transfers))
            expect_account(view, self._receiver(sender), Account(self.transfers * AMOUNT, 0))
        expect_account(view, AUTHORITY.address, Account(self.count * self.transfers * FEE, 0))

    def _receiver(self, sender: int) -> bytes:
        return key(_FIRST_RECEIVER + sender).address


def part(scale: Scale) -> Iterator[Sample]:
    """Measure transfers in calls of 1,000 and one by one."""
    full = 1 if scale.quick else 10
    yield from _measure(scale.folder / "many", Senders(200, 10 * full), MANY).samples(BY_MANY)
    yield from _measure(scale.folder / "one", Senders(64, 9 * full), ONE_BY_ONE).samples(BY_ONE)


def _measure(folder: Path, senders: Senders, way: Way) -> Run:
    """Make all transfers through a new node; raises Wrong unless everything has happened."""
    folder.mkdir()
    run = drive_new_node(folder, deal(way.lanes, senders.sign(senders.make(folder))), way)
    with open_made(folder) as opened:
        senders.check(opened.store.view())
    return run

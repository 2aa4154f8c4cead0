"""A chain kept by the reference model, block by block, and what each block looks like."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.model import signing
from tests.model.encoding import (
    Header,
    ModelRefusal,
    Receipt,
    block_hash,
    encode_header,
    encode_receipt,
    merkle_root,
    receipts_root,
)
from tests.model.reference import Model
from tests.model.signing import Domain
from tests.model.small_chain import AUTHORITY_KEY

from . import state_tree
from .blocks import show_header, show_receipt
from .form import Case, invalid, text, texts, valid
from .genesis import alloc_root, genesis_header

Records = dict[bytes, tuple[Case, bytes]]
"""Tree key -> (how the key is shown, record)."""


class Attempt(NamedTuple):
    """A transaction that is refused where it stands, for this reason."""

    name: str
    raw: bytes
    reason: str
    why: str


class Made(NamedTuple):
    """A block as it would be sent."""

    header: Header
    seal: bytes | None
    raws: list[bytes]

    def resealed(self, key: bytes, domain: Domain) -> Made:
        return self._replace(seal=signing.sign_seal(key, domain, block_hash(self.header)))

    def changed(self, domain: Domain, **members: Any) -> Made:
        """Other members in the header, and the authority's seal on that."""
        header: Header = {**self.header, **members}  # type: ignore[typeddict-item]
        return self._replace(header=header).resealed(AUTHORITY_KEY, domain)

    def shown(self) -> Case:
        return {
            "height": hex(self.header["height"]),
            "headerBytes": text(encode_header(self.header)),
            "seal": None if self.seal is None else text(self.seal),
            "transactions": texts(self.raws),
        }


class Keeper:
    """The chain up to one height."""

    def __init__(self, members: dict[str, Any]) -> None:
        self.members = members
        self.model = Model(members, alloc_root(members))
        self.domain = Domain(self.model.chain_id, self.model.genesis_hash)
        assert genesis_header(members) == self.model.genesis_header
        self.headers = [self.model.genesis_header]
        self.cases: list[Case] = []

    @property
    def hashes(self) -> list[bytes]:
        return [block_hash(header) for header in self.headers]

    @property
    def height(self) -> int:
        return len(self.headers)

    def fork(self) -> Keeper:
        return copy.deepcopy(self)

    def nonce(self, key: bytes) -> int:
        return self.model.nonce(signing.address_of(key))

    # The state

    def records(self) -> Records:
        model = self.model
        found: Records = {}
        for who, (balance, nonce) in model.accounts.items():
            found[state_tree.account_key(who)] = {"account": text(who)}, state_tree.account_record(balance, nonce)
        for name, pool in model.pools.items():
            amounts = (pool["deposit"], pool["collateral"], pool["spent"])
            heights = (pool["createdAt"], pool["expiresAt"])
            record = state_tree.pool_record(pool["creator"], pool["resourceId"], amounts, heights, pool["status"])
            found[state_tree.pool_key(name)] = {"cptxHash": text(name)}, record
        for (name, who), (seq, paid) in model.targets.items():
            shown = {"cptxHash": text(name), "target": text(who)}
            found[state_tree.target_key(name, who)] = shown, state_tree.target_record(seq, paid)
        if model.burned:
            found[state_tree.burned_key()] = {"burned": True}, state_tree.burned_record(model.burned)
        return found

    def state_root(self) -> bytes:
        return state_tree.state_root({key: record for key, (_, record) in self.records().items()})

    def supply(self) -> Case:
        """Where all tokens are."""
        assert self.model.supply_equation_holds()
        balances = sum(balance for balance, _ in self.model.accounts.values())
        burned = self.model.burned
        locked = self.model.genesis_supply - balances - burned
        return {"balances": hex(balances), "locked": hex(locked), "burned": hex(burned)}

    # Blocks

    def block(self, name: str, seconds: int, *steps: bytes | Attempt) -> Made:
        """Make the next block of the raw transactions among `steps`, `seconds` after the last one; record its case.

        An attempt between them is refused at its place.
        """
        before = self.records()
        expired = self.model.begin_block(self.height)
        raws: list[bytes] = []
        receipts: list[Receipt] = []
        for step in steps:
            if isinstance(step, Attempt):
                self.refuse(step, len(raws))
            else:
                receipts.append(self.model.apply(step))
                raws.append(step)
        made = self.close(seconds, raws, receipts)
        self.cases.append(valid("block", name, made.shown(), self.expected(before, expired, made, receipts)))
        return made

    def close(self, seconds: int, raws: list[bytes], receipts: Sequence[Receipt]) -> Made:
        """Seal the block of what was applied and stand on it."""
        hashes, last = self.hashes, self.headers[-1]
        header = Header(
            chainId=self.model.chain_id,
            height=self.height,
            timestamp=last["timestamp"] + seconds,
            parentHash=hashes[-1],
            txRoot=merkle_root(raws),
            txCount=len(raws),
            receiptsRoot=receipts_root(receipts),
            stateRoot=self.state_root(),
            historyRoot=merkle_root(hashes),
            authority=self.model.authority,
        )
        self.headers.append(header)
        return Made(header, None, raws).resealed(AUTHORITY_KEY, self.domain)

    def attempt(self, seconds: int, *raws: bytes) -> Made:
        """The next block as it would be, on a copy."""
        fork = self.fork()
        fork.model.begin_block(fork.height)
        receipts = [fork.model.apply(raw) for raw in raws]
        return fork.close(seconds, list(raws), receipts)

    def refuse(self, attempt: Attempt, index: int) -> None:
        before = copy.deepcopy(vars(self.model))
        reason = "accepted"
        try:
            self.model.apply(attempt.raw)
        except ModelRefusal as refusal:
            reason = refusal.reason
        assert reason == attempt.reason, f"{attempt.name}: {reason}"
        assert vars(self.model) == before
        given = {"height": hex(self.height), "index": hex(index), "raw": text(attempt.raw)}
        name = f"block {self.height}: {attempt.name}"
        self.cases.append(invalid("refusedTransaction", name, given, attempt.reason, attempt.why))

    def bad_block(self, name: str, made: Made, error: str, why: str) -> None:
        """A block that must not be imported after the head."""
        given = {**made.shown(), "height": hex(self.height)}
        self.cases.append(invalid("refusedBlock", f"instead of block {self.height}: {name}", given, error, why))

    def expected(self, before: Records, expired: list[bytes], made: Made, receipts: Sequence[Receipt]) -> Case:
        after = self.records()
        changes = []
        for key in sorted(before.keys() | after.keys()):
            old, new = before.get(key), after.get(key)
            if old != new:
                shown = (new or old or ({}, b""))[0]
                record = None if new is None else text(new[1])
                changes.append({"key": shown, "treeKey": text(key), "recordBytes": record})
        return {
            "hash": text(block_hash(made.header)),
            "header": show_header(made.header),
            "expired": texts(expired),
            "receipts": [show_receipt(receipt) for receipt in receipts],
            "receiptBytes": [text(encode_receipt(receipt)) for receipt in receipts],
            "changes": changes,
            "supply": self.supply(),
        }

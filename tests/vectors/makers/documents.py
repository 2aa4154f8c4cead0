"""Proof documents of a chain of the reference model, by the definitions of docs/protocol.md alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.model import signing
from tests.model.encoding import Header, block_hash, encode_header, keccak
from tests.model.signing import Domain
from tests.model.small_chain import AUTHORITY, AUTHORITY_KEY

from . import state_tree
from .form import Case, text, texts
from .hashes import checksum
from .ledger import Keeper, Made, Records
from .trees import consistency, inclusion


class Standing(NamedTuple):
    """One block of the chain and the state after it."""

    made: Made
    records: Records


def sealed_json(header: Header, seal: bytes | None) -> Case:
    return {"header": text(encode_header(header)), "seal": None if seal is None else text(seal)}


class Notary:
    """Makes the documents of a chain, and whatever else its authority can be made to seal."""

    def __init__(self, keeper: Keeper) -> None:
        self.domain = keeper.domain
        self.chain = [Standing(Made(keeper.headers[0], None, []), keeper.records())]

    def trust(self) -> Case:
        return {"authority": text(AUTHORITY), "genesisHash": text(self.domain.genesis_hash)}

    def header_at(self, height: int) -> Header:
        return self.chain[height].made.header

    def hashes(self, size: int) -> list[bytes]:
        return [block_hash(self.header_at(height)) for height in range(size)]

    # Parts

    def envelope(self, kind: str) -> Case:
        origin = {"chainId": hex(self.domain.chain_id), "genesisHash": text(self.domain.genesis_hash)}
        return {"version": 1, "kind": kind, "sealKind": "authority", **origin}

    def sealed(self, height: int) -> Case:
        made = self.chain[height].made
        return sealed_json(made.header, made.seal)

    def reseal(self, header: Header, key: bytes = AUTHORITY_KEY, domain: Domain | None = None) -> Case:
        """Any header under the seal of any key."""
        return sealed_json(header, signing.sign_seal(key, domain or self.domain, block_hash(header)))

    def other(self, height: int, **members: Any) -> Case:
        """The header of a height with other members, sealed by the authority."""
        header: Header = {**self.header_at(height), **members}  # type: ignore[typeddict-item]
        return self.reseal(header)

    def history(self, height: int, head: int) -> Case | None:
        return None if height == head else self.place(height, self.hashes(head))

    @staticmethod
    def place(index: int, entries: list[bytes]) -> Case:
        path = texts(inclusion(index, entries))
        return {"leafIndex": hex(index), "treeSize": hex(len(entries)), "path": path}

    # Documents

    def transaction(self, height: int, index: int, head: int) -> Case:
        raws = self.chain[height].made.raws
        return {
            **self.envelope("transaction"),
            "transaction": text(raws[index]),
            "transactionHash": text(keccak(raws[index])),
            "inclusion": self.place(index, raws),
            **self.in_head(height, head),
        }

    def header(self, height: int, head: int) -> Case:
        return {**self.envelope("header"), **self.in_head(height, head)}

    def in_head(self, height: int, head: int) -> Case:
        return {**self.sealed(height), "head": self.sealed(head), "history": self.history(height, head)}

    def consistency(self, first: int, second: int) -> Case:
        return {
            **self.envelope("consistency"),
            "first": self.sealed(first),
            "second": self.sealed(second),
            "path": texts(consistency(first, self.hashes(second))),
            "history": self.history(first, second),
        }

    def state(self, key: Case, height: int) -> Case:
        records = self.chain[height].records
        tree_key = tree_key_of(key)
        record = records[tree_key][1] if tree_key in records else None
        proof = state_tree.prove({name: found for name, (_, found) in records.items()}, tree_key)
        return {
            **self.envelope("state"),
            "key": key,
            "record": None if record is None else record_json(key, record),
            "recordBytes": None if record is None else text(record),
            "proof": text(proof.encode()),
            **self.sealed(height),
        }

    def over(self, height: int, changes: dict[bytes, bytes]) -> tuple[Case, bytes]:
        """A header over a state that the ledger never had, and the proof of the first changed record in it."""
        records = {key: record for key, (_, record) in self.chain[height].records.items()} | changes
        proof = state_tree.prove(records, next(iter(changes)))
        return self.other(height, stateRoot=state_tree.state_root(records)), proof.encode()

    def equivocation(self, first: Case, second: Case) -> Case:
        return {**self.envelope("equivocation"), "first": first, "second": second}


def key_bytes(shown: str) -> bytes:
    return bytes.fromhex(shown[2:])


def tree_key_of(key: Case) -> bytes:
    if "target" in key:
        return state_tree.target_key(key_bytes(key["cptxHash"]), key_bytes(key["target"]))
    if "cptxHash" in key:
        return state_tree.pool_key(key_bytes(key["cptxHash"]))
    return state_tree.account_key(key_bytes(key["account"])) if "account" in key else state_tree.burned_key()


def record_json(key: Case, record: bytes) -> Case:
    """The object of section 8 that says what the bytes of section 4 say."""

    def number(start: int, stop: int) -> int:
        return int.from_bytes(record[start:stop], "big")

    if "account" in key:
        shown = {"address": checksum(key_bytes(key["account"]))}
        return {**shown, "balance": hex(number(0, 16)), "nonce": hex(number(16, 24))}
    if "target" in key:
        shown = {"cptxHash": key["cptxHash"], "target": checksum(key_bytes(key["target"]))}
        return {**shown, "seq": hex(number(0, 8)), "paid": hex(number(8, 24))}
    if "burned" in key:
        return {"burned": hex(number(0, 16))}
    deposit, collateral, spent = number(52, 68), number(68, 84), number(84, 100)
    return {
        "cptxHash": key["cptxHash"],
        "creator": checksum(record[:20]),
        "resourceId": text(record[20:52]),
        "deposit": hex(deposit),
        "collateral": hex(collateral),
        "spent": hex(spent),
        "remaining": hex(deposit - spent),
        "createdAt": hex(number(100, 108)),
        "expiresAt": hex(number(108, 116)),
        "status": state_tree.STATUS[record[116]],
    }

"""An authority that seals whatever it is told to, and the documents that a node without a conscience would serve."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from consensus.seal import make_seal
from crypto.hashing import ZERO_HASH, keccak256
from crypto.merkle import EMPTY_ROOT, root, tree_nodes
from crypto.node_tree import NodeTree
from crypto.signature import SigningKey
from ledger.header import Header
from ledger.records import tree_key
from ledger.state_tree import prove
from ledger.tree_build import build_pages
from light.documents import SealedHeader, read_sealed
from light.record_json import record_json
from light.verify import Trust
from rpc.proof_documents import state_key_json
from tests.model import signing
from tests.model.small_chain import AUTHORITY_KEY
from tests.workbench import make_genesis

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = dict[str, Any]


class Forger:
    """The small chain's authority, with its key and no rules."""

    def __init__(self) -> None:
        self.genesis = make_genesis()
        pages: dict[bytes, bytes] = {}
        records = sorted((tree_key(key), record) for key, record in self.genesis.allocations().items())
        self.block_0 = self.genesis.header(build_pages(records, pages.__setitem__))
        self.domain = self.genesis.domain(self.block_0.hash())
        self.signing = signing.Domain(self.genesis.chain_id, self.domain.genesis_hash)
        self.key = SigningKey(AUTHORITY_KEY)
        self.trust = Trust(self.key.address, self.domain.genesis_hash)

    def header(self, **members: Any) -> Header:
        """A header of height 1 with empty trees, or one that differs in some members."""
        header = Header(
            chain_id=self.genesis.chain_id,
            height=1,
            timestamp=self.block_0.timestamp,
            parent_hash=self.block_0.hash(),
            tx_root=EMPTY_ROOT,
            tx_count=0,
            receipts_root=EMPTY_ROOT,
            state_root=EMPTY_ROOT,
            history_root=root([self.block_0.hash()]),
            authority=self.key.address,
        )
        return replace(header, **members)

    def seal(self, header: Header) -> Json:
        """{header, seal} as in the documents."""
        seal = make_seal(self.key, header.hash(), self.domain)
        return {"header": text(header.encode()), "seal": text(seal)}

    def sealed(self, header: Header) -> SealedHeader:
        return as_sealed(self.seal(header))

    def envelope(self, kind: str) -> Json:
        return {
            "version": 1,
            "kind": kind,
            "sealKind": "authority",
            "chainId": hex(self.domain.chain_id),
            "genesisHash": text(self.domain.genesis_hash),
        }

    def chain(self, length: int) -> list[Header]:
        """Headers of heights 0 to `length` with right links and history roots."""
        headers = [self.block_0]
        for height in range(1, length + 1):
            hashes = [header.hash() for header in headers]
            headers.append(self.header(height=height, parent_hash=hashes[-1], history_root=root(hashes)))
        return headers

    def consistency(self, headers: Sequence[Header], first: int, second: int) -> Json:
        """The document about two heights of a chain."""
        nodes = tree_nodes(header.hash() for header in headers)
        tree = NodeTree(len(headers), lambda level, index: nodes[level, index])
        path = tree.inclusion_path(first, second) if first < second else []
        return {
            **self.envelope("consistency"),
            "first": self.seal_or_none(headers[first]),
            "second": self.seal_or_none(headers[second]),
            "path": [text(node) for node in tree.consistency_path(first, second)],
            "history": None if first == second else path_json(first, second, path),
        }

    def seal_or_none(self, header: Header) -> Json:
        return self.seal(header) if header.height else {"header": text(header.encode()), "seal": None}

    def block(
        self, transactions: Sequence[bytes], records: Mapping[bytes, bytes], **members: Any
    ) -> tuple[list[Json], Header]:
        """The transaction documents of one block that is its own head, and its header."""
        items = sorted((tree_key(key), record) for key, record in records.items())
        header = self.header(
            tx_root=root(transactions),
            tx_count=len(transactions),
            state_root=build_pages(items, lambda _key, _page: None),
            **members,
        )
        nodes = tree_nodes(transactions)
        tree = NodeTree(len(transactions), lambda level, index: nodes[level, index])
        sealed = self.seal(header)
        documents = [
            {
                **self.envelope("transaction"),
                "transaction": text(raw),
                "transactionHash": text(keccak256(raw)),
                "inclusion": path_json(index, len(transactions), tree.inclusion_path(index, len(transactions))),
                **sealed,
                "head": sealed,
                "history": None,
            }
            for index, raw in enumerate(transactions)
        ]
        return documents, header

    def state(self, header: Header, records: Mapping[bytes, bytes], key: bytes) -> Json:
        """The state document of a key, for a header over these records."""
        pages: dict[bytes, bytes] = {}
        build_pages(sorted((tree_key(name), record) for name, record in records.items()), pages.__setitem__)
        record = records.get(key)
        return {
            **self.envelope("state"),
            "key": state_key_json(key),
            "record": None if record is None else record_json(key, record),
            "recordBytes": None if record is None else text(record),
            "proof": text(prove(pages.get, tree_key(key)).encode()),
            **self.seal(header),
        }


def as_sealed(found: Json) -> SealedHeader:
    return read_sealed(found["header"], found["seal"])


def path_json(index: int, size: int, path: Sequence[bytes]) -> Json:
    return {"leafIndex": hex(index), "treeSize": hex(size), "path": [text(node) for node in path]}


def text(data: bytes) -> str:
    return "0x" + data.hex()


NO_HASH = text(ZERO_HASH)

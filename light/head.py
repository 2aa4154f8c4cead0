"""A head that is followed without anybody's word, and kept on disk.

The client moves to a newer head only with a proof that the head it knows is in that one's history, and notices when
the authority seals two blocks of one height: the pair is the proof of equivocation, and from then on nothing is
believed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from crypto.eip712 import Domain

from .documents import ConsistencyProof, SealedHeader, read_sealed
from .errors import ProofRefused
from .verify import Trust, check_sealed_header, verify_heads


class Equivocation(Exception):
    """The authority has sealed two blocks of one height; `first` and `second` prove it to everybody."""

    def __init__(self, first: SealedHeader, second: SealedHeader) -> None:
        """Keep both headers with their seals."""
        super().__init__(
            f"two sealed blocks of height {first.header.height}: 0x{first.hash.hex()} and 0x{second.hash.hex()}"
        )
        self.first = first
        self.second = second

    def to_json(self) -> dict[str, Any]:
        """Return the evidence: anybody who knows the authority and the genesis can check it."""
        return {"kind": "equivocation", "first": sealed_json(self.first), "second": sealed_json(self.second)}


class HeadFollower:
    """The newest head that was proven, remembered in a file."""

    def __init__(self, trust: Trust, chain_id: int, path: FilePath) -> None:
        """Resume from `path` where it exists; raises ProofRefused when it is of another chain or damaged."""
        self._trust = trust
        self._domain = Domain.of(chain_id, trust.genesis_hash)
        self._path = path
        self.head: SealedHeader | None = self._load() if path.exists() else None

    def accept_first(self, sealed: SealedHeader) -> None:
        """Take a first head: sealed is all that can be asked of it."""
        check_sealed_header(sealed, self._trust, self._domain)
        if self.head is not None:
            raise ProofRefused("WRONG_CONSISTENCY", "a head is known already: a newer one needs a proof")
        self._keep(sealed)

    def accept_child(self, sealed: SealedHeader) -> None:
        """Move to the block whose parent is the head: its parentHash is proof enough."""
        known = self._expect_head()
        check_sealed_header(sealed, self._trust, self._domain)
        self.notice(sealed)
        header = sealed.header
        if header.height == known.header.height + 1 and header.parent_hash != known.hash:
            raise ProofRefused("WRONG_CONSISTENCY", "the block's parent is not the head")
        if header.height > known.header.height + 1:
            raise ProofRefused("WRONG_CONSISTENCY", "blocks are missing in between: ask for a consistency proof")
        if header.height == known.header.height + 1:
            self._keep(sealed)

    def accept(self, proof: ConsistencyProof) -> None:
        """Move to the second head of a proof whose first head is the one that is known."""
        known = self._expect_head()
        check_sealed_header(proof.first, self._trust, self._domain)
        self.notice(proof.first)
        if proof.first.hash != known.hash:
            raise ProofRefused("WRONG_CONSISTENCY", f"expected a proof from height {known.header.height}")
        verify_heads(proof, self._trust)
        if proof.second.header.height > known.header.height:
            self._keep(proof.second)

    def notice(self, sealed: SealedHeader) -> None:
        """Compare any sealed header with the head; raises Equivocation for another block of its height."""
        check_sealed_header(sealed, self._trust, self._domain)
        known = self.head
        if known is not None and known.header.height == sealed.header.height and known.hash != sealed.hash:
            raise Equivocation(known, sealed)

    def _expect_head(self) -> SealedHeader:
        if self.head is None:
            raise ProofRefused("WRONG_CONSISTENCY", "no head is known yet")
        return self.head

    def _keep(self, sealed: SealedHeader) -> None:
        """Write the head beside its place, sync, rename: a crash leaves the old one or the new one."""
        temporary = self._path.with_name(self._path.name + ".new")
        with temporary.open("w", encoding="ascii") as file:
            json.dump({"version": 1, **sealed_json(sealed)}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self.head = sealed

    def _load(self) -> SealedHeader:
        try:
            kept: Mapping[str, Any] = json.loads(self._path.read_text(encoding="ascii"))
            sealed = read_sealed(kept["header"], kept["seal"])
        except (ValueError, KeyError, TypeError) as error:
            raise ProofRefused("MALFORMED", f"{self._path} is not a kept head: {error}") from error
        check_sealed_header(sealed, self._trust, self._domain)
        return sealed


def sealed_json(sealed: SealedHeader) -> dict[str, str | None]:
    """Return {header, seal} as in the documents."""
    return {
        "header": "0x" + sealed.header_bytes.hex(),
        "seal": None if sealed.seal is None else "0x" + sealed.seal.hex(),
    }

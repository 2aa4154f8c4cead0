"""A head that is followed without anybody's word, and kept on disk.

The client moves to a newer head only with a proof that the head it knows is in that one's history, and notices when
the authority seals two blocks of one height: the pair is the proof of equivocation. It is kept, too, and from then on
nothing is believed, also after a restart.
"""

from __future__ import annotations

import json
import os
from pathlib import Path as FilePath
from typing import Any, Final

from crypto.eip712 import Domain

from .documents import ConsistencyProof, Origin, SealedHeader, equivocation_json, read_sealed, sealed_json
from .errors import ProofRefused
from .parsing import parse_json
from .verify import Trust, check_sealed_header, verify_heads

_FILE_VERSION: Final = 1


class Equivocation(Exception):
    """The authority has sealed two blocks of one height; `first` and `second` prove it to everybody."""

    def __init__(self, first: SealedHeader, second: SealedHeader, domain: Domain) -> None:
        """Keep both headers with their seals."""
        super().__init__(
            f"two sealed blocks of height {first.header.height}: 0x{first.hash.hex()} and 0x{second.hash.hex()}"
        )
        self.first = first
        self.second = second
        self._origin = Origin(domain.chain_id, domain.genesis_hash)

    def to_json(self) -> dict[str, Any]:
        """Return the evidence as a document: anybody who knows the authority and the genesis can check it."""
        return equivocation_json(self._origin, self.first, self.second)


class HeadFollower:
    """The newest head that was proven, remembered in a file."""

    def __init__(self, trust: Trust, chain_id: int, path: FilePath) -> None:
        """Resume from `path` where it exists; raises ProofRefused when it is of another chain or damaged.

        The folder of `path` is made with the first head.
        """
        self._trust = trust
        self._domain = Domain.of(chain_id, trust.genesis_hash)
        self._path = path
        self.head: SealedHeader | None = None
        self.contradiction: SealedHeader | None = None
        """Another sealed block of the head's height: nothing of this authority is believed any more."""
        if path.exists():
            self._load()

    def accept_first(self, sealed: SealedHeader) -> None:
        """Take a first head: sealed is all that can be asked of it. Raises ProofRefused."""
        check_sealed_header(sealed, self._trust, self._domain)
        if self.head is not None:
            raise ProofRefused("WRONG_CONSISTENCY", "a head is known already: a newer one needs a proof")
        self._keep(sealed)

    def accept(self, proof: ConsistencyProof) -> None:
        """Move to the second head of a proof whose first head is the one that is known.

        Also the next block needs one: its parentHash names the head, but proofs lead to its historyRoot, and an
        authority can seal a block in which the two speak of different histories. Raises ProofRefused and Equivocation.
        """
        known = self._expect_head()
        self.notice(proof.first)
        if proof.first.hash != known.hash:
            raise ProofRefused("WRONG_CONSISTENCY", f"expected a proof from height {known.header.height}")
        verify_heads(proof, self._trust)
        if proof.second.header.height > known.header.height:
            self._keep(proof.second)

    def notice(self, sealed: SealedHeader) -> None:
        """Compare any sealed header with the head; raises Equivocation for another block of its height.

        Raises ProofRefused for a header that is not sealed by the authority: it says nothing about it.
        """
        self._expect_no_contradiction()
        check_sealed_header(sealed, self._trust, self._domain)
        known = self.head
        if known is not None and known.header.height == sealed.header.height and known.hash != sealed.hash:
            self._keep(known, sealed)
            raise Equivocation(known, sealed, self._domain)

    def _expect_head(self) -> SealedHeader:
        if self.head is None:
            raise ProofRefused("WRONG_CONSISTENCY", "no head is known yet")
        return self.head

    def _expect_no_contradiction(self) -> None:
        if self.head is not None and self.contradiction is not None:
            raise Equivocation(self.head, self.contradiction, self._domain)

    def _keep(self, head: SealedHeader, contradiction: SealedHeader | None = None) -> None:
        """Write beside the file's place, sync, rename: a crash leaves the old head or the new one."""
        temporary = self._path.with_name(self._path.name + ".new")
        kept = {
            "version": _FILE_VERSION,
            "head": sealed_json(head),
            "contradiction": None if contradiction is None else sealed_json(contradiction),
        }
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temporary.open("w", encoding="ascii") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)
        self.head, self.contradiction = head, contradiction

    def _load(self) -> None:
        kept = parse_json(self._path.read_bytes())
        if not isinstance(kept, dict) or kept.keys() != {"version", "head", "contradiction"}:
            raise ProofRefused("MALFORMED", f"{self._path} is not a kept head")
        if kept["version"] != _FILE_VERSION:
            raise ProofRefused("MALFORMED", f"{self._path} is of another version")
        self.head = self._read(kept["head"])
        if kept["contradiction"] is not None:
            self.contradiction = self._read(kept["contradiction"])

    def _read(self, kept: object) -> SealedHeader:
        if not isinstance(kept, dict) or kept.keys() != {"header", "seal"}:
            raise ProofRefused("MALFORMED", f"{self._path} is not a kept head")
        sealed = read_sealed(kept["header"], kept["seal"])
        check_sealed_header(sealed, self._trust, self._domain)
        return sealed

"""How a proof fails."""

from __future__ import annotations


class ProofRefused(Exception):
    """A document proves nothing. `reason` is a stable name, the text one sentence for people.

    MALFORMED: not a document of a kind and version that this verifier knows. WRONG_CHAIN: of another genesis or
    chain id than the one trusted. WRONG_AUTHORITY, WRONG_SEAL: not sealed by the authority trusted. WRONG_HASH,
    WRONG_INCLUSION, WRONG_HISTORY, WRONG_CONSISTENCY, WRONG_STATE: a hash or path does not lead where it should.
    WRONG_EQUIVOCATION: two headers that do not contradict each other.
    WRONG_GENESIS: a genesis file that is not the one block 0 follows from.
    WRONG_POOL: the documents of a handshake do not belong together, or the pool is not what is asked for.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Say which check failed and how."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

"""What can go wrong: refusals (the caller's fault), invalid blocks (a peer's), violated invariants (ours)."""

from __future__ import annotations


class Refusal(Exception):
    """A transaction breaks a rule; nothing was changed.

    `reason` is one of the names in docs/rpc.md, Errors, `expected` and `given` are words for people.
    """

    def __init__(self, reason: str, expected: str, given: object = "") -> None:
        """Say which rule was broken, what it wants and what it got."""
        super().__init__(f"{reason}: expected {expected}, given {given}")
        self.reason = reason
        self.expected = expected
        self.given = str(given)


class InvalidBlock(Exception):
    """A block made elsewhere cannot follow our head; nothing was changed. `reason` is a stable name."""

    def __init__(self, reason: str, detail: str) -> None:
        """Say which check failed and how."""
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class InvalidGenesis(Exception):
    """A genesis file is not what section 6 of the protocol says it must be."""


class InvariantViolation(Exception):
    """Something that cannot happen did: a bug of ours, or damaged data. The process must stop."""

"""How a peer says no: the bodies and statuses of docs/peers.md, sections 3 and 4."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

Json = dict[str, Any]
STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "MALFORMED": 400,
        "BAD_PROOF": 400,
        "PAYMENT_REQUIRED": 402,
        "WRONG_SEQUENCE": 402,
        "DEPOSIT_DRAINED": 402,
        "CAP_REACHED": 402,
        "DEPOSIT_TOO_LOW": 402,
        "COLLATERAL_TOO_LOW": 402,
        "NO_HANDSHAKE": 403,
        "BAD_PAYMENT": 403,
        "WRONG_RESOURCE": 403,
        "SELF_PAYMENT": 403,
        "UNKNOWN_RESOURCE": 404,
        "UNKNOWN_CHUNK": 404,
        "UNKNOWN_PATH": 404,
        "STALE_PROOF": 409,
        "POOL_CLOSED": 409,
        "TOO_LARGE": 413,
        "NOT_READY": 503,
        "CHUNK_UNAVAILABLE": 503,
    }
)
_GIVEN_MAX: Final = 120


class Refused(Exception):
    """A request that is not granted; nothing changed. `extra` are further members of the answer's body."""

    def __init__(self, reason: str, expected: str, given: object = "", **extra: Any) -> None:
        """Say which rule, what it expects and what was given; `reason` is a row of STATUS."""
        super().__init__(f"{reason}: expected {expected}, given {given}")
        self.reason = reason
        self.expected = expected
        self.given = str(given)[:_GIVEN_MAX]
        self.status = STATUS[reason]
        self.extra = extra

    def to_json(self) -> Json:
        """Return the body of the answer."""
        return {"reason": self.reason, "expected": self.expected, "given": self.given, **self.extra}

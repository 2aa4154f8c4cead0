"""Every error a caller can get, in one table: reason, code, text and when (docs/rpc.md, Errors).

Four texts are an interface too: ethers recognises them by regular expression, so they are worded
as geth words them (BAD_NONCE, INSUFFICIENT_BALANCE, REPLACEMENT_UNDERPRICED, METHOD_NOT_FOUND).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ledger.errors import Refusal

GIVEN_CHARACTERS_MAX: Final = 80
TRANSACTION_REFUSED: Final = -32003


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One error: its stable name, its JSON-RPC code, its text for people, and when it comes."""

    reason: str
    code: int
    text: str
    when: str


# fmt: off
TABLE: Final = (
    ErrorRow("PARSE_ERROR", -32700, "parse error", "the body is not strict JSON; id is null"),
    ErrorRow("INVALID_REQUEST", -32600, "invalid request",
             "JSON that is not a request, a bad id, an empty batch or one above maxBatch"),
    ErrorRow("METHOD_NOT_FOUND", -32601, "the method does not exist/is not available",
             "no such method on this node, or not over this transport"),
    ErrorRow("INVALID_PARAMS", -32602, "invalid params",
             "a parameter is missing, unknown or of the wrong shape; data.expected names it"),
    ErrorRow("INTERNAL", -32603, "internal error", "a fault of the node, which it has logged"),
    ErrorRow("MALFORMED", -32000, "malformed transaction",
             "not one of the three layouts, or a word outside its range"),
    ErrorRow("BAD_SIGNATURE", -32000, "invalid signature",
             "r, s or v out of range, or no recoverable key"),
    ErrorRow("NOT_FOUND", -32001, "not found", "unknown block, header or transaction"),
    ErrorRow("POOL_UNKNOWN", -32001, "unknown pool", "a query for a pool that never was"),
    ErrorRow("PENDING", -32002, "transaction pending",
             "a proof of, or a wait for, a transaction that is in no block yet"),
    ErrorRow("NOT_READY", -32002, "not ready", "a state no longer kept, or a node starting up"),
    ErrorRow("HEAD_TOO_OLD", -32002, "head too old", "a head below the header to be proved"),
    ErrorRow("HEAD_UNKNOWN", -32002, "unknown head", "a head that is no block of this chain"),
    ErrorRow("STORAGE_FAILED", -32002, "storage failed", "the disk failed: writes are refused"),
    ErrorRow("ALREADY_KNOWN", TRANSACTION_REFUSED, "already known", "it is in the mempool"),
    ErrorRow("ALREADY_COMMITTED", TRANSACTION_REFUSED, "already committed", "it is in a block"),
    ErrorRow("REPLACEMENT_UNDERPRICED", TRANSACTION_REFUSED, "replacement transaction underpriced",
             "the collectable fee is not 10 % above the one it would replace"),
    ErrorRow("REPLACED", TRANSACTION_REFUSED, "replaced",
             "another transaction of a higher fee took its place in the mempool"),
    ErrorRow("FEE_TOO_LOW", TRANSACTION_REFUSED, "fee too low", "below the genesis minimum"),
    ErrorRow("ZERO_AMOUNT", TRANSACTION_REFUSED, "zero amount", "amount or deposit 0"),
    ErrorRow("BAD_NONCE", TRANSACTION_REFUSED, "nonce too low", "the nonce is used"),
    ErrorRow("NONCE_GAP", TRANSACTION_REFUSED, "nonce too high",
             "the nonce is a future one; gaps are not queued"),
    ErrorRow("INSUFFICIENT_BALANCE", TRANSACTION_REFUSED, "insufficient funds for amount + fee",
             "the balance does not cover what the transaction takes"),
    ErrorRow("COLLATERAL_TOO_LOW", TRANSACTION_REFUSED, "collateral too low",
             "the collateral is not above the deposit (Theorem IV.1)"),
    ErrorRow("BAD_DURATION", TRANSACTION_REFUSED, "bad duration", "outside the genesis limits"),
    ErrorRow("POOL_UNKNOWN", TRANSACTION_REFUSED, "unknown pool", "a settlement for no pool"),
    ErrorRow("POOL_SLASHED", TRANSACTION_REFUSED, "pool slashed", "the pool was slashed"),
    ErrorRow("POOL_EXPIRED", TRANSACTION_REFUSED, "pool expired", "the pool has ended"),
    ErrorRow("SELF_PAYMENT", TRANSACTION_REFUSED, "self payment", "the target is the creator"),
    ErrorRow("NOT_CREATOR", TRANSACTION_REFUSED, "payment not signed by the pool's creator",
             "the first signature is another's"),
    ErrorRow("NOT_TARGET", TRANSACTION_REFUSED, "settlement not signed by the target",
             "the second signature is another's"),
    ErrorRow("BAD_SEQUENCE", TRANSACTION_REFUSED, "bad sequence", "tgtSeq is not seq + 1"),
    ErrorRow("AMOUNT_NOT_INCREASED", TRANSACTION_REFUSED, "amount not increased",
             "the total promised is not above the total paid; amount 0 too"),
    ErrorRow("MEMPOOL_FULL", -32005, "mempool full", "its fee is the lowest of a full mempool"),
    ErrorRow("TOO_MANY_PENDING", -32005, "too many pending",
             "16 settlements of this pool and target wait already"),
    ErrorRow("LIMIT", -32005, "limit exceeded", "too many items, or the answer is too large"),
)
# fmt: on

_QUERY: Final[Mapping[str, ErrorRow]] = MappingProxyType({row.reason: row for row in reversed(TABLE)})
_TRANSACTION: Final[Mapping[str, ErrorRow]] = MappingProxyType({row.reason: row for row in TABLE})


class StorageFailed(Exception):
    """The disk refused a write: nothing is acknowledged any more, and the process ends."""


class RpcError(Exception):
    """An error that a caller gets; `extra` are further members of its data, such as hash."""

    def __init__(
        self,
        reason: str,
        expected: str | None = None,
        given: str | None = None,
        *,
        text: str | None = None,
        **extra: object,
    ) -> None:
        """Take the row of `reason` from the table; `text` replaces the row's text."""
        row = _QUERY[reason]
        super().__init__(text or row.text)
        self.reason = reason
        self.code = row.code
        self.message = text or _sentence(row.text, expected, given)
        self.data: dict[str, object] = {
            "reason": reason,
            "expected": expected,
            "given": given,
            **extra,
        }

    def as_json(self) -> dict[str, object]:
        """Return the `error` member of an answer."""
        return {"code": self.code, "message": self.message, "data": self.data}


def refused(refusal: Refusal, **extra: object) -> RpcError:
    """Return the error for a transaction that breaks a rule (POOL_UNKNOWN then is -32003)."""
    row = _TRANSACTION[refusal.reason]
    given = shorten(refusal.given) or None
    error = RpcError(refusal.reason, refusal.expected, given, text=None, **extra)
    error.code = row.code
    return error


def invalid_params(name: str, expected: str, given: object) -> RpcError:
    """Return INVALID_PARAMS for the parameter `name`; `given` is its JSON value."""
    return RpcError("INVALID_PARAMS", f"{name}: {expected}", shorten(given))


def shorten(value: object) -> str:
    """Return what was given as text of at most 80 characters that is safe to send back."""
    if isinstance(value, str):
        text = value[: GIVEN_CHARACTERS_MAX + 1]
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, int):
        text = str(value) if value.bit_length() < GIVEN_CHARACTERS_MAX else "a huge number"
    elif isinstance(value, list):
        text = f"an array of {len(value)}"
    elif isinstance(value, dict):
        text = "an object"
    else:
        text = "something else"
    if len(text) > GIVEN_CHARACTERS_MAX:
        text = text[:GIVEN_CHARACTERS_MAX] + "…"
    return text.encode("utf-8", "backslashreplace").decode()


def _sentence(text: str, expected: str | None, given: str | None) -> str:
    if expected is not None:
        text += f": expected {expected}"
    if given is not None:
        text += f"{',' if expected is not None else ':'} given {given}"
    return text

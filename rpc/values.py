"""The typed edge: JSON values in, bytes and integers out, and back (protocol section 8).

A `Kind` knows how to read one JSON value. Everything has exactly one spelling, so reading is
strict: no JSON numbers, no decimal strings, no 0X, no blanks, no digits of other scripts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from crypto.address import parse_address

from .errors import RpcError, shorten
from .strict_json import is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
U = TypeVar("U")

UINT64_MAX: Final = 2**64 - 1
UINT128_MAX: Final = 2**128 - 1
UINT256_MAX: Final = 2**256 - 1
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,63})")
_BLOCK_TAGS: Final = ("latest", "earliest")


class BadValue(Exception):
    """A JSON value of the wrong shape; `path` leads into the parameter (".fields.to", "[3]")."""

    def __init__(self, expected: str, given: object, path: str = "") -> None:
        """Say what was expected where, and what was there instead."""
        super().__init__(expected)
        self.expected = expected
        self.given = given
        self.path = path


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """One kind of parameter: what is expected in words, as JSON Schema, and how it is read.

    `read` returns the typed value or raises BadValue.
    """

    expected: str
    schema: Mapping[str, Any]
    read: Callable[[object], T]


def _kind(expected: str, schema: dict[str, Any], parse: Callable[[object], T | None]) -> Kind[T]:
    """Make a Kind of a function that returns None for a value it refuses."""

    def read(value: object) -> T:
        result = parse(value)
        if result is None:
            raise BadValue(expected, value)
        return result

    return Kind(expected, MappingProxyType(schema), read)


def quantity(minimum: int = 0, maximum: int = UINT256_MAX) -> Kind[int]:
    """Return the kind of a 0x-quantity from `minimum` to `maximum`."""
    expected = "a 0x-quantity without leading zeros"
    if minimum > 0 or maximum < UINT256_MAX:
        expected += f" from {minimum:#x} to {maximum:#x}"

    def parse(value: object) -> int | None:
        if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
            return None
        number = int(value, 16)
        return number if minimum <= number <= maximum else None

    return _kind(expected, {"type": "string", "pattern": f"^{_QUANTITY.pattern}$"}, parse)


def byte_string(*, minimum: int = 0, maximum: int | None = None) -> Kind[bytes]:
    """Return the kind of lower-case hex for `minimum` to `maximum` bytes."""
    expected = "0x and lower-case hex of even length"
    if minimum == maximum:
        expected = f"0x and {2 * minimum} lower-case hex digits"
    elif maximum is not None:
        expected += f", at most {maximum} bytes"

    def parse(value: object) -> bytes | None:
        data = _parse_bytes(value)
        if data is None or len(data) < minimum or (maximum is not None and len(data) > maximum):
            return None
        return data

    digits = f"{{{minimum}}}" if minimum == maximum else "*"
    return _kind(expected, {"type": "string", "pattern": f"^0x([0-9a-f]{{2}}){digits}$"}, parse)


def text(characters_max: int) -> Kind[str]:
    """Return the kind of any string of at most `characters_max` characters."""

    def parse(value: object) -> str | None:
        good = isinstance(value, str) and len(value) <= characters_max and is_text(value)
        return value if good and isinstance(value, str) else None

    expected = f"a string of at most {characters_max} characters"
    return _kind(expected, {"type": "string", "maxLength": characters_max}, parse)


def one_of(*names: str) -> Kind[str]:
    """Return the kind of exactly these strings."""

    def parse(value: object) -> str | None:
        return value if isinstance(value, str) and value in names else None

    quoted = [f'"{name}"' for name in names]
    expected = " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
    return _kind(expected, {"type": "string", "enum": list(names)}, parse)


def nullable(kind: Kind[T]) -> Kind[T | None]:
    """Return the kind that also takes null, read as None."""

    def read(value: object) -> T | None:
        return None if value is None else kind.read(value)

    schema = MappingProxyType({"oneOf": [dict(kind.schema), {"type": "null"}]})
    return Kind(f"{kind.expected}, or null", schema, read)


def either(first: Kind[T], second: Kind[U]) -> Kind[T | U]:
    """Return the kind that takes objects as `second` and everything else as `first`."""

    def read(value: object) -> T | U:
        return second.read(value) if isinstance(value, dict) else first.read(value)

    schema = MappingProxyType({"oneOf": [dict(first.schema), dict(second.schema)]})
    return Kind(f"{first.expected}, or {second.expected}", schema, read)


def array_of(kind: Kind[T], items_max: int) -> Kind[list[T]]:
    """Return the kind of an array; above `items_max` items the answer is LIMIT, not a shape."""

    def read(value: object) -> list[T]:
        if not isinstance(value, list):
            raise BadValue("an array", value)
        if len(value) > items_max:
            raise RpcError("LIMIT", f"at most {items_max} items", str(len(value)))
        items = []
        for index, item in enumerate(value):
            try:
                items.append(kind.read(item))
            except BadValue as bad:
                bad.path = f"[{index}]{bad.path}"
                raise
        return items

    schema = {"type": "array", "items": dict(kind.schema), "maxItems": items_max}
    return Kind(f"an array of: {kind.expected}", MappingProxyType(schema), read)


def record(members: Mapping[str, Kind[Any]], *, optional: tuple[str, ...] = ()) -> Kind[dict[str, Any]]:
    """Return the kind of an object with exactly these members; absent `optional` ones are None."""

    def read(value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise BadValue("an object", value)
        for name in value:
            if name not in members:
                raise BadValue(f"only the members {', '.join(members)}", name)
        result: dict[str, Any] = {}
        for name, kind in members.items():
            if name not in value and name not in optional:
                raise BadValue(kind.expected, "nothing", f".{name}")
            result[name] = _member(kind, value[name], name) if name in value else None
        return result

    schema = {
        "type": "object",
        "properties": {name: dict(kind.schema) for name, kind in members.items()},
        "required": [name for name in members if name not in optional],
        "additionalProperties": False,
    }
    return Kind(f"an object of {', '.join(members)}", MappingProxyType(schema), read)


def _member(kind: Kind[Any], value: object, name: str) -> object:
    try:
        return kind.read(value)
    except BadValue as bad:
        bad.path = f".{name}{bad.path}"
        raise


def _parse_bytes(value: object) -> bytes | None:
    """Return the bytes of lower-case hex; ten times as fast as a pattern where there are some hundred digits."""
    if not isinstance(value, str) or not value.startswith("0x"):
        return None
    digits = value[2:]
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        return None
    # Blanks and capitals are read, too, and do not come back.
    return data if data.hex() == digits else None


def _parse_boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _parse_object(value: object) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _read_address(value: object) -> bytes:
    if not isinstance(value, str):
        raise BadValue(ADDRESS.expected, value)
    try:
        return parse_address(value)
    except ValueError as error:
        raise BadValue(f"{ADDRESS.expected} ({error})", value) from None


def _parse_block(value: object) -> int | bytes | str | None:
    if not isinstance(value, str):
        return None
    if value in _BLOCK_TAGS:
        return value
    if len(value) == 66:
        return _parse_bytes(value)
    if len(value) <= 18 and _QUANTITY.fullmatch(value):
        return int(value, 16)
    return None


BOOLEAN: Final = _kind("true or false", {"type": "boolean"}, _parse_boolean)
# Members of any kind; the method reads them with `read_member` or a Kind of its own.
OBJECT: Final = _kind("an object", {"type": "object"}, _parse_object)
UINT64: Final = quantity(0, UINT64_MAX)
AMOUNT: Final = quantity(0, UINT128_MAX)
BYTES: Final = byte_string()
HASH: Final = byte_string(minimum=32, maximum=32)
SIGNATURE: Final = byte_string(minimum=65, maximum=65)
ADDRESS: Final[Kind[bytes]] = Kind(
    "an address in lower case or with a right EIP-55 checksum",
    MappingProxyType({"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}),
    _read_address,
)
# Read as an int (height), 32 bytes (hash) or one of the two tags.
BLOCK: Final = _kind(
    'a block: a 0x-quantity below 2^64, a 32-byte hash, "latest" or "earliest"',
    {"type": "string"},
    _parse_block,
)


def read(kind: Kind[T], value: object, name: str) -> T:
    """Return `value` read as `kind`.

    Raises RpcError INVALID_PARAMS, which names the parameter `name` and the path inside it.
    """
    try:
        return kind.read(value)
    except BadValue as bad:
        expected = f"{name}{bad.path}: {bad.expected}"
        raise RpcError("INVALID_PARAMS", expected, shorten(bad.given)) from None


def quantity_text(number: int) -> str:
    """Return a number of zero or more as a quantity: "0x0", "0x5208"."""
    return hex(number)


def bytes_text(data: bytes) -> str:
    """Return bytes as 0x and lower-case hex."""
    return "0x" + data.hex()

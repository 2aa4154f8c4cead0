"""Bytes of a file or an answer to a document, refusing JSON on which two readers could disagree."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NoReturn

from .documents import Document, read_document
from .errors import ProofRefused

DOCUMENT_BYTES_MAX: Final = 1 << 20
"""Far more than the largest document has."""
BRACKETS_MAX: Final = 64
"""Objects and arrays in a document; the largest has ten."""


def parse_document(data: bytes) -> Document:
    """Return the document of a JSON text; raises ProofRefused MALFORMED.

    Nothing in a document needs an escape, so none is accepted: what is read is what the file shows.
    """
    if b"\\" in data:
        raise ProofRefused("MALFORMED", "expected no escapes in strings")
    return read_document(_parse(data, _expect_one))


def parse_json(data: bytes) -> object:
    """Return the value of a JSON text in UTF-8 without repeated members, fractions or NaN; raises ProofRefused."""
    return _parse(data, int)


def _parse(data: bytes, parse_int: Callable[[str], int]) -> object:
    if len(data) > DOCUMENT_BYTES_MAX:
        raise ProofRefused("MALFORMED", f"expected at most {DOCUMENT_BYTES_MAX} bytes, given {len(data)}")
    # Python's parser recurses, and a raised limit of recursion would let it break the stack.
    if data.count(b"[") + data.count(b"{") > BRACKETS_MAX:
        raise ProofRefused("MALFORMED", f"expected at most {BRACKETS_MAX} objects and arrays")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=parse_int,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError) as error:
        raise ProofRefused("MALFORMED", f"not JSON: {error}") from error


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise ValueError("a member is there twice")
    return found


def _expect_one(text: str) -> int:
    """The version; whatever else is a number of ours is written as a quantity, which every reader reads exactly."""
    return 1 if text == "1" else _refuse_number(text)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of a document")

"""Canonical JSON (RFC 8785), as far as indices need it: no fractions, integers below 2^53."""

from __future__ import annotations

import json
from typing import Any


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of a value.

    Member names must be ASCII: then the order of code points, Python's, is that of UTF-16. Raises UnicodeEncodeError
    for text that is not Unicode (a lone surrogate).
    """
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

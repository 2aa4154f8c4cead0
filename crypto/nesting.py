"""How deep the brackets of a JSON text nest, told without recursion.

Python's parsers count their levels against the interpreter's limit of recursion, which any library may raise until the
C stack is what breaks: a text of a hundred thousand brackets then ends the process. So whoever reads a stranger's JSON
asks here first.
"""

from __future__ import annotations

import re
from typing import Final

# Never backtracks, and takes an open string for one that ends with the text.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.?+[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
_NOT_BRACKET_OR_QUOTE: Final = bytes(sorted({*range(256)} - {*b'[]{}"'}))
_OPENINGS: Final = frozenset(b"[{")


def nests_deeper(text: bytes, levels_max: int) -> bool:
    """Tell whether brackets outside strings nest above `levels_max`; linear in the length of `text`."""
    if text.count(b"[") + text.count(b"{") <= levels_max:
        return False
    if b"\\" in text:
        text = _STRING.sub(b"", text)
    brackets = text.translate(None, _NOT_BRACKET_OR_QUOTE)
    if b'"' in brackets:
        brackets = _STRING.sub(b"", brackets)
    level = 0
    for bracket in brackets:
        level += 1 if bracket in _OPENINGS else -1
        if level > levels_max:
            return True
    return False

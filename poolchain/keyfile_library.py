"""The import of eth-keyfile: late, since it takes a second, and without what it does to the whole process."""

from __future__ import annotations

import sys
from types import ModuleType


def load_keyfile_library() -> ModuleType:
    """Return `eth_keyfile.keyfile`.

    One of its dependencies raises Python's limit of recursion a hundredfold for everybody, and a parser that recurses
    over the brackets of a stranger then breaks the stack instead of raising RecursionError; the limit is put back.
    """
    limit = sys.getrecursionlimit()
    from eth_keyfile import keyfile  # noqa: PLC0415

    sys.setrecursionlimit(limit)
    module: ModuleType = keyfile
    return module

"""The version of the application, and whether its rules are machine code."""

from importlib.util import find_spec
from typing import Final

VERSION: Final = "0.1.0"


def is_compiled() -> bool:
    """Tell whether the rooms of the rules are compiled (`make compiled`); looks for one of them, and loads nothing."""
    spec = find_spec("ledger.transition")
    return spec is not None and spec.origin is not None and not spec.origin.endswith(".py")


def shown_version() -> str:
    """Return the version as `poolchain --version` shows it."""
    return f"{VERSION} (compiled)" if is_compiled() else VERSION

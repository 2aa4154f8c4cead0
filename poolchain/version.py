"""The version of the application."""

from typing import Final

VERSION: Final = "0.1.0"

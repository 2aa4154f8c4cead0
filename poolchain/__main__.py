"""Lets `python -m poolchain` do what the command `poolchain` does."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    main()

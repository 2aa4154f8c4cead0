"""The honest command line, `main(["serve", …])`: nothing is changed."""

from __future__ import annotations

from poolchain.cli import run


def main(arguments: list[str]) -> int:
    return run(arguments)

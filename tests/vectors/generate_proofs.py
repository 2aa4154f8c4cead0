"""Makes the vector files of proof documents: `make vectors`, or `python -m tests.vectors.generate_proofs`."""

from __future__ import annotations

import sys

from .generate import FOLDER, render
from .makers.proofs import proof_files


def main() -> None:
    """Write all files and say how many cases each has."""
    for file in proof_files():
        (FOLDER / f"{file.name}.json").write_text(render(file), "ascii")
        bad = sum("error" in case for case in file.cases)
        sys.stdout.write(f"{file.name}.json: {len(file.cases)} cases, {bad} invalid\n")


if __name__ == "__main__":
    main()

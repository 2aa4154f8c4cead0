"""Makes the vector files: `make vectors`, or `python -m tests.vectors.generate` in the root of the repository.

Nothing of the node is imported here: bytes, receipts, refusals and roots come from the reference model in
`tests/model` and from the definitions of the RFCs in `tests/vectors/makers`. Nothing is random, no clock is read: the
same files come out at every run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.vectors.makers.blocks import block_files
from tests.vectors.makers.chain import chain_files
from tests.vectors.makers.eip712 import eip712_files
from tests.vectors.makers.form import VectorFile
from tests.vectors.makers.genesis import genesis_files
from tests.vectors.makers.hashes import hashing_files
from tests.vectors.makers.records import record_files
from tests.vectors.makers.signatures import seal_files, signature_files
from tests.vectors.makers.state_tree import state_tree_files
from tests.vectors.makers.transactions import transaction_files
from tests.vectors.makers.trees import merkle_files
from tests.vectors.makers.words import word_files

FOLDER = Path(__file__).parent
MAKERS = (
    hashing_files,
    word_files,
    eip712_files,
    signature_files,
    transaction_files,
    genesis_files,
    block_files,
    seal_files,
    record_files,
    state_tree_files,
    merkle_files,
    chain_files,
)


def make_all() -> list[VectorFile]:
    """Return all files, as they should be."""
    return [file for maker in MAKERS for file in maker()]


def render(file: VectorFile) -> str:
    """Return the text of a file: two spaces of indent, ASCII only, a line feed at the end."""
    return json.dumps(file.as_json(), indent=2) + "\n"


def main() -> None:
    """Write all files and say how many cases each has."""
    for file in make_all():
        (FOLDER / f"{file.name}.json").write_text(render(file), "ascii")
        bad = sum("error" in case for case in file.cases)
        sys.stdout.write(f"{file.name}.json: {len(file.cases)} cases, {bad} invalid\n")


if __name__ == "__main__":
    main()

"""Asks independent JavaScript implementations, the oracles in `tests/js/`.

An oracle is a script `tests/js/<name>.mjs` that reads one JSON value from standard input and
writes one JSON value to standard output. Starting Node.js costs a third of a second, so a
question should carry all cases of a test at once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent / "js"
CLIENT = FOLDER.parent.parent / "clients" / "js"
"""Our own verifier, which an oracle's script runs."""
TIMEOUT_S = 120


def ask_node(script: str, question: object) -> Any:
    """What `tests/js/<script>` answers to `question`; both are plain JSON values.

    Skips the calling test where Node.js or the packages are missing; with
    POOLCHAIN_REQUIRE_NODE=1, as in CI, that is a failure instead.
    """
    node = shutil.which("node")
    if node is None:
        return give_up("Node.js is not installed")
    for folder in (FOLDER, CLIENT):
        if not (folder / "node_modules").is_dir():
            return give_up(f"the packages of {folder.parent.name}/js are not installed (npm ci)")
    done = subprocess.run(
        [node, script],
        cwd=FOLDER,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        pytest.fail(f"tests/js/{script} failed:\n{done.stderr}", pytrace=False)
    return json.loads(done.stdout)


def give_up(reason: str) -> None:
    if os.environ.get("POOLCHAIN_REQUIRE_NODE") == "1":
        pytest.fail(f"{reason}, and POOLCHAIN_REQUIRE_NODE=1", pytrace=False)
    pytest.skip(reason)

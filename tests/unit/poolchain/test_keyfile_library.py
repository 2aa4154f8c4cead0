"""Loading eth-keyfile leaves the process as it was."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
limit = sys.getrecursionlimit()
from poolchain.keyfile_library import load_keyfile_library
assert hasattr(load_keyfile_library(), "decode_keyfile_json")
assert sys.getrecursionlimit() == limit, sys.getrecursionlimit()
"""


def test_the_limit_of_recursion_is_put_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

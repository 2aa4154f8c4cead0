"""The house rules that a machine can check, in a second and without other tools.

Every rule is a function from one file to the list of its violations, so that the tests at the
end can plant violations and see them caught. Rules: docs/decisions/0001-rooms-and-seams.md.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


class Room(NamedTuple):
    """What the modules of one top-level package may import besides the standard library."""

    rooms: frozenset[str]
    third_party: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ROOMS = {
    "crypto": Room(_words(""), _words("sha3 coincurve pymerkle")),
    "ledger": Room(_words("crypto"), _words("")),
    "txtypes": Room(_words("crypto ledger"), _words("")),
    "consensus": Room(_words("crypto ledger txtypes"), _words("")),
    "storage": Room(_words("crypto ledger"), _words("plyvel")),
    "light": Room(_words("crypto ledger txtypes consensus"), _words("")),
    "peers": Room(_words("crypto ledger txtypes consensus storage light"), _words("aiohttp msgspec")),
    "rpc": Room(_words("crypto ledger txtypes consensus storage light"), _words("fastapi msgspec")),
    "poolchain": Room(
        _words("crypto ledger txtypes consensus storage light peers rpc"),
        _words("click uvicorn httptools uvloop eth_keyfile rich"),
    ),
}
# No clock, no chance, no thread, no file: whoever calls these rooms hands them in.
PURE_ROOMS = {"ledger", "txtypes", "consensus"}
IMPURE_MODULES = _words(
    "asyncio concurrent datetime io logging multiprocessing os pathlib random secrets shutil socket subprocess "
    "tempfile threading time urllib uuid"
)
# Costly or optional: no module imports these when it is loaded.
NEVER_AT_START = ("eth_account", "eth_keyfile", "matplotlib", "rich", "web3")

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 400
COLUMNS_MAX = int(PROJECT["tool"]["ruff"]["line-length"])
POSITIONAL_MAX = 5

# Written in two halves, so that this file does not contain what it looks for.
BANNED_WORDS = re.compile("tx" + "pool|\\b(?:TO" + "DO|FIX" + "ME|X" + "XX)\\b")
MACHINE_PATH = re.compile(r"(?<![\w.~}-])/" + "(?:home|root|work|Users)/")
REGISTRY_HOST = re.compile(
    r"pypi\." + r"org|pythonhosted\." + r"org|npmjs\." + r"(?:org|com)|yarnpkg\." + r"com|"
    r"crates\." + r"io|proxy\.golang\." + r"org|repo1?\.maven\." + r"|deb\.debian\." + r"org",
    re.IGNORECASE,
)
LOCK_FILES = {
    "requirements/runtime.txt",
    "requirements/test.txt",
    "tests/js/package-lock.json",
    "clients/js/package-lock.json",
    "benchmarks/solidity/package-lock.json",
}

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


class SourceFile(NamedTuple):
    """A text file of the repository; `tree` is empty unless it is Python."""

    path: PurePosixPath
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        return self.path.parts[0]


def _source(path: str, text: str) -> SourceFile:
    return SourceFile(PurePosixPath(path), text, ast.parse(text if path.endswith(".py") else "", path))


@cache
def _repository() -> tuple[SourceFile, ...]:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    paths = sorted({name for name in names.decode().split("\0") if name})
    return tuple(
        _source(path, (ROOT / path).read_text("utf-8", errors="replace")) for path in paths if (ROOT / path).is_file()
    )


def _functions(tree: ast.Module) -> Iterator[FunctionNode]:
    return (node for node in ast.walk(tree) if isinstance(node, FunctionNode))


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every absolute import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, (node.module or "").split(".")[0]


def imports_follow_the_table(file: SourceFile) -> list[str]:
    """Siblings are imported relatively; a folder inside a room names its room, as ruff's TID252 wants it."""
    if file.room not in ROOMS:
        return []
    room = ROOMS[file.room]
    allowed = room.rooms | room.third_party | (sys.stdlib_module_names - ROOMS.keys())
    if len(file.path.parts) > 2:
        allowed |= {file.room}
    return [
        f"{file.path}:{line}: {file.room} must not import {name}"
        + (" absolutely: siblings are imported relatively" if name == file.room else "")
        for line, name in _imported(file.tree)
        if name not in allowed
    ]


def pure_rooms_touch_no_world(file: SourceFile) -> list[str]:
    if file.room not in PURE_ROOMS:
        return []
    return [
        f"{file.path}:{line}: {file.room} is pure and must not import {name}"
        for line, name in _imported(file.tree)
        if name in IMPURE_MODULES
    ]


def names_leave_the_standard_library_alone(file: SourceFile) -> list[str]:
    if file.path.suffix != ".py" or file.room not in ROOMS:
        return []
    names = [*file.path.parts[:-1], file.path.stem]
    return [
        f"{file.path}: '{name}' is the name of a standard module" for name in names if name in sys.stdlib_module_names
    ]


def sizes_stay_small(file: SourceFile) -> list[str]:
    if file.path.suffix != ".py":
        return []
    lines = file.text.splitlines()
    found = [
        f"{file.path}:{number}: {len(line)} columns" for number, line in enumerate(lines, 1) if len(line) > COLUMNS_MAX
    ]
    if len(lines) > FILE_LINES_MAX:
        found.append(f"{file.path}: {len(lines)} lines")
    for function in _functions(file.tree):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > FUNCTION_LINES_MAX:
            found.append(f"{file.path}:{function.lineno}: {function.name} has {length} lines")
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        count = len(names) - (names[:1] in (["self"], ["cls"]))
        if count > POSITIONAL_MAX and file.room != "tests" and not _only_takes_members(function):
            found.append(f"{file.path}:{function.lineno}: {function.name} has {count} positional parameters")
    return found


def _only_takes_members(function: FunctionNode) -> bool:
    """Tell whether this is what a dataclass would generate: `self.name = name` for each parameter."""
    targets = [ast.unparse(node.targets[0]) for node in function.body if isinstance(node, ast.Assign)]
    return function.name == "__init__" and targets == [f"self.{each.arg}" for each in function.args.args[1:]]


def docstrings_are_there(file: SourceFile) -> list[str]:
    if file.path.suffix != ".py":
        return []
    found = [] if ast.get_docstring(file.tree) else [f"{file.path}: no module docstring"]
    if file.room != "tests":
        found += [
            f"{file.path}:{node.lineno}: public {node.name} has no docstring"
            for node in _public_definitions(file.tree)
            if not ast.get_docstring(node)
        ]
    return found


def _public_definitions(body: ast.Module | ast.ClassDef) -> Iterator[ast.ClassDef | FunctionNode]:
    for node in body.body:
        if isinstance(node, ast.ClassDef | FunctionNode) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public_definitions(node)


def code_is_free_of_banned_things(file: SourceFile) -> list[str]:
    found = []
    for node in ast.walk(file.tree) if file.room != "tests" else ():
        if isinstance(node, ast.Assert):
            found.append(f"{file.path}:{node.lineno}: assert, which python -O removes")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
            and file.room in ROOMS.keys() - {"poolchain"}
        ):
            found.append(f"{file.path}:{node.lineno}: print outside the command line")
    if file.path.suffix in {".py", ".mjs", ".js", ".toml", ".html"} or not file.path.suffix:
        found += _matches(file, BANNED_WORDS, "banned word")
    return found


def files_name_no_machine(file: SourceFile) -> list[str]:
    found = _matches(file, MACHINE_PATH, "path of one machine")
    found += _matches(file, REGISTRY_HOST, "package registry")
    if str(file.path) in LOCK_FILES:
        found += _matches(file, re.compile("://"), "address in a lock file")
    return found


def _matches(file: SourceFile, pattern: re.Pattern[str], what: str) -> list[str]:
    return [
        f"{file.path}:{number}: {what} '{match.group()}'"
        for number, line in enumerate(file.text.splitlines(), 1)
        if (match := pattern.search(line))
    ]


RULES: list[Callable[[SourceFile], list[str]]] = [
    imports_follow_the_table,
    pure_rooms_touch_no_world,
    names_leave_the_standard_library_alone,
    sizes_stay_small,
    docstrings_are_there,
    code_is_free_of_banned_things,
    files_name_no_machine,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[SourceFile], list[str]]) -> None:
    problems = [problem for file in _repository() for problem in rule(file)]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


LONG_FUNCTION = 'def f():\n    """D."""\n' + "    f()\n" * FUNCTION_LINES_MAX
PLANTED = [
    (imports_follow_the_table, "ledger/a.py", "import txtypes.table", "import txtypes"),
    (imports_follow_the_table, "consensus/a.py", "from storage.kv import X", "import storage"),
    (imports_follow_the_table, "storage/a.py", "from consensus import x", "import consensus"),
    (imports_follow_the_table, "rpc/a.py", "def f():\n    import plyvel", "import plyvel"),
    (imports_follow_the_table, "crypto/a.py", "import numpy as np", "import numpy"),
    (imports_follow_the_table, "ledger/a.py", "from ledger.state import State", "relatively"),
    (pure_rooms_touch_no_world, "consensus/a.py", "from time import time", "import time"),
    (names_leave_the_standard_library_alone, "ledger/types.py", "", "'types'"),
    (names_leave_the_standard_library_alone, "rpc/json/a.py", "", "'json'"),
    (sizes_stay_small, "ledger/a.py", LONG_FUNCTION, "f has 62 lines"),
    (sizes_stay_small, "ledger/a.py", "x = 1\n" * 401, "401 lines"),
    (sizes_stay_small, "tests/a.py", "#" * (COLUMNS_MAX + 1), "columns"),
    (sizes_stay_small, "rpc/a.py", "def f(a, b, c, /, d, e, g): ...", "6 positional"),
    (sizes_stay_small, "rpc/a.py", f"def __init__(self, {', '.join('abcdef')}): self.a = a", "6 positional"),
    (docstrings_are_there, "tests/a.py", "x = 1", "no module docstring"),
    (docstrings_are_there, "rpc/a.py", '"""D."""\ndef f(): ...', "public f has no docstring"),
    (
        docstrings_are_there,
        "rpc/a.py",
        '"""D."""\nclass C:\n    """D."""\n    async def f(self): ...',
        "public f has no docstring",
    ),
    (code_is_free_of_banned_things, "benchmarks/a.py", "assert True", "assert"),
    (code_is_free_of_banned_things, "rpc/a.py", "print(1)", "print"),
    (code_is_free_of_banned_things, "Makefile", "# TO" + "DO: later", "banned word"),
    (code_is_free_of_banned_things, "rpc/a.py", "tx" + "pool = 1", "banned word"),
    (files_name_no_machine, "docs/a.md", "see /ho" + "me/me/x", "path of one machine"),
    (files_name_no_machine, "a.toml", "https://py" + "pi.org/simple", "package registry"),
    (files_name_no_machine, "requirements/test.txt", "-i https://x", "address in a lock file"),
]


@pytest.mark.parametrize(("rule", "path", "text", "expected"), PLANTED)
def test_planted_violation_is_caught(
    rule: Callable[[SourceFile], list[str]], path: str, text: str, expected: str
) -> None:
    problems = rule(_source(path, text))
    assert len(problems) == 1
    assert expected in problems[0]


def test_what_the_table_allows_passes() -> None:
    text = "from .state import State\nimport re\nfrom crypto import hashing\nimport plyvel"
    assert imports_follow_the_table(_source("storage/a.py", text)) == []


def test_every_folder_of_a_room_is_a_listed_package() -> None:
    """An unlisted folder would work here and be missing wherever Poolchain is installed."""
    folders = {file.path.parent for file in _repository() if file.path.suffix == ".py" and file.room in ROOMS}
    listed = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    for folder in folders:
        assert (ROOT / folder / "__init__.py").is_file(), folder
        assert any(fnmatchcase(".".join(folder.parts), pattern) for pattern in listed), folder


def test_no_module_loads_costly_packages_at_start() -> None:
    modules = [
        ".".join(file.path.with_suffix("").parts).removesuffix(".__init__")
        for file in _repository()
        if file.path.suffix == ".py" and file.room in ROOMS and file.path.stem != "__main__"
    ]
    code = "\n".join([*(f"import {name}" for name in modules), "import sys; print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not set(NEVER_AT_START) & set(done.stdout.split())


def test_a_node_does_not_load_what_only_peers_need() -> None:
    code = "import poolchain.commands.node, poolchain.commands.devnet, poolchain.running, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not {"aiohttp", "peers"} & set(done.stdout.split())

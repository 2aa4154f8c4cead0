"""The guard names a stranger's package of a room's name, and refuses `python -O`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from poolchain.import_guard import ROOMS, find_intruder
from tests.test_tidy import ROOMS as TABLE

ROOT = Path(__file__).resolve().parents[3]


def _import_poolchain(cwd: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Imports this checkout's poolchain with `cwd` before it on the path, as `python -m` has it."""
    code = f"import sys; sys.path.append({str(ROOT)!r}); import poolchain"
    return subprocess.run([sys.executable, *options, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.interpreted
def test_own_rooms_are_accepted(tmp_path: Path) -> None:
    assert find_intruder(ROOT) is None
    done = _import_poolchain(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.interpreted
@pytest.mark.parametrize("room", ROOMS)
def test_stranger_is_named_in_one_sentence(tmp_path: Path, room: str) -> None:
    (tmp_path / room).mkdir()
    (tmp_path / room / "__init__.py").write_text("raise SystemExit('a stranger ran')")
    done = _import_poolchain(tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"'{room}'" in done.stderr
    assert str(tmp_path / room) in done.stderr


def test_missing_room_is_refused(tmp_path: Path) -> None:
    assert str(tmp_path / "crypto") in (find_intruder(tmp_path) or "")


@pytest.mark.parametrize("option", ["-O", "-OO"])
def test_optimised_python_is_refused(option: str) -> None:
    done = _import_poolchain(ROOT, option)
    assert done.returncode == 2
    assert done.stderr == "poolchain does not run under python -O: it would remove checks.\n"


def test_guard_knows_every_room() -> None:
    assert [*ROOMS, "poolchain"] == list(TABLE)

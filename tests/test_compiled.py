"""The rooms that setup.py names are compiled, where these tests run on compiled ones (make test-compiled)."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from runpy import run_path

import pytest

from crypto.bulk_hashes import hash_each, join_pairs, rehash, roots_of_runs
from poolchain.version import is_compiled

ROOT = Path(__file__).resolve().parents[1]
IS_REQUIRED = os.environ.get("POOLCHAIN_REQUIRE_COMPILED") == "1"


def named_modules(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("POOLCHAIN_COMPILE", raising=False)
    monkeypatch.setattr("setuptools.setup", lambda **_: None)
    sources: list[str] = run_path("setup.py")["_sources"]()
    return [source.removesuffix(".py").replace("/", ".") for source in sources]


def test_the_modules_that_are_compiled_exist_and_are_the_pure_rooms(monkeypatch: pytest.MonkeyPatch) -> None:
    names = named_modules(monkeypatch)
    assert {"crypto.signature", "ledger.transition", "txtypes.service_payment", "consensus.mempool"} <= set(names)
    assert not [name for name in names if name.split(".")[0] in {"rpc", "poolchain", "light"}]
    assert len(names) == len(set(names)) > 30


@pytest.mark.skipif(not is_compiled() and not IS_REQUIRED, reason="the rooms are interpreted; see make compiled")
def test_all_of_them_are_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    origins = {name: found.origin for name in named_modules(monkeypatch) if (found := find_spec(name))}
    assert [name for name, origin in origins.items() if origin is None or origin.endswith(".py")] == []
    assert len(origins) == len(named_modules(monkeypatch))


@pytest.mark.skipif(not is_compiled() and not IS_REQUIRED, reason="the rooms are interpreted; see make compiled")
@pytest.mark.skipif(find_spec("_hashlib") is None, reason="hashlib does not stand on OpenSSL")
def test_many_hashes_are_taken_in_one_call() -> None:
    functions = (hash_each, join_pairs, rehash, roots_of_runs)
    assert {function.__module__ for function in functions} == {"crypto._quick_hashes"}


def test_what_gives_up_the_interpreters_lock_is_never_compiled() -> None:
    found = find_spec("ledger.courtesy")
    assert found is not None
    assert str(found.origin).endswith(".py")

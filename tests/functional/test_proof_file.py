"""A proof that stands alone: saved from a node that is gone, checked by two verifiers that share no line of code.

One hexadecimal digit changed anywhere, and both refuse it for the same reason.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.attack.places import change, deep_places, value_at
from tests.js_oracle import CLIENT, give_up

from .command_line import CommandLine
from .node_process import NodeProcess

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.node
Json = dict[str, Any]
CREATE = ("pool", "create", "--from", "devnet:0", "--resource-name", "concert", "--duration", "1h", "--deposit", "10")
TIMEOUT_S = 60


class Proofs(NamedTuple):
    """The files that are left of a chain, and what its users knew of it."""

    folder: Path
    line: CommandLine
    authority: str
    genesis: str
    documents: dict[str, Json]

    def command(self, file: Path) -> tuple[str, ...]:
        return ("proof", "verify", str(file), "--authority", self.authority, "--genesis", self.genesis, "--json")

    def by_command_line(self, file: Path) -> str:
        """`valid`, or the reason, of `poolchain proof verify`."""
        outcome = self.line.run(*self.command(file))
        assert outcome.status in {0, 1}, outcome
        return "valid" if outcome.status == 0 else outcome.reason

    def by_javascript(self, file: Path, *trust: str) -> str:
        """`valid`, or the reason, of clients/js/verify-file.mjs."""
        command = ["node", str(CLIENT / "verify-file.mjs"), str(file), *(trust or (self.authority, self.genesis))]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        if done.returncode == 0:
            assert json.loads(done.stdout)["kind"] == json.loads(file.read_text())["kind"]
            return "valid"
        assert (done.returncode, done.stdout) == (1, "")
        refused, reason, _ = done.stderr.split(": ", 2)
        assert refused == "refused"
        return reason

    def write(self, document: Json) -> Path:
        file = self.folder / "changed.json"
        file.write_text(json.dumps(document))
        return file


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> Proofs:
    """Everything is asked for while the node runs; then it is stopped."""
    if shutil.which("node") is None or not (CLIENT / "node_modules").is_dir():
        give_up("Node.js or the packages of clients/js are not installed (npm ci)")
    folder = tmp_path_factory.mktemp("proofs")
    with NodeProcess(folder) as node:
        line = CommandLine(folder / "home", node.url)
        pool = line.json(*CREATE)["cptxHash"]
        line.json("transfer", "--from", "devnet:1", "--to", "devnet:2", "--amount", "1")
        for name, words in {
            "transaction": ("transaction", pool),
            "header": ("header", "1"),
            "consistency": ("consistency", "1", "latest"),
            "state": ("state", "--pool", pool),
        }.items():
            line.json("proof", "get", *words, "--out", str(folder / f"{name}.json"))
        trust = node.banner["authority"], node.banner["genesisHash"]
        assert node.terminate() == 0
    documents = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in ("transaction", "header", "consistency", "state")
    }
    return Proofs(folder, line, *trust, documents)


@pytest.mark.parametrize("kind", ["transaction", "header", "consistency", "state"])
def test_a_saved_proof_is_verified_without_the_node(proofs: Proofs, kind: str) -> None:
    file = proofs.folder / f"{kind}.json"
    assert proofs.by_command_line(file) == "valid"
    assert proofs.by_javascript(file) == "valid"


def test_the_command_is_a_program_of_its_own(proofs: Proofs) -> None:
    outcome = proofs.line.spawn(*proofs.command(proofs.folder / "transaction.json"))
    assert (outcome.status, outcome.document["valid"]) == (0, True)


@pytest.mark.parametrize(
    ("kind", "place", "reason"),
    [
        ("transaction", ("transaction",), "WRONG_HASH"),
        ("transaction", ("seal",), "WRONG_SEAL"),
        ("transaction", ("history", "path", 0), "WRONG_HISTORY"),
        ("transaction", ("inclusion", "treeSize"), "WRONG_INCLUSION"),
        ("state", ("recordBytes",), "WRONG_STATE"),
        ("state", ("genesisHash",), "WRONG_CHAIN"),
        ("consistency", ("second", "header"), "WRONG_SEAL"),
    ],
)
def test_one_digit_changed_is_refused_by_both_with_the_reason(
    proofs: Proofs, kind: str, place: tuple[str | int, ...], reason: str
) -> None:
    document = proofs.documents[kind]
    value = value_at(document, place)
    at = len(value) // 2 if len(value) > 200 else len(value) - 3 if len(value) > 5 else len(value) - 1
    file = proofs.write(change(document, place, value[:at] + ("2" if value[at] == "1" else "1") + value[at + 1 :]))
    if place == ("inclusion", "treeSize"):
        file = proofs.write(change(document, place, "0x2"))
    assert proofs.by_command_line(file) == reason
    assert proofs.by_javascript(file) == reason


def test_a_digit_changed_anywhere_is_refused_by_javascript(proofs: Proofs) -> None:
    chance = Random(2026)
    for document in proofs.documents.values():
        for _ in range(2):
            texts = [place for place in deep_places(document) if str(value_at(document, place)).startswith("0x")]
            place = chance.choice(texts)
            value = value_at(document, place)
            at = chance.randrange(2, len(value))
            digit = chance.choice("0123456789abcdef".replace(value[at].lower(), ""))
            changed = change(document, place, value[:at] + digit + value[at + 1 :])
            assert proofs.by_javascript(proofs.write(changed)) != "valid", (place, at)


def test_the_javascript_command_has_one_success(proofs: Proofs) -> None:
    file = proofs.folder / "transaction.json"
    assert proofs.by_javascript(file, proofs.authority) == "valid"
    assert proofs.by_javascript(file, "0x" + "11" * 20, proofs.genesis) == "WRONG_AUTHORITY"
    assert proofs.by_javascript(file, proofs.authority, "0x" + "11" * 32) == "WRONG_CHAIN"
    for arguments in ((), (str(file),), (str(file), proofs.authority, proofs.genesis, "more"), ("missing", "0x")):
        command = ["node", str(CLIENT / "verify-file.mjs"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        assert done.returncode in {1, 2}
        assert (done.stdout, done.stderr != "") == ("", True)

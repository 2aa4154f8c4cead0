"""`poolchain proof`: documents from a node, checked when the node is gone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from light.documents import read_document
from light.verify import Trust, verify_document

from .command_line import CommandLine, Outcome
from .node_process import NodeProcess

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]
BOB = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


class Desk(NamedTuple):
    """Proof files by name, and whom to trust; the node that made them has ended."""

    line: CommandLine
    folder: Path
    pool: str
    authority: str
    genesis: str

    def verify(self, name: str, *options: str) -> Outcome:
        trusted = ("--authority", self.authority, "--genesis", self.genesis)
        return self.line.run("proof", "verify", str(self.folder / f"{name}.json"), *(options or trusted))

    def document(self, name: str) -> Json:
        found: Json = json.loads((self.folder / f"{name}.json").read_text())
        return found

    def write(self, name: str, document: object) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("proofs")
    with NodeProcess(folder, "--seal", "manual") as node:
        line = CommandLine(folder / "home", node.url)
        status = node.call("chain_status")
        terms = ("--from", "devnet:0", "--resource-name", "concert", "--deposit", "10", "--duration", "500 blocks")
        node.call("dev_setSealing", "on-transaction")
        created = line.json("pool", "create", *terms, "--proof", str(folder / "created.json"))
        pool = created["hash"]
        sent = line.json("transfer", "--from", "devnet:0", "--to", "devnet:1", "--amount", "1.5")["hash"]
        node.call("dev_setSealing", "manual")
        node.call("dev_mine", "0x12")
        get(line, folder, "transaction", pool)
        get(line, folder, "transfer", sent, "--head", "9", command="transaction")
        get(line, folder, "header", "7", "--head", "12")
        get(line, folder, "head", "latest", command="header")
        get(line, folder, "consistency", "3", "12")
        get(line, folder, "account", "--account", "devnet:1", "--block", "2", command="state")
        get(line, folder, "pool", "--pool", pool, command="state")
        get(line, folder, "target", "--pool", pool, "--target", "devnet:1", command="state")
        get(line, folder, "nobody", "--account", "0x" + 40 * "9", command="state")
        get(line, folder, "no-pool", "--pool", sent, command="state")
        get(line, folder, "burned", "--burned", command="state")
        check_refusals(line, sent)
    return Desk(line, folder, pool, status["authority"], status["genesisHash"])


def get(line: CommandLine, folder: Path, name: str, *arguments: str, command: str | None = None) -> None:
    """Have a node make a proof file; without --out the same is printed."""
    file = folder / f"{name}.json"
    words = ("proof", "get", command or name, *arguments)
    assert line.json(*words, "--out", str(file)) == {"file": str(file), "kind": command or name}
    assert line.json(*words) == json.loads(file.read_text())
    assert f"poolchain proof verify {file}" in line.run(*words, "--out", str(file)).out


def check_refusals(line: CommandLine, sent: str) -> None:
    """What a node cannot prove is refused with its reason, and what cannot be meant is not sent."""
    for status, reason, words in (
        (1, "NOT_FOUND", ("transaction", "0x" + 64 * "1")),
        (1, "NOT_FOUND", ("header", "99")),
        (1, "HEAD_UNKNOWN", ("header", "1", "--head", "99")),
        (1, "HEAD_TOO_OLD", ("transaction", sent, "--head", "1")),
        (2, "USAGE", ("transaction", "0x12")),
        (2, "USAGE", ("header", "-1")),
        (2, "USAGE", ("state",)),
        (2, "USAGE", ("state", "--burned", "--account", "devnet:1")),
        (2, "USAGE", ("state", "--account", "devnet:1", "--target", "devnet:1")),
    ):
        outcome = line.run("proof", "get", *words, "--json")
        assert (outcome.status, outcome.reason) == (status, reason), words


NAMES = (
    *("created", "transaction", "transfer", "header", "head", "consistency"),
    *("account", "pool", "target", "nobody", "no-pool", "burned"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_proof_is_checked_without_its_node(desk: Desk, name: str) -> None:
    outcome = desk.verify(name)
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Valid: sealed by {desk.authority} for chain 20487, block ")
    assert "\nNot proven:\n  - " in outcome.out
    document = desk.verify(name, "--authority", desk.authority, "--genesis", desk.genesis, "--json").document
    assert (document["valid"], document["genesisTrusted"], document["kind"]) == (
        True,
        True,
        desk.document(name)["kind"],
    )
    proven, not_proven = outcome.out.split("\nNot proven:\n")
    assert all(sentence in proven for sentence in document["proven"])
    assert all(sentence in not_proven for sentence in document["notProven"])


@pytest.mark.parametrize(
    ("name", "proven", "not_proven"),
    [
        ("created", "CreatePool {pool} is transaction 1 of 1 in block 1.", "that the pool is still open"),
        ("created", "That block is the head itself, block 1 (0x", "has not sealed another block of height 1"),
        ("transaction", "a deposit of 10 tokens and a collateral of 11.00001", "kept the rules"),
        ("transaction", "until block 501.", "how old block 20 is"),
        ("transaction", "Block 1 (0x", "compare its hash"),
        ("transfer", "sends 1.5 tokens to " + BOB, "what later transactions have changed since"),
        ("header", ") is in the history of block 12 (0x", "how old block 12 is"),
        ("consistency", "nothing up to block 3 was replaced", "height 12"),
        ("account", "After block 2 (0x", "what the state is after later blocks"),
        ("account", BOB + " has 10001.5 tokens and the nonce 0", "make sure that block 2 is recent enough"),
        ("pool", "is open: 10 tokens of the deposit of 10 tokens remain", "after later blocks"),
        ("pool", "settlements are taken below block 501", "how old block 20 is"),
        ("target", BOB + " has had nothing out of pool {pool}", "after later blocks"),
        ("nobody", "has 0 tokens and the nonce 0", "after later blocks"),
        ("no-pool", "there is no pool 0x", "after later blocks"),
        ("burned", "0 tokens have been burned", "after later blocks"),
    ],
)
def test_it_says_what_is_proven_and_what_is_not(desk: Desk, name: str, proven: str, not_proven: str) -> None:
    before, after = desk.verify(name).out.split("\nNot proven:\n")
    assert proven.format(pool=desk.pool) in before
    assert not_proven in after


def test_a_genesis_left_out_is_warned_of(desk: Desk) -> None:
    outcome = desk.verify("pool", "--authority", desk.authority)
    assert outcome.status == 0
    assert "Warning: no --genesis was given" in outcome.err
    assert desk.genesis in outcome.err
    outcome = desk.verify("pool", "--authority", desk.authority, "--json")
    assert outcome.document["genesisTrusted"] is False
    assert outcome.document["genesisHash"] == desk.genesis


def test_others_than_the_trusted_are_refused(desk: Desk) -> None:
    for options, reason in (
        (("--authority", BOB, "--genesis", desk.genesis), "WRONG_AUTHORITY"),
        (("--authority", BOB), "WRONG_AUTHORITY"),
        (("--authority", desk.authority, "--genesis", "0x" + 64 * "1"), "WRONG_CHAIN"),
    ):
        outcome = desk.verify("pool", *options, "--json")
        assert (outcome.status, outcome.reason) == (1, reason)
        plain = desk.verify("pool", *options)
        assert (plain.status, plain.out) == (1, "")
        assert f"the proof is worth nothing: {reason}: " in plain.err


@pytest.mark.parametrize(
    ("name", "place", "reason"),
    [
        ("transaction", ("transaction",), "WRONG_HASH"),
        ("transaction", ("transactionHash",), "WRONG_HASH"),
        ("transaction", ("seal",), "WRONG_SEAL"),
        ("transaction", ("head", "seal"), "WRONG_SEAL"),
        ("transaction", ("history", "path", 0), "WRONG_HISTORY"),
        ("transaction", ("history", "path", 4), "WRONG_HISTORY"),
        ("transaction", ("history", "treeSize"), "WRONG_HISTORY"),
        ("transaction", ("inclusion", "treeSize"), "WRONG_INCLUSION"),
        ("transaction", ("genesisHash",), "WRONG_CHAIN"),
        ("transaction", ("chainId",), "WRONG_CHAIN"),
        ("header", ("history", "leafIndex"), "WRONG_HISTORY"),
        ("consistency", ("path", 1), "WRONG_CONSISTENCY"),
        ("pool", ("recordBytes",), "WRONG_STATE"),
        ("pool", ("record", "spent"), "WRONG_STATE"),
        ("pool", ("record", "resourceId"), "WRONG_STATE"),
        ("pool", ("proof",), "WRONG_STATE"),
        ("pool", ("key", "cptxHash"), "WRONG_STATE"),
        ("account", ("key", "account"), "MALFORMED"),
        ("pool", ("version",), "MALFORMED"),
    ],
)
def test_one_digit_changed_is_refused_with_the_reason(
    desk: Desk, name: str, place: tuple[str | int, ...], reason: str
) -> None:
    document = desk.document(name)
    container: Any = document
    for member in place[:-1]:
        container = container[member]
    value = container[place[-1]]
    if isinstance(value, int):
        container[place[-1]] = value + 1
    else:
        container[place[-1]] = value[:-1] + ("0" if value[-1] != "0" else "1")
    desk.write("changed", document)
    outcome = desk.verify("changed", "--authority", desk.authority, "--genesis", desk.genesis, "--json")
    assert (outcome.status, outcome.reason) == (1, reason)


def test_a_changed_header_breaks_its_seal(desk: Desk) -> None:
    document = desk.document("pool")
    for at in (2, 100, 200, 300, 400, 500, 600):
        digit = "0" if document["header"][at] != "0" else "1"
        desk.write("changed", {**document, "header": document["header"][:at] + digit + document["header"][at + 1 :]})
        outcome = desk.verify("changed", "--authority", desk.authority, "--genesis", desk.genesis, "--json")
        assert outcome.status == 1
        assert outcome.reason in {"WRONG_SEAL", "WRONG_CHAIN", "MALFORMED"}


def test_files_that_are_no_proof_are_refused(desk: Desk) -> None:
    for text in ("", "{}", "[]", "no", '{"version": 1, "version": 1}', json.dumps({"error": {}})):
        (desk.folder / "bad.json").write_text(text)
        outcome = desk.verify("bad", "--authority", desk.authority, "--json")
        assert (outcome.status, outcome.reason) == (1, "MALFORMED")
    (desk.folder / "bad.json").write_bytes(b"\xff" * 10)
    assert desk.verify("bad", "--authority", desk.authority).status == 1


def test_the_command_needs_file_and_authority(desk: Desk) -> None:
    assert desk.line.run("proof", "verify").status == 2
    assert desk.verify("absent", "--authority", desk.authority).status == 2
    file = str(desk.folder / "pool.json")
    for options in ((), ("--authority", "0x12"), ("--authority", desk.authority, "--genesis", "0x12")):
        outcome = desk.line.spawn("proof", "verify", file, *options, "--json")
        assert (outcome.status, outcome.reason) == (2, "USAGE")


def test_the_files_are_what_the_light_client_takes(desk: Desk) -> None:
    trust = Trust(bytes.fromhex(desk.authority[2:]), bytes.fromhex(desk.genesis[2:]))
    for name in NAMES:
        verify_document(read_document(desk.document(name)), trust)

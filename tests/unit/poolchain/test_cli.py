"""The frame of the command line: help, suggestions, exit statuses, JSON for everything, late imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest

from poolchain import cli
from poolchain.version import VERSION, is_compiled
from tests.model.signing import key_of

from .fake_rpc import Error, FakeRpc, fake_rpc

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
NOWHERE = "http://127.0.0.1:9"
TRANSFER = ("transfer", "--from", "devnet:0", "--to", "devnet:1", "--amount", "1")
HASH = "0x" + "12" * 32
RECEIPT = {
    "transactionHash": HASH,
    "type": "Transfer",
    "blockHeight": "0xd",
    "blockHash": None,
    "index": None,
    "outcome": "transferred",
    "fee": "0x1",
    "cptxHash": None,
    "paid": None,
    "burned": None,
    "reward": None,
}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POOLCHAIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("POOLCHAIN_PASSWORD", raising=False)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRpc]:
    with fake_rpc({"eth_getTransactionCount": "0x4", "tx_simulate": RECEIPT}) as fake:
        monkeypatch.setenv("POOLCHAIN_RPC", fake.url)
        yield fake


class Run:
    """One command line, carried out in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.status = cli.run(arguments)
        self.out, self.err = capsys.readouterr()

    @property
    def document(self) -> dict[str, Any]:
        assert self.err == ""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def _commands(command: click.Command, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _commands(child, *path, name)


ALL = [*_commands(cli.cli)]


@pytest.mark.parametrize(("path", "command"), ALL, ids=["-".join(path) or "poolchain" for path, _ in ALL])
def test_every_command_has_help_with_examples_and_json(
    capsys: pytest.CaptureFixture[str], path: tuple[str, ...], command: click.Command
) -> None:
    run = Run(capsys, *path, "--help")
    assert (run.status, run.err) == (0, "")
    assert "\\b" not in run.out
    if not isinstance(command, click.Group):
        assert f"    {' '.join(('poolchain', *path))}" in run.out.split("Example", 1)[1]
        assert "--json" in run.out


def test_list_of_commands_says_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "--help")
    assert all(f"  {name} " in run.out for name in cli.COMMANDS)
    assert "Exit status: 0 success; 1 refused" in run.out


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys)
    assert run.status == 2
    assert "Using a chain" in run.err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert Run(capsys, "--version").out == f"poolchain {VERSION}{' (compiled)' if is_compiled() else ''}\n"


@pytest.mark.parametrize(("given", "meant"), [("demoo", "demo"), ("devent", "devnet"), ("transfr", "transfer")])
def test_unknown_command_is_answered_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], given: str, meant: str
) -> None:
    run = Run(capsys, given)
    assert run.status == 2
    assert f"No such command '{given}'. Did you mean '{meant}'?" in run.err


def test_unknown_option_is_answered_with_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "status", "--jsn")
    assert run.status == 2
    assert "Did you mean '--json'?" in run.err


@pytest.mark.parametrize("arguments", [("--json", "status"), ("status", "--json")])
def test_json_may_stand_before_or_behind_the_command(
    capsys: pytest.CaptureFixture[str], fake: FakeRpc, arguments: tuple[str, ...]
) -> None:
    run = Run(capsys, *arguments)
    assert run.status == 0
    assert run.document == fake.answers["chain_status"]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("nothing", "--json"), 2, "USAGE"),
        (("transfer", "--json"), 2, "USAGE"),
        (("--json", "account", "show", "0x12"), 2, "USAGE"),
        (("status", "--rpc", NOWHERE, "--json"), 3, "UNREACHABLE"),
        (("status", "--rpc", "nonsense", "--json"), 2, "USAGE"),
        (("settle", "missing.json", "--from", "devnet:1", "--json"), 2, "USAGE"),
        (("account", "import", str(ROOT / "pyproject.toml"), "--json"), 1, "BAD_KEY_FILE"),
    ],
)
def test_failure_is_one_json_object(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: int,
    reason: str,
) -> None:
    monkeypatch.setenv("POOLCHAIN_PASSWORD", "x")
    run = Run(capsys, *arguments)
    assert run.status == status
    error = run.document["error"]
    assert error["reason"] == reason
    assert error["message"]


def test_failure_is_one_sentence_without_json(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(capsys, "status", "--rpc", NOWHERE)
    assert (run.status, run.out) == (3, "")
    assert run.err.startswith(f"Error: nothing listens at {NOWHERE}: start a node")
    assert run.err.count("\n") == 1


def test_refusal_of_the_chain_is_status_1(capsys: pytest.CaptureFixture[str], fake: FakeRpc) -> None:
    fake.answers["tx_submit"] = Error("INSUFFICIENT_BALANCE", message="insufficient funds for amount + fee")
    run = Run(capsys, *TRANSFER)
    assert (run.status, run.err) == (1, "Error: insufficient funds for amount + fee\n")


def test_failed_disk_is_status_3(capsys: pytest.CaptureFixture[str], fake: FakeRpc) -> None:
    fake.answers["tx_submit"] = Error("STORAGE_FAILED", -32002, "storage failed")
    assert Run(capsys, *TRANSFER).status == 3


def test_file_that_cannot_be_written_is_status_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLCHAIN_PASSWORD", "x")
    (tmp_path / "home").write_text("in the way")
    run = Run(capsys, "account", "new", "--json")
    assert (run.status, run.document["error"]["reason"]) == (3, "STORAGE_FAILED")


def test_interrupt_is_said_and_has_a_status_of_its_own(
    capsys: pytest.CaptureFixture[str], fake: FakeRpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("poolchain.rpc_client.RpcClient.call", interrupt)
    run = Run(capsys, "status")
    assert (run.status, run.out) == (130, "")
    assert "Interrupted." in run.err
    assert fake.calls == []


def test_dry_run_sends_nothing(capsys: pytest.CaptureFixture[str], fake: FakeRpc) -> None:
    run = Run(capsys, *TRANSFER, "--dry-run")
    assert run.status == 0
    assert run.out.startswith("Dry run, nothing was sent. What would happen in block 13: transferred.")
    assert [name for name, _ in fake.calls] == ["chain_status", "eth_getTransactionCount", "tx_simulate"]


def test_waiting_goes_on_where_the_node_gave_up(capsys: pytest.CaptureFixture[str], fake: FakeRpc) -> None:
    answers = iter([Error("PENDING", -32002, hash=HASH), {"hash": HASH, "receipt": RECEIPT, "proof": None}])
    fake.answers["tx_submit"] = lambda _: next(answers)
    assert Run(capsys, *TRANSFER, "--json").document["receipt"] == RECEIPT
    (_, first), (_, second) = [call for call in fake.calls if call[0] == "tx_submit"]
    assert first == second
    assert first["wait"] == "committed"


@pytest.mark.parametrize(("sealing", "option"), [("manual", "--wait"), ("on-transaction", "--no-wait")])
def test_nobody_waits_for_a_devnet_that_seals_by_hand(
    capsys: pytest.CaptureFixture[str], fake: FakeRpc, sealing: str, option: str
) -> None:
    fake.answers["chain_status"] = {**fake.answers["chain_status"], "sealing": sealing}
    fake.answers["tx_submit"] = {"hash": HASH, "receipt": None, "proof": None}
    run = Run(capsys, *TRANSFER, option)
    assert run.status == 0
    assert run.out.startswith("Pooled, in no block yet.")
    assert ("dev_mine" in run.out) == (sealing == "manual")
    assert "wait" not in fake.calls[-1][1]


def test_devnet_key_on_another_chain_is_warned_of(capsys: pytest.CaptureFixture[str], fake: FakeRpc) -> None:
    fake.answers["chain_status"] = {**fake.answers["chain_status"], "authority": "0x" + "11" * 20}
    run = Run(capsys, *TRANSFER, "--dry-run")
    assert (run.status, run.err) == (0, "Warning: this chain is not a devnet, and everybody has the key of devnet:0.\n")


def test_demo_leaves_a_chain_alone_that_is_no_devnet(capsys: pytest.CaptureFixture[str], fake: FakeRpc) -> None:
    fake.answers["chain_status"] = {**fake.answers["chain_status"], "authority": "0x" + "11" * 20}
    run = Run(capsys, "demo")
    assert (run.status, run.out) == (1, "")
    assert run.err.startswith(f"Error: {fake.url} is not a devnet: the demonstration needs one")
    assert {name for name, _ in fake.calls} == {"chain_status"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "Say who signs"),
        (("--from", "devnet:0", "--key-file", str(ROOT / "pyproject.toml")), "Say who signs"),
        (("--from", "devnet:10"), "devnet:0 to devnet:9"),
        (("--from", "me"), "--from me: expected 0x and 40 hexadecimal digits, or devnet:N."),
    ],
)
def test_signer_has_to_be_said_once_and_rightly(
    capsys: pytest.CaptureFixture[str], fake: FakeRpc, options: tuple[str, ...], sentence: str
) -> None:
    run = Run(capsys, "transfer", *options, "--to", "devnet:1", "--amount", "1")
    assert run.status == 2
    assert sentence in run.err
    assert "tx_submit" not in {name for name, _ in fake.calls}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--to", "0x" + "F" * 40, "--amount", "1"), "wrong checksum: expected 0xFFfFfF"),
        (("--to", "devnet:1", "--amount", "1,5"), "expected an amount of tokens such as 5 or 2.5"),
        (("--to", "devnet:1", "--amount", "-1"), "expected an amount of tokens"),
        (("--to", "devnet:1", "--amount", "1", "--nonce", "-1"), "-1 is not in the range"),
    ],
)
def test_bad_value_names_its_option(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    run = Run(capsys, "transfer", "--from", "devnet:0", *arguments)
    assert run.status == 2
    assert "Invalid value for '--" in run.err
    assert sentence in run.err


def test_account_is_made_listed_imported_and_signs(
    capsys: pytest.CaptureFixture[str], fake: FakeRpc, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("long enough\n")
    password = ("--password-file", str(secret))
    made = Run(capsys, "account", "new", "--light", *password, "--json").document
    raw = tmp_path / "key.hex"
    raw.write_text(key_of(9).hex())
    raw.chmod(0o600)
    imported = Run(capsys, "account", "import", str(raw), "--light", *password, "--json").document
    listed = Run(capsys, "account", "list", "--json").document
    assert set(listed["accounts"]) == {made["address"], imported["address"]}
    signed = Run(capsys, "transfer", "--from", made["address"], *password, *TRANSFER[3:], "--dry-run")
    assert signed.status == 0
    again = Run(capsys, "account", "import", made["file"], "--light", *password, "--json")
    assert (again.status, again.document["error"]["reason"]) == (1, "ACCOUNT_EXISTS")
    assert fake.calls[-1][0] == "tx_simulate"


@pytest.mark.parametrize("password", [None, ""])
def test_new_account_needs_a_password(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, password: str | None
) -> None:
    if password is not None:
        monkeypatch.setenv("POOLCHAIN_PASSWORD", password)
    run = Run(capsys, "account", "new", "--light", "--json")
    assert (run.status, run.document["error"]["reason"]) == (2, "NO_PASSWORD")


def _modules_loaded_by(*arguments: str) -> set[str]:
    code = (
        "import sys, os; from poolchain import cli; sys.stdout = open(os.devnull, 'w')\n"
        f"cli.run({arguments!r})\nsys.__stdout__.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_help_loads_neither_node_nor_client() -> None:
    loaded = _modules_loaded_by("--help")
    assert not loaded & {"coincurve", "http.client", "asyncio", "plyvel", "uvicorn", "fastapi", "msgspec"}


def test_node_and_client_do_not_load_each_other() -> None:
    assert not _modules_loaded_by("devnet", "--help") & {"poolchain.rpc_client", "poolchain.keystore", "eth_keyfile"}
    client = _modules_loaded_by("payment", "sign", "--help")
    assert not client & {"plyvel", "uvicorn", "fastapi", "consensus.mempool", "poolchain.node", "eth_keyfile"}

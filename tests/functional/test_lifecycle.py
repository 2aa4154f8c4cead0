"""A chain's life on disk: restarts, kills, resets, copies, damage. Real processes, real LevelDB."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from crypto.address import checksum_address
from poolchain.data_directory import create
from poolchain.devnet import devnet_genesis, devnet_keys
from tests.functional.command_line import CommandLine
from tests.functional.node_process import NodeProcess
from tests.model import signing

if TYPE_CHECKING:
    from pathlib import Path

KEYS = devnet_keys()
FEE = 10**12
FIRST_GENESIS = "0x77a7711b0489b43cd074f814a5cfd714021173a558a84cb92338ff79ac6dd6b2"
SEED = 20261123


def transfer(node: NodeProcess, sender: int, nonce: int, amount: int = 1) -> str:
    """A raw Transfer between two devnet accounts."""
    domain = signing.Domain(int(node.banner["chainId"], 16), bytes.fromhex(node.banner["genesisHash"][2:]))
    to = KEYS.accounts[(sender + 1) % 10].address
    return "0x" + signing.transfer(KEYS.accounts[sender].secret, domain, to, amount, FEE, nonce).hex()


def facts(node: NodeProcess) -> Any:
    """What must not change while nothing is submitted."""
    status = node.call("chain_status")
    accounts = [node.call("account_get", "0x" + key.address.hex()) for key in KEYS.accounts]
    return status["genesisHash"], status["head"], status["supply"], accounts


def test_everything_is_still_there_after_a_stop_and_a_kill(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        assert node.banner["genesisHash"] == FIRST_GENESIS
        for nonce in range(3):
            node.call("tx_submit", transfer(node, 0, nonce), "committed")
        node.call("dev_increaseTime", "0xe10")
        before = facts(node)
        assert node.terminate() == 0
        node.start()
        assert facts(node) == before
        node.kill()
        node.start()
        assert facts(node) == before
        node.call("dev_mine")
        timestamp = int(node.call("chain_status")["head"]["timestamp"], 16)
        assert timestamp >= time.time() + 3590, "the clock's offset is forgotten"


def test_no_acknowledged_transaction_is_lost_to_kills_under_load(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    acknowledged: list[str] = []
    with NodeProcess(tmp_path) as node:
        for _ in range(5):
            workers = [
                threading.Thread(target=_submit_until_killed, args=(node, who, acknowledged)) for who in (1, 3, 5)
            ]
            for worker in workers:
                worker.start()
            time.sleep(rng.uniform(0.1, 0.6))
            node.kill()
            for worker in workers:
                worker.join()
            node.start()
            states = {node.call("chain_getTransaction", found)["status"] for found in acknowledged}
            assert states == {"committed"}, f"seed {SEED}"
        supply = {name: int(value, 16) for name, value in node.call("chain_status")["supply"].items()}
        assert supply["genesis"] == supply["balances"] + supply["locked"] + supply["burned"]
        assert len(acknowledged) > 20
        height = node.call("chain_status")["head"]["height"]
        node.terminate()
        verified = CommandLine(tmp_path, node.url).run("verify", "--data-dir", str(node.data_dir), "--json")
        assert verified.document["height"] == height


def _submit_until_killed(node: NodeProcess, who: int, acknowledged: list[str]) -> None:
    try:
        nonce = int(node.call("account_get", "0x" + KEYS.accounts[who].address.hex())["nonce"], 16)
        while True:
            acknowledged.append(node.call("tx_submit", transfer(node, who, nonce), "committed")["hash"])
            nonce += 1
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        return


def test_a_reset_begins_another_chain_on_which_old_signatures_are_worth_nothing(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        old = transfer(node, 0, 0)
        node.terminate()
        second = node.start("--reset")["genesisHash"]
        assert second != FIRST_GENESIS
        assert node.call("chain_getBlock", "0x0")["hash"] == second
        assert node.ask("tx_submit", old)["error"]["data"]["reason"] in {"INSUFFICIENT_BALANCE", "NONCE_GAP"}
        assert int(node.call("chain_status")["head"]["height"], 16) == 0
        assert node.restart("--reset")["genesisHash"] not in {FIRST_GENESIS, second}
        assert {path.name for path in node.data_dir.iterdir()} == {"genesis.json", "signing.record", "chain"}


def test_another_chain_id_is_another_chain_and_needs_a_reset(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        node.terminate()
        with pytest.raises(RuntimeError, match="--reset"):
            node.start("--chain-id", "31337")
        banner = node.start("--chain-id", "31337", "--reset")
        assert banner["chainId"] == "0x7a69"
        assert node.call("eth_chainId") == "0x7a69"


def test_a_second_process_cannot_open_the_chain(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        found = CommandLine(tmp_path, node.url).run("verify", "--data-dir", str(node.data_dir), "--json")
        assert found.status == 3
        assert node.call("chain_status")["pending"] == "0x0"


def test_sigterm_twice_and_sigint_end_with_status_zero(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        assert node.terminate(signal.SIGINT) == 0
        node.start()
        node.call("tx_submit", transfer(node, 0, 0))
        assert node.terminate() == 0


def test_an_exported_chain_can_be_imported_elsewhere_and_is_the_same(tmp_path: Path) -> None:
    user = CommandLine(tmp_path, "http://127.0.0.1:1")
    with NodeProcess(tmp_path, "--seal", "manual") as node:
        for nonce in range(4):
            node.call("tx_submit", transfer(node, 2, nonce))
            node.call("dev_mine", "0x3")
        head = node.call("chain_status")["head"]["hash"]
        node.terminate()
    chain, copy = tmp_path / "chain.jsonl", tmp_path / "copy"
    assert user.run("export", str(chain), "--data-dir", str(tmp_path / "devnet")).status == 0
    piped = user.run("export", "-", "--data-dir", str(tmp_path / "devnet"))
    assert (piped.out, piped.err) == (chain.read_text(), "Wrote 12 blocks.\n")
    full = user.run("export", "/dev/full", "--data-dir", str(tmp_path / "devnet"))
    assert (full.status, full.out) == (3, "")
    assert full.err == "Error: /dev/full cannot be written: No space left on device.\n"
    imported = user.run("import", str(chain), "--data-dir", str(copy), "--json")
    assert imported.document == {"imported": 12, "height": "0xc"}
    assert user.run("verify", "--data-dir", str(copy), "--json").document["head"] == head
    again = user.run("import", str(chain), "--data-dir", str(copy), "--json")
    assert again.document == {"imported": 0, "height": "0xc"}


@pytest.mark.parametrize(("line", "digit"), [(3, 700), (5, 330), (5, 660), (2, 20)])
def test_a_damaged_export_is_refused_with_the_block_that_is_wrong(tmp_path: Path, line: int, digit: int) -> None:
    user = CommandLine(tmp_path, "http://127.0.0.1:1")
    with NodeProcess(tmp_path, "--seal", "manual") as node:
        for nonce in range(4):
            node.call("tx_submit", transfer(node, 2, nonce))
            node.call("dev_mine")
        node.terminate()
    chain = tmp_path / "chain.jsonl"
    user.run("export", str(chain), "--data-dir", str(tmp_path / "devnet"))
    lines = chain.read_text().splitlines()
    lines[line - 1] = _flip(lines[line - 1], digit)
    chain.write_text("\n".join(lines) + "\n")
    found = user.run("import", str(chain), "--data-dir", str(tmp_path / "copy"), "--json")
    assert found.status in {1, 2}
    assert str(line - 1) in found.out or f"line {line}" in found.out


def _flip(text: str, at: int) -> str:
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


def test_a_database_put_back_from_an_older_copy_is_noticed(tmp_path: Path) -> None:
    """The signing record stands outside the database and knows what was signed."""
    with NodeProcess(tmp_path) as node:
        node.terminate()
        shutil.copytree(node.data_dir / "chain", tmp_path / "older")
        node.start()
        node.call("dev_mine", "0x3")
        node.call("dev_mine", "0x1")
        node.terminate()
        shutil.rmtree(node.data_dir / "chain")
        shutil.copytree(tmp_path / "older", node.data_dir / "chain")
        with pytest.raises(RuntimeError, match="older than the signing record"):
            node.start()


def test_a_chain_of_ones_own_seals_at_its_interval_with_an_encrypted_key(tmp_path: Path) -> None:
    user = CommandLine(tmp_path, "http://127.0.0.1:1")
    made = user.run("account", "new", "--light", "--json", POOLCHAIN_PASSWORD="secret")
    assert made.status == 0, made
    address, keystore = made.document["address"], made.document["file"]
    genesis = json.loads((_devnet_genesis(tmp_path)).read_text())
    genesis["authority"] = address.lower()
    genesis["chainId"] = "0x1234"
    file = tmp_path / "own.json"
    file.write_text(json.dumps(genesis))
    own = tmp_path / "own"
    _expect_other_keys_are_refused(user, tmp_path, file, own)
    begun = user.run("init", "--genesis", str(file), "--key", keystore, "--data-dir", str(own), "--json")
    assert begun.status == 0, begun
    assert user.run("init", "--genesis", str(file), "--data-dir", str(own), "--json").status == 3
    node = NodeProcess(tmp_path / "own-node", command="start", environment={"POOLCHAIN_PASSWORD": "secret"})
    (tmp_path / "own-node").mkdir()
    node.data_dir = own
    with node:
        assert node.banner["genesisHash"] == begun.document["genesisHash"]
        deadline = time.monotonic() + 20
        while int(node.call("chain_status")["head"]["height"], 16) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert int(node.call("chain_status")["head"]["height"], 16) >= 2
        assert node.ask("dev_mine")["error"]["code"] == -32601
        node.terminate()
    _expect_a_start_needs_the_authority(user, own)


def _expect_other_keys_are_refused(user: CommandLine, folder: Path, genesis: Path, own: Path) -> None:
    other = user.run("account", "new", "--light", "--json", POOLCHAIN_PASSWORD="secret").document["file"]
    (folder / "secret.txt").write_text("secret\n")
    (folder / "other.json").write_text("[]")
    for key in (other, str(folder / "secret.txt"), str(folder / "other.json"), str(genesis)):
        refused = user.run("init", "--genesis", str(genesis), "--key", key, "--data-dir", str(own))
        assert (refused.status, own.exists()) == (1, False)
        assert key in refused.err


def _expect_a_start_needs_the_authority(user: CommandLine, own: Path) -> None:
    """One sentence each, without a traceback."""
    key = own / "authority.json"
    keystore = key.read_bytes()
    other = user.run("account", "new", "--light", "--json", POOLCHAIN_PASSWORD="secret").document["file"]
    shutil.copyfile(other, key)
    for expected in ("expected the key of", "is missing: this node cannot seal"):
        refused = user.run("start", "--data-dir", str(own), POOLCHAIN_PASSWORD="secret")
        assert (refused.status, refused.err.count("\n")) == (1, 1)
        assert expected in refused.err
        key.unlink(missing_ok=True)
    key.write_bytes(keystore)
    refused = user.run("start", "--data-dir", str(own.parent / "nowhere"), POOLCHAIN_PASSWORD="secret")
    assert refused.status == 3
    assert "there is no chain" in refused.err
    for options in ((), ("--reset",)):
        refused = user.run("devnet", "--data-dir", str(own), "--port", "0", *options)
        assert (refused.status, refused.err.count("\n")) == (2, 1)
        assert "is not a devnet's" in refused.err


def _devnet_genesis(tmp_path: Path) -> Path:
    with NodeProcess(tmp_path) as node:
        node.terminate()
    return tmp_path / "devnet" / "genesis.json"


def test_a_chain_that_is_not_there_is_never_made_by_start(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path, command="start", environment={"POOLCHAIN_PASSWORD": "x"})
    with pytest.raises(RuntimeError):
        node.start()
    assert not node.data_dir.exists()


def test_the_only_chain_is_meant_where_none_is_named(tmp_path: Path) -> None:
    user = CommandLine(tmp_path, "http://127.0.0.1:1")
    chain = devnet_genesis(KEYS, 7)
    for command in (("verify",), ("export", str(tmp_path / "chain.jsonl"))):
        refused = user.run(*command)
        assert (refused.status, "say where it is" in refused.err) == (3, True)
    create(tmp_path / "node", chain)
    assert user.json("verify")["height"] == "0x0"
    assert user.json("export", str(tmp_path / "chain.jsonl"))["blocks"] == 0
    assert user.json("import", str(tmp_path / "chain.jsonl"))["imported"] == 0
    assert (tmp_path / "devnet" / "chain").is_dir(), "the file is of a devnet"
    assert user.refuse(2, "verify") == "USAGE"
    assert user.json("verify", "--data-dir", str(tmp_path / "node"))["valid"]


def test_a_genesis_file_that_is_damaged_is_a_file_that_failed(tmp_path: Path) -> None:
    user = CommandLine(tmp_path, "http://127.0.0.1:1")
    genesis = create(tmp_path / "devnet", devnet_genesis(KEYS, 7)).genesis
    whole = genesis.read_text()
    for text in (whole[:-5], whole.replace("blockInterval", "other"), None):
        genesis.unlink() if text is None else genesis.write_text(text)
        refused = user.run("verify")
        assert (refused.status, str(genesis) in refused.err, refused.err.count("\n")) == (3, True, 1)
    given = tmp_path / "given.json"
    given.write_text(whole.replace(KEYS.authority.address.hex(), checksum_address(KEYS.authority.address)[2:]))
    refused = user.run("init", "--genesis", str(given), "--data-dir", str(tmp_path / "own"))
    assert (refused.status, "40 hexadecimal digits, lower-case" in refused.err) == (1, True)
    assert str(given) in refused.err

"""The command line over a real node: a pool from its creation to its end, as the README has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crypto.address import checksum_address
from poolchain.devnet import devnet_keys

from .command_line import CommandLine
from .node_process import NodeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = 10**18
MIN_FEE = 10**12
CREATE = ("pool", "create", "--from", "devnet:0", "--resource-name", "concert", "--duration", "1h")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with NodeProcess(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
def user(node: NodeProcess, tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path / "home", node.url)


@pytest.fixture
def pool(user: CommandLine) -> str:
    """A pool of devnet:0 with 10 tokens."""
    return str(user.json(*CREATE, "--deposit", "10")["cptxHash"])


def sign(pool: str, out: Path, *options: str, target: str = "devnet:1") -> tuple[str, ...]:
    arguments = ("payment", "sign", "--from", "devnet:0", "--pool", pool, "--target", target, "--out", str(out))
    return (*arguments, *options)


def amount(found: dict[str, Any], name: str) -> int:
    return int(found[name], 16)


def test_status_and_account_are_what_the_node_says(node: NodeProcess, user: CommandLine) -> None:
    assert user.json("status")["genesisHash"] == node.banner["genesisHash"]
    address = checksum_address(devnet_keys().accounts[8].address)
    assert user.json("account", "show", "devnet:8") == node.call("account_get", address)
    assert f"Balance  {10_000} tokens" in user.run("account", "show", address).out


def test_transfer_moves_tokens_and_can_be_looked_at(user: CommandLine) -> None:
    before = user.json("account", "show", "devnet:7")
    dry = user.run("transfer", "--from", "devnet:6", "--to", "devnet:7", "--amount", "2.5", "--dry-run")
    assert (dry.status, user.json("account", "show", "devnet:7")) == (0, before)
    found = user.json("transfer", "--from", "devnet:6", "--to", "devnet:7", "--amount", "2.5")
    assert (found["receipt"]["outcome"], found["simulated"]) == ("transferred", False)
    after = user.json("account", "show", "devnet:7")
    assert amount(after, "balance") - amount(before, "balance") == 5 * TOKEN // 2
    assert user.json("tx", found["hash"])["receipt"] == found["receipt"]
    text = user.run("block", str(amount(found["receipt"], "blockHeight")), "--full").out
    assert found["hash"] in text
    assert "2.5 tokens" in text


def test_pool_is_created_paid_from_and_settled(user: CommandLine, pool: str, tmp_path: Path) -> None:
    shown = user.json("pool", "show", pool)
    assert amount(shown, "collateral") == 10 * TOKEN + 1 + TOKEN + 10 * MIN_FEE
    assert amount(shown, "expiresAt") - amount(shown, "createdAt") == 3600
    paper = tmp_path / "payment.json"
    assert user.run(*sign(pool, paper, "--amount", "2.5")).status == 0
    checked = user.json("payment", "check", str(paper))
    assert (checked["verdict"], amount(checked, "worth"), amount(checked, "remaining")) == (
        "GOOD",
        5 * TOKEN // 2,
        10 * TOKEN,
    )
    before = amount(user.json("account", "show", "devnet:1"), "balance")
    settled = user.run("settle", str(paper), "--from", "devnet:1")
    assert settled.status == 0
    assert settled.out.startswith("Settled in block ")
    assert "Paid         2.5 tokens" in settled.out
    assert amount(user.json("account", "show", "devnet:1"), "balance") == before + 5 * TOKEN // 2 - MIN_FEE
    target = user.json("pool", "show", pool, "--target", "devnet:1")["target"]
    assert (target["seq"], amount(target, "paid")) == ("0x1", 5 * TOKEN // 2)
    assert user.run("payment", "check", str(paper), "--json").status == 1
    assert pool in user.run("pool", "list", "--creator", "devnet:0", "--target", "devnet:1", "--status", "open").out
    assert pool not in [found["cptxHash"] for found in user.json("pool", "list", "--creator", "devnet:1")["pools"]]


def test_settling_again_answers_as_the_first_time(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    user.json(*sign(pool, paper, "--amount", "1"))
    settle = ("settle", str(paper), "--from", "devnet:1")
    assert user.json(*settle) == user.json(*settle)
    assert user.run(*settle).out.splitlines()[0].endswith(" already.")


def test_newer_payment_replaces_older_ones(user: CommandLine, pool: str, tmp_path: Path) -> None:
    papers = [tmp_path / f"{total}.json" for total in (1, 2, 3)]
    for total, paper in enumerate(papers, 1):
        user.json(*sign(pool, paper, "--amount", str(total)))
    user.json("settle", str(papers[2]), "--from", "devnet:1")
    for paper in papers[:2]:
        assert user.refuse(1, "settle", str(paper), "--from", "devnet:1") == "BAD_SEQUENCE"
    document = user.json(*sign(pool, papers[0], "--amount", "4"))
    assert document["payment"]["tgtSeq"] == "0x2"
    assert json.loads(papers[0].read_text()) == document


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--amount", "10.000000000000000001"), "OVERSPENT"),
        (("--amount", "0"), "AMOUNT_NOT_INCREASED"),
    ],
)
def test_payment_that_must_not_be_signed_is_not(
    user: CommandLine, pool: str, tmp_path: Path, options: tuple[str, ...], reason: str
) -> None:
    assert user.refuse(1, *sign(pool, tmp_path / "payment.json", *options)) == reason
    assert not (tmp_path / "payment.json").exists()


def test_payments_to_all_targets_together_stay_within_the_deposit(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    user.json(*sign(pool, paper, "--amount", "6"))
    other = sign(pool, tmp_path / "other.json", "--amount", "5", target="devnet:2")
    assert user.refuse(1, *other) == "OVERSPENT"
    user.json("settle", str(paper), "--from", "devnet:1")
    assert user.refuse(1, *other) == "OVERSPENT"
    user.json(*sign(pool, tmp_path / "other.json", "--amount", "4", target="devnet:2"))


def test_only_the_creator_pays_from_a_committed_open_pool(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    arguments = list(sign(pool, paper, "--amount", "1"))
    arguments[3] = "devnet:3"
    assert user.refuse(1, *arguments) == "NOT_CREATOR"
    assert user.refuse(1, *sign("0x" + "00" * 32, paper, "--amount", "1")) == "POOL_UNKNOWN"
    assert user.refuse(1, *sign(pool, paper, "--amount", "1", target="devnet:0")) == "SELF_PAYMENT"
    assert not paper.exists()


def test_overspent_payment_warns_slashes_and_closes_the_pool(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    signed = user.run(*sign(pool, paper, "--amount", "11", "--allow-overspend"))
    assert signed.status == 0
    assert "the pool would be slashed" in signed.err
    checked = user.run("payment", "check", str(paper), "--json")
    assert checked.status == 1
    assert (checked.document["verdict"], checked.document["wouldSlash"]) == ("OVERSPENT", True)
    assert amount(checked.document, "worth") == 11 * TOKEN + MIN_FEE
    before = amount(user.json("account", "show", "devnet:1"), "balance")
    receipt = user.json("settle", str(paper), "--from", "devnet:1")["receipt"]
    assert (receipt["outcome"], amount(receipt, "paid"), amount(receipt, "reward")) == (
        "slashed",
        10 * TOKEN,
        TOKEN + MIN_FEE,
    )
    assert amount(user.json("account", "show", "devnet:1"), "balance") == before + 11 * TOKEN
    assert user.json("pool", "show", pool)["status"] == "slashed"
    shown = user.run("pool", "show", pool).out
    assert "lost: more than the deposit was promised" in shown
    assert "can be settled" not in shown
    assert user.refuse(1, *sign(pool, paper, "--amount", "1", target="devnet:2")) == "POOL_SLASHED"
    assert user.run("payment", "check", str(paper), "--json").document["verdict"] == "POOL_SLASHED"


def test_only_the_target_settles(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    user.json(*sign(pool, paper, "--amount", "1"))
    assert user.refuse(1, "settle", str(paper), "--from", "devnet:2") == "NOT_TARGET"


def test_payment_of_another_chain_is_worth_nothing(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    document = user.json(*sign(pool, paper, "--amount", "1"))
    paper.write_text(json.dumps({**document, "genesisHash": "0x" + "11" * 32}))
    assert user.run("payment", "check", str(paper), "--json").document["verdict"] == "WRONG_CHAIN"
    assert user.refuse(1, "settle", str(paper), "--from", "devnet:1") == "WRONG_CHAIN"


def test_payment_is_checked_offline(user: CommandLine, pool: str, tmp_path: Path) -> None:
    paper = tmp_path / "payment.json"
    user.json(*sign(pool, paper, "--amount", "1"))
    offline = CommandLine(tmp_path / "home", "http://127.0.0.1:9")
    checked = offline.json("payment", "check", str(paper), "--offline")
    assert checked["signer"] == checksum_address(devnet_keys().accounts[0].address)
    assert offline.refuse(3, "payment", "check", str(paper)) == "UNREACHABLE"
    paper.write_text("{}")
    assert offline.refuse(1, "payment", "check", str(paper), "--offline") == "MALFORMED"


def test_payment_goes_through_pipes(user: CommandLine, pool: str) -> None:
    arguments = sign(pool, user.home / "unused", "--amount", "1")[:-4]
    printed = user.run(*arguments, "--amount", "1")
    assert (printed.status, json.loads(printed.out)) == (0, user.json(*arguments, "--amount", "1"))


def test_proof_of_the_new_pool_is_saved_and_verifies(node: NodeProcess, user: CommandLine, tmp_path: Path) -> None:
    proof = tmp_path / "proof.json"
    created = user.json(*CREATE, "--deposit", "1", "--proof", str(proof))
    assert json.loads(proof.read_text()) == created["proof"]
    trust = ("--authority", node.banner["authority"], "--genesis", node.banner["genesisHash"])
    assert user.json("proof", "verify", str(proof), *trust)["valid"] is True


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--deposit", "10", "--collateral", "10"), "COLLATERAL_TOO_LOW"),
        (("--deposit", "0"), "ZERO_AMOUNT"),
        (("--deposit", "10", "--fee", "0"), "FEE_TOO_LOW"),
        (("--deposit", "100000"), "INSUFFICIENT_BALANCE"),
        (("--deposit", "9", "--nonce", "0"), "BAD_NONCE"),
        (("--deposit", "10", "--nonce", "1000000"), "NONCE_GAP"),
        (("--deposit", "10", "--duration", "1000001"), "BAD_DURATION"),
    ],
)
@pytest.mark.usefixtures("pool")
def test_pool_that_the_chain_refuses(user: CommandLine, options: tuple[str, ...], reason: str) -> None:
    head = user.json("status")["head"]
    assert user.refuse(1, *CREATE, *options) == reason
    assert user.refuse(1, *CREATE, *options, "--dry-run") == reason
    assert user.json("status")["head"] == head


def test_refusals_speak_of_tokens_and_programs_get_base_units(user: CommandLine) -> None:
    refused = user.run(*CREATE, "--deposit", "10", "--collateral", "1")
    assert "above the deposit of 10 tokens, given 1 token\n" in refused.err
    document = user.run(*CREATE, "--deposit", "10", "--collateral", "1", "--json").document["error"]
    assert document["given"] == str(TOKEN)
    unnamed = ("pool", "create", "--from", "devnet:0", "--resource-name", "", "--duration", "1h", "--deposit", "1")
    assert user.refuse(2, *unnamed) == "USAGE"


def test_a_pool_that_ended_is_shown_as_ended(user: CommandLine, node: NodeProcess) -> None:
    made = user.json(*CREATE, "--duration", "2 blocks", "--deposit", "1")["cptxHash"]
    assert "it can be settled for" in user.run("pool", "show", made).out
    node.call("dev_mine", "0x4")
    shown = user.run("pool", "show", made).out
    for words in ("returned  1 token", "tokens, returned", "Expired at  block"):
        assert words in shown, shown
    assert "can be settled" not in shown


def test_a_lower_total_is_signed_with_a_word_about_the_higher_one(user: CommandLine, pool: str, tmp_path: Path) -> None:
    assert user.run(*sign(pool, tmp_path / "first.json", "--amount", "2")).err == ""
    lower = user.run(*sign(pool, tmp_path / "second.json", "--amount", "1"))
    assert (lower.status, "was promised 2 tokens in total already" in lower.err) == (0, True)


def test_what_is_wrong_with_an_account_comes_before_its_password(user: CommandLine, tmp_path: Path) -> None:
    stranger = "0x" + "11" * 20
    assert user.refuse(1, "transfer", "--from", stranger, "--to", "devnet:1", "--amount", "1") == "ACCOUNT_UNKNOWN"
    raw = tmp_path / "key.hex"
    raw.write_text("77" * 32)
    raw.chmod(0o644)
    imported = user.run("account", "import", str(raw), "--light", POOLCHAIN_PASSWORD="secret")
    assert (imported.status, "can be read by others" in imported.err) == (0, True)


def test_process_has_the_exit_status_of_its_outcome(user: CommandLine, pool: str) -> None:
    shown = user.spawn("pool", "show", pool, "--json")
    assert (shown.status, shown.document, shown.err) == (0, user.json("pool", "show", pool), "")
    unknown = user.spawn("--json", "pool", "show", "0x" + "00" * 32)
    assert (unknown.status, unknown.reason, unknown.err) == (1, "POOL_UNKNOWN", "")
    assert user.spawn("pool", "show").status == 2
    assert user.spawn("status", POOLCHAIN_RPC="http://127.0.0.1:9").status == 3


def test_bad_usage_is_status_2(user: CommandLine, tmp_path: Path) -> None:
    assert user.refuse(2, *CREATE[:-1], "soon", "--deposit", "1") == "USAGE"
    assert user.refuse(2, *CREATE, "--deposit", "1", "--resource", "0x" + "00" * 32) == "USAGE"
    assert user.refuse(2, "settle", str(tmp_path / "missing"), "--from", "devnet:1") == "USAGE"


def test_own_account_pays_with_its_password(user: CommandLine, tmp_path: Path) -> None:
    made = user.run("account", "new", "--light", "--json", POOLCHAIN_PASSWORD="secret").document
    user.json("transfer", "--from", "devnet:5", "--to", made["address"], "--amount", "3")
    back = ("transfer", "--from", made["address"], "--to", "devnet:5", "--amount", "1", "--json")
    assert user.run(*back, POOLCHAIN_PASSWORD="secret").status == 0
    wrong = user.run(*back, POOLCHAIN_PASSWORD="another")
    assert (wrong.status, wrong.reason) == (1, "BAD_KEY_FILE")
    raw = tmp_path / "key.hex"
    raw.write_text(devnet_keys().accounts[5].secret.hex())
    raw.chmod(0o600)
    assert user.run("transfer", "--key-file", str(raw), *back[3:]).status == 0


def test_transactions_queue_behind_each_other_where_blocks_come_by_hand(user: CommandLine, node: NodeProcess) -> None:
    node.call("dev_setSealing", "manual")
    try:
        transfer = ("transfer", "--from", "devnet:4", "--to", "devnet:5", "--amount", "1")
        first, second = user.json(*transfer), user.json(*transfer)
        assert first["receipt"] is None
        assert user.json("status")["pending"] == "0x2"
        assert "Status       pending" in user.run("tx", second["hash"]).out
        node.call("dev_mine")
        assert user.json("tx", second["hash"])["status"] == "committed"
        assert "dev_mine" in user.run(*transfer).out
    finally:
        node.call("dev_setSealing", "on-transaction")


def test_a_purchase_that_fails_says_one_sentence(user: CommandLine, tmp_path: Path) -> None:
    wanted = ("fetch", "0x" + "11" * 32, "--out", str(tmp_path / "copy"), "--from", "devnet:0")
    refused = user.run(*wanted, "--origin", "http://127.0.0.1:1")
    assert refused.status == 3
    assert refused.err.startswith("Error: ")
    assert refused.err.count("\n") == 1


def test_web_pages_that_were_named_may_call_the_node(tmp_path: Path) -> None:
    named = ("--page", "http://localhost:3000", "--page", "https://app.example")
    with NodeProcess(tmp_path, *named) as node:
        answers = {
            page: node.request("GET", "/health", headers={"Origin": page})
            for page in ("http://localhost:3000", "https://app.example", "http://localhost:3001")
        }
    assert [answer.status for answer in answers.values()] == [200, 200, 403]
    allowed = [answer.headers.get("access-control-allow-origin") for answer in answers.values()]
    assert allowed == ["http://localhost:3000", "https://app.example", None]


def test_a_level_of_logs_that_there_is_not_is_refused(user: CommandLine, tmp_path: Path) -> None:
    refused = user.run("devnet", "--data-dir", str(tmp_path / "devnet"), POOLCHAIN_LOG="loud")
    assert (refused.status, "expected one of debug, info" in refused.err) == (2, True)


def test_what_is_no_page_is_refused(user: CommandLine) -> None:
    refused = user.run("devnet", "--page", "localhost:3000")
    assert refused.status == 2
    assert "such as http://localhost:3000" in refused.err

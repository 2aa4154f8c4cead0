"""The oracles answer, and agree with us on the two hash functions of the chain."""

from __future__ import annotations

import pytest

from crypto.hashing import keccak256, sha256
from tests import js_oracle


@pytest.mark.node
def test_hashes_agree_with_ethers_and_noble() -> None:
    messages = [bytes(range(256))[:length] for length in (0, 1, 55, 64, 135, 136, 137, 256)]
    answers = js_oracle.ask_node("hashes.mjs", [message.hex() for message in messages])
    for message, answer in zip(messages, answers, strict=True):
        keccak = keccak256(message).hex()
        assert answer == [keccak, keccak, sha256(message).hex()]


@pytest.mark.node
def test_failing_script_fails_the_test_with_its_message() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"no_such_oracle\.mjs"):
        js_oracle.ask_node("no_such_oracle.mjs", None)


@pytest.mark.parametrize(("required", "outcome"), [("0", pytest.skip.Exception), ("1", pytest.fail.Exception)])
def test_missing_node_skips_unless_it_is_required(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("POOLCHAIN_REQUIRE_NODE", required)
    with pytest.raises(outcome, match=r"Node\.js is not installed"):
        js_oracle.ask_node("hashes.mjs", [])

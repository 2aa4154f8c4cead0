"""The devnet as a process: it goes on where it stopped, after a stop and after a crash."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from .node_process import NodeProcess, RpcFailure

if TYPE_CHECKING:
    from pathlib import Path


def test_chain_survives_stop_and_crash(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, "--seal", "manual") as node:
        genesis = node.banner["genesisHash"]
        assert node.call("dev_mine", "0x3") == "0x3"
        assert node.terminate() == 0
        assert not node.running
        banner = node.start()
        assert (banner["genesisHash"], banner["height"]) == (genesis, "0x3")
        assert node.call("dev_mine", count="0x2") == "0x5"
        first = node.pid
        node.kill()
        assert node.start()["height"] == "0x5"
        assert node.pid != first
        assert node.call("chain_getHeader", "0x5")["header"]["height"] == "0x5"
        assert node.terminate(signal.SIGINT) == 0


def test_answers_come_as_they_are(tmp_path: Path) -> None:
    with NodeProcess(tmp_path, environment={"POOLCHAIN_LOG": "INFO"}) as node:
        assert node.banner["sealing"] == "on-transaction"
        assert [answer["result"] for answer in node.batch([("eth_chainId", []), ("net_version", [])])] == [
            node.banner["chainId"],
            str(int(node.banner["chainId"], 16)),
        ]
        with pytest.raises(RpcFailure, match="does not exist") as caught:
            node.call("eth_sendTransaction", {})
        assert (caught.value.code, caught.value.reason) == (-32601, "METHOD_NOT_FOUND")
        assert node.request("GET", "/health").status == 200
        reply = node.request("POST", "/", b"{}", {"Content-Type": "text/plain"})
        assert reply.status == 415


def test_failed_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "devnet").write_text("not a directory")
    node = NodeProcess(tmp_path)
    with pytest.raises(RuntimeError, match="did not start"):
        node.start()
    assert not node.running

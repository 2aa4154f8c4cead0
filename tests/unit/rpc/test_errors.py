"""The table of errors is whole, and what is sent back is safe."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from ledger.errors import Refusal
from rpc.errors import TABLE, RpcError, invalid_params, refused, shorten

ROOT = Path(__file__).resolve().parents[3]
CODES = {
    -32700: "PARSE_ERROR",
    -32600: "INVALID_REQUEST",
    -32601: "METHOD_NOT_FOUND",
    -32602: "INVALID_PARAMS",
    -32603: "INTERNAL",
    -32000: "MALFORMED BAD_SIGNATURE",
    -32001: "NOT_FOUND POOL_UNKNOWN",
    -32002: "PENDING NOT_READY HEAD_TOO_OLD HEAD_UNKNOWN STORAGE_FAILED",
    # REPLACED is ours: how a pending transaction leaves when a better one takes its place.
    -32003: "ALREADY_KNOWN ALREADY_COMMITTED REPLACEMENT_UNDERPRICED FEE_TOO_LOW ZERO_AMOUNT "
    "BAD_NONCE NONCE_GAP INSUFFICIENT_BALANCE COLLATERAL_TOO_LOW BAD_DURATION POOL_UNKNOWN "
    "POOL_SLASHED POOL_EXPIRED SELF_PAYMENT NOT_CREATOR NOT_TARGET BAD_SEQUENCE "
    "AMOUNT_NOT_INCREASED REPLACED",
    -32005: "MEMPOOL_FULL TOO_MANY_PENDING LIMIT",
}


def test_table_is_the_protocols() -> None:
    wanted = {(reason, code) for code, reasons in CODES.items() for reason in reasons.split()}
    assert {(row.reason, row.code) for row in TABLE} == wanted
    assert len(TABLE) == len(wanted)
    assert all(row.text and row.when for row in TABLE)


def test_every_refusal_of_the_other_rooms_is_in_the_table() -> None:
    known = {row.reason for row in TABLE}
    found = set()
    for room in ("crypto", "ledger", "txtypes", "consensus", "poolchain", "rpc"):
        for path in (ROOT / room).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in {"Refusal", "RpcError"}
                    and node.args
                    and isinstance(node.args[0], ast.Constant)
                ):
                    found.add(node.args[0].value)
    assert found
    assert found <= known


@pytest.mark.parametrize(
    ("refusal", "pattern"),
    # The expressions with which ethers 6 recognises errors (its jsonrpc provider).
    [
        (Refusal("BAD_NONCE", "5", 3), r"nonce (is )?too low"),
        (Refusal("INSUFFICIENT_BALANCE", "7", 3), r"insufficient funds"),
        (Refusal("REPLACEMENT_UNDERPRICED", "7", 3), r"replacement transaction underpriced"),
    ],
)
def test_ethers_recognises_the_text(refusal: Refusal, pattern: str) -> None:
    error = refused(refusal)
    assert re.search(pattern, error.message)
    assert error.code == -32003
    assert error.data == {
        "reason": refusal.reason,
        "expected": refusal.expected,
        "given": refusal.given,
    }


def test_unknown_pool_is_a_query_or_a_refusal() -> None:
    assert RpcError("POOL_UNKNOWN").code == -32001
    assert refused(Refusal("POOL_UNKNOWN", "a pool", "none")).code == -32003


def test_extra_members_stand_in_data() -> None:
    error = refused(Refusal("ALREADY_KNOWN", "a new one"), hash="0xab")
    expected = {"reason": "ALREADY_KNOWN", "expected": "a new one", "given": None, "hash": "0xab"}
    assert error.as_json()["data"] == expected


def test_unknown_reason_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        RpcError("NO_SUCH_REASON")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (-(10**19), str(-(10**19))),
        (2**81, "a huge number"),
        ([1, 2], "an array of 2"),
        ({"a": 1}, "an object"),
        (object(), "something else"),
        ("abc", "abc"),
        ("x" * 80, "x" * 80),
        ("x" * 81, "x" * 80 + "…"),
        ("\ud800", "\\ud800"),
    ],
)
def test_given_is_short_and_encodable(value: object, text: str) -> None:
    assert shorten(value) == text


def test_invalid_params_name_the_parameter() -> None:
    error = invalid_params("block", "a block", [1]).as_json()
    assert error == {
        "code": -32602,
        "message": "invalid params: expected block: a block, given an array of 1",
        "data": {
            "reason": "INVALID_PARAMS",
            "expected": "block: a block",
            "given": "an array of 1",
        },
    }
    json.dumps(error)


def test_huge_integer_is_not_written_out() -> None:
    assert shorten(10**5_000) == "a huge number"

"""Methods as data: how parameters are matched, which methods exist where, what is documented."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rpc.errors import RpcError
from rpc.registry import Method, Param, Registry, method
from rpc.values import BLOCK, BOOLEAN, BYTES, OBJECT, UINT64, BadValue, either, one_of, quantity


@method(
    "chain_getBlock",
    Param("block", BLOCK, about="which block"),
    Param("full", BOOLEAN, default=False),
    result="a block",
)
def chain_get_block(_: None, *, block: int | bytes | str, full: bool) -> object:
    """Return a block.

    With full, its transactions too.
    """
    return [str(block), full]


@method(
    "tx_submit",
    Param("raw", either(BYTES, OBJECT), alias="transaction"),
    Param("wait", one_of("pooled", "committed"), default="pooled"),
    result="hash",
    write=True,
)
def tx_submit(_: None, *, raw: object, wait: str) -> object:
    """Submit a transaction."""
    return [raw, wait]


@method("dev_mine", Param("count", quantity(1), default="0x1"), result="height", devnet_only=True)
def dev_mine(_: None, *, count: int) -> object:
    """Make blocks."""
    return count


@method("chain_subscribe", Param("kind", one_of("newHeads")), result="id", websocket_only=True)
def chain_subscribe(_: None, session: object, *, kind: str) -> object:
    """Subscribe."""
    return [session, kind]


METHODS = (chain_get_block, tx_submit, dev_mine, chain_subscribe)


def registry(*, devnet: bool = False) -> Registry[None]:
    return Registry(METHODS, title="Test", version="7", devnet=devnet)


@pytest.mark.parametrize(
    ("chosen", "params", "arguments"),
    [
        (chain_get_block, ["latest"], {"block": "latest", "full": False}),
        (chain_get_block, ["0x7", True], {"block": 7, "full": True}),
        (chain_get_block, {"block": "0x7"}, {"block": 7, "full": False}),
        (chain_get_block, {"full": True, "block": "earliest"}, {"block": "earliest", "full": True}),
        (tx_submit, ["0x01"], {"raw": b"\x01", "wait": "pooled"}),
        (tx_submit, {"raw": "0x01"}, {"raw": b"\x01", "wait": "pooled"}),
        (tx_submit, {"transaction": {}, "wait": "committed"}, {"raw": {}, "wait": "committed"}),
        (dev_mine, [], {"count": 1}),
        (dev_mine, {}, {"count": 1}),
        (dev_mine, ["0xa"], {"count": 10}),
    ],
)
def test_arguments_by_position_and_by_name(chosen: Method[Any], params: Any, arguments: dict[str, Any]) -> None:
    assert chosen.arguments(params) == arguments


@pytest.mark.parametrize(
    ("chosen", "params", "named"),
    [
        (chain_get_block, [], "block: a block"),
        (chain_get_block, {}, "block: a block"),
        (chain_get_block, {"full": True}, "block: a block"),
        (chain_get_block, [7], "block: a block"),
        (chain_get_block, ["latest", 1], "full: true or false"),
        (chain_get_block, ["latest", None], "full: true or false"),
        (chain_get_block, ["latest", False, 1], "params: at most 2"),
        (chain_get_block, {"Block": "latest"}, "Block: only the parameters block, full"),
        (chain_get_block, {"block": "latest", "x" * 200: 1}, "x" * 80 + "…: only the"),
        (tx_submit, {"raw": "0x", "transaction": "0x"}, "transaction: one of two names"),
        (dev_mine, ["0x0"], "count: a 0x-quantity"),
    ],
)
def test_parameters_that_do_not_fit_are_named(chosen: Method[Any], params: Any, named: str) -> None:
    with pytest.raises(RpcError) as caught:
        chosen.arguments(params)
    assert caught.value.code == -32602
    assert str(caught.value.data["expected"]).startswith(named)


def test_default_of_the_wrong_shape_is_found_when_declaring() -> None:
    with pytest.raises(BadValue):
        method("a_b", Param("n", UINT64, default=1), result="n")(lambda _, *, n: n)


def test_two_methods_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="one name"):
        Registry((chain_get_block, chain_get_block), title="", version="")


def test_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        registry().methods["x"] = chain_get_block  # type: ignore[index]


def missing(name: str, *, devnet: bool = False, has_session: bool = False) -> RpcError:
    with pytest.raises(RpcError) as caught:
        registry(devnet=devnet).find(name, has_session=has_session)
    assert caught.value.code == -32601
    # web3.py goes by the code, ethers by these words.
    assert f"the method {name} does not exist/is not available" in caught.value.message
    return caught.value


def test_missing_method_says_what_would_help() -> None:
    assert missing("no_such").data["expected"] == "a method listed by rpc.discover"
    assert "did you mean chain_getBlock?" in missing("chain_get_block").message
    assert "did you mean chain_getBlock?" in missing("Chain_GetBlock").message
    assert "on a devnet only" in missing("dev_mine").message
    assert "connect a WebSocket to /ws" in missing("chain_subscribe").message


def test_where_methods_exist() -> None:
    assert registry(devnet=True).find("dev_mine", has_session=False) is dev_mine
    assert registry().find("chain_subscribe", has_session=True) is chain_subscribe
    missing("dev_mine", has_session=True)


def test_unknown_names_leave_nothing_behind() -> None:
    fixed = registry()
    before = {slot: repr(getattr(fixed, slot)) for slot in vars(fixed)}
    for number in range(1_000):
        with pytest.raises(RpcError):
            fixed.find(f"name{number}", has_session=False)
    assert {slot: repr(getattr(fixed, slot)) for slot in vars(fixed)} == before


def discover(*, devnet: bool) -> dict[str, Any]:
    found = registry(devnet=devnet).find("rpc.discover", has_session=False)
    document = msgspec.json.decode(msgspec.json.encode(found.handler(None)))
    assert isinstance(document, dict)
    return document


def test_openrpc_document_is_made_of_the_declarations() -> None:
    document = discover(devnet=False)
    assert document["openrpc"] == "1.4.1"
    assert document["info"] == {"title": "Test", "version": "7"}
    methods = {m["name"]: m for m in document["methods"]}
    assert list(methods) == sorted(methods)
    assert set(methods) == {"chain_getBlock", "chain_subscribe", "rpc.discover", "tx_submit"}
    assert methods["chain_getBlock"] == {
        "name": "chain_getBlock",
        "summary": "Return a block.",
        "description": "With full, its transactions too.",
        "paramStructure": "either",
        "params": [
            {
                "name": "block",
                "description": "which block",
                "required": True,
                "schema": {"type": "string"},
            },
            {
                "name": "full",
                "description": "true or false",
                "required": False,
                "schema": {"type": "boolean", "default": False},
            },
        ],
        "result": {"name": "result", "description": "a block", "schema": {}},
        "x-access": "read",
        "x-devnet-only": False,
        "x-transports": ["http", "websocket"],
    }
    assert methods["tx_submit"]["x-access"] == "write"
    assert methods["tx_submit"]["params"][0]["description"].endswith("also be named transaction")
    assert methods["chain_subscribe"]["x-transports"] == ["websocket"]
    assert document["components"]["errors"]["POOL_UNKNOWN-32003"]["code"] == -32003


def test_devnet_methods_are_documented_on_a_devnet() -> None:
    methods = {m["name"]: m for m in discover(devnet=True)["methods"]}
    assert methods["dev_mine"]["x-devnet-only"] is True

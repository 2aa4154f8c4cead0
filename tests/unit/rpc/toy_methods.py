"""Toy methods for tests of the dispatcher, and short ways to call them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ledger.errors import InvariantViolation, Refusal
from rpc.dispatch import Dispatcher, Later
from rpc.errors import RpcError
from rpc.limits import Limits
from rpc.registry import Method, Param, Registry, method
from rpc.values import UINT64, Kind

ANY: Kind[Any] = Kind("anything", {}, lambda value: value)
LIMITS = Limits(batch_max=20, answer_bytes_max=10_000)


@dataclass
class Toy:
    """The context: remembers which calls were executed, and lets some of them wait."""

    calls: list[object] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)


def simple(name: str, count: int, answer: Any) -> Method[Toy]:
    @method(name, *(Param(f"p{index}", ANY) for index in range(count)), result="")
    def handler(toy: Toy, **arguments: Any) -> Any:
        toy.calls.append((name, *arguments.values()))
        return answer(*arguments.values())

    return handler


@method("subtract", Param("minuend", ANY), Param("subtrahend", ANY), result="the difference")
async def subtract(_: Toy, *, minuend: int, subtrahend: int) -> int:
    """Subtract."""
    await asyncio.sleep(0)
    return minuend - subtrahend


@method("echo", Param("value", ANY, default=None), result="the same")
def echo(toy: Toy, *, value: object) -> object:
    """Answer with what was given."""
    toy.calls.append(value)
    return value


@method("later", Param("value", ANY), result="the same, when the gate opens")
def later(toy: Toy, *, value: object) -> Later:
    """Answer when the gate opens."""
    toy.calls.append(value)

    async def answer() -> object:
        await toy.gate.wait()
        if value == "refuse":
            raise RpcError("PENDING", "a block", hash="0xab")
        return value

    return Later(answer())


@method("open", result="nothing")
def open_gate(toy: Toy) -> None:
    """Open the gate."""
    toy.gate.set()


@method("refuse", Param("nonce", UINT64), result="never")
async def refuse(_: Toy, *, nonce: int) -> NoReturn:
    """Refuse as the ledger does."""
    raise Refusal("BAD_NONCE", "nonce 5", nonce)


@method("break", Param("how", ANY), result="never")
def break_down(_: Toy, *, how: str) -> object:
    """Fail in a way nobody foresaw."""
    if how == "encode":
        return {"secret": object()}
    if how == "surrogate":
        return "\ud800"
    if how == "recursion":
        return break_down.handler(_, how=how)
    if how == "invariant":
        raise InvariantViolation("secret")
    raise OSError(f"/very/secret/path: {how}")


@method("whoami", result="", websocket_only=True)
def whoami(_: Toy, session: object) -> str:
    """Answer with the session."""
    return str(session)


METHODS = (
    subtract,
    echo,
    later,
    open_gate,
    refuse,
    break_down,
    whoami,
    simple("update", 5, lambda *_: None),
    simple("sum", 3, lambda *numbers: sum(numbers)),
    simple("notify_hello", 1, lambda *_: None),
    simple("notify_sum", 3, lambda *_: None),
    simple("get_data", 0, lambda: ["hello", 5]),
)
REGISTRY = Registry(METHODS, title="Toy", version="1")


def ask_raw(body: bytes, *, toy: Toy | None = None, limits: Limits = LIMITS) -> bytes | None:
    async def run() -> bytes | None:
        return await Dispatcher(REGISTRY, toy or Toy(), limits).answer(body)

    return asyncio.run(run())


def ask(message: object, *, toy: Toy | None = None, limits: Limits = LIMITS) -> Any:
    answer = ask_raw(json.dumps(message).encode(), toy=toy, limits=limits)
    return None if answer is None else json.loads(answer)


def call(name: object, *params: object, id: object = 1) -> dict[str, Any]:  # noqa: A002
    return {"jsonrpc": "2.0", "id": id, "method": name, "params": [*params]}


def notification(name: str, *params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": name, "params": [*params]}


def error(answer: Any) -> tuple[object, int, str]:
    """Check an error's form; return its id, code and reason."""
    assert answer.keys() == {"jsonrpc", "id", "error"}
    assert answer["jsonrpc"] == "2.0"
    assert answer["error"].keys() == {"code", "message", "data"}
    assert answer["error"]["data"].keys() >= {"reason", "expected", "given"}
    return answer["id"], answer["error"]["code"], answer["error"]["data"]["reason"]

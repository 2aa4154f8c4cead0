"""Methods as data: what each is called, takes and answers.

A method is declared by decorating its function; the decorator returns a frozen `Method`, modules
collect theirs in a tuple, and one `Registry` is made of the tuples when the node starts.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from .errors import RpcError, invalid_params, shorten
from .openrpc import document
from .other_names import OTHER_NAMES
from .values import Kind, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

C = TypeVar("C")
REQUIRED: Final = object()
DISCOVER: Final = "rpc.discover"


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a method.

    `default` is JSON, as the caller would have written it; a parameter without one is required.
    `alias` is a second name it may be given by. `about` is a few words for the document.
    """

    name: str
    kind: Kind[Any]
    default: object = REQUIRED
    alias: str | None = None
    about: str = ""

    @property
    def is_required(self) -> bool:
        """Whether every call has to give it."""
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Method(Generic[C]):
    """A method: its name, parameters in the order of calls by position, function and flags.

    `defaults` are the typed defaults (None for a required parameter), `indexes` lead from each
    name and alias to the parameter's place.
    """

    name: str
    params: tuple[Param, ...]
    handler: Callable[..., Any]
    result: str
    doc: str
    is_write: bool
    is_devnet_only: bool
    is_websocket_only: bool
    defaults: tuple[Any, ...]
    indexes: Mapping[str, int]

    def arguments(self, params: list[Any] | dict[str, Any]) -> dict[str, Any]:
        """Return the typed keyword arguments for the JSON `params`.

        Raises RpcError INVALID_PARAMS, naming the parameter, for what does not fit.
        """
        given = params if isinstance(params, list) else self._in_order(params)
        if len(given) > len(self.params):
            raise invalid_params("params", f"at most {len(self.params)} of them", given)
        arguments = {}
        for index, param in enumerate(self.params):
            value = given[index] if index < len(given) else REQUIRED
            if value is not REQUIRED:
                arguments[param.name] = read(param.kind, value, param.name)
            elif param.is_required:
                raise invalid_params(param.name, param.kind.expected, "nothing")
            else:
                arguments[param.name] = self.defaults[index]
        return arguments

    def _in_order(self, params: dict[str, Any]) -> list[Any]:
        given = [REQUIRED] * len(self.params)
        for name, value in params.items():
            index = self.indexes.get(name)
            if index is None:
                names = ", ".join(param.name for param in self.params) or "none"
                raise invalid_params(shorten(name), f"only the parameters {names}", name)
            if given[index] is not REQUIRED:
                raise invalid_params(name, "one of two names of one parameter", name)
            given[index] = value
        return given


def method(
    name: str,
    *params: Param,
    result: str,
    write: bool = False,
    devnet_only: bool = False,
    websocket_only: bool = False,
) -> Callable[[Callable[..., Any]], Method[Any]]:
    """Make a Method of the decorated function, whose docstring documents it.

    The function is called as `function(context, **arguments)`, a WebSocket-only one as
    `function(context, session, **arguments)`. It may be a coroutine function. It returns plain
    JSON-able data (never bytes) and raises RpcError or `ledger.errors.Refusal`.
    """

    def declare(function: Callable[..., Any]) -> Method[Any]:
        names = [(param.name, index) for index, param in enumerate(params)]
        aliases = [(param.alias, index) for index, param in enumerate(params) if param.alias]
        return Method(
            name=name,
            params=params,
            handler=function,
            result=result,
            doc=inspect.getdoc(function) or "",
            is_write=write,
            is_devnet_only=devnet_only,
            is_websocket_only=websocket_only,
            defaults=tuple(None if p.is_required else p.kind.read(p.default) for p in params),
            indexes=MappingProxyType(dict([*aliases, *names])),
        )

    return declare


class Registry(Generic[C]):
    """The methods of one node, `rpc.discover` among them; never changes."""

    def __init__(self, methods: Iterable[Method[C]], *, title: str, version: str, devnet: bool = False) -> None:
        """Collect `methods`, the devnet-only ones only for a devnet.

        Raises ValueError for two of one name.
        """
        declared = [*methods]
        offered = [m for m in declared if devnet or not m.is_devnet_only]
        discover = _discover(offered, title, version)
        self.methods: Final[Mapping[str, Method[C]]] = MappingProxyType({m.name: m for m in (*offered, discover)})
        if len(self.methods) <= len(offered):
            raise ValueError("two methods of one name")
        self._withheld = frozenset(m.name for m in declared) - self.methods.keys()
        self._by_simple_name = {_simple(name): name for name in self.methods}

    def find(self, name: str, *, has_session: bool) -> Method[C]:
        """Return the method `name`; raises RpcError METHOD_NOT_FOUND, saying what would help."""
        found = self.methods.get(name)
        if found is not None and (has_session or not found.is_websocket_only):
            return found
        # geth's words come first: clients look for "the method … does not exist".
        text = f"the method {shorten(name)} does not exist/is not available"
        if found is not None:
            text += " over HTTP: connect a WebSocket to /ws"
            expected = "a WebSocket connection to /ws"
        elif name in self._withheld:
            text += ": it exists on a devnet only"
            expected = "a devnet"
        elif (near := self._by_simple_name.get(_simple(name))) is not None:
            text += f": did you mean {near}?"
            expected = near
        elif (here := OTHER_NAMES.get(name)) in self.methods:
            text += f": here it is {here}, see {DISCOVER}"
            expected = str(here)
        else:
            expected = f"a method listed by {DISCOVER}"
        raise RpcError("METHOD_NOT_FOUND", expected, shorten(name), text=text)


def _simple(name: str) -> str:
    return name.replace("_", "").replace(".", "").lower()


def _discover(methods: list[Method[Any]], title: str, version: str) -> Method[Any]:
    def handler(_: object) -> msgspec.Raw:
        return encoded

    discover: Method[Any] = Method(
        name=DISCOVER,
        params=(),
        handler=handler,
        result="the OpenRPC document",
        doc="This document.",
        is_write=False,
        is_devnet_only=False,
        is_websocket_only=False,
        defaults=(),
        indexes=MappingProxyType({}),
    )
    encoded = msgspec.Raw(msgspec.json.encode(document([*methods, discover], title, version)))
    return discover

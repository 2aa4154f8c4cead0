"""The OpenRPC document, generated from the declared methods so that it cannot go stale.

Source: the OpenRPC specification 1.4.1; members that begin with x- are ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .errors import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .registry import Method, Param

OPENRPC_VERSION: Final = "1.4.1"


def document(methods: Iterable[Method[Any]], title: str, version: str) -> dict[str, Any]:
    """Return the document of `methods`, in the order of their names."""
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {"title": title, "version": version},
        "methods": [_method(m) for m in sorted(methods, key=lambda m: m.name)],
        "components": {
            "errors": {
                f"{row.reason}{row.code}": {
                    "code": row.code,
                    "message": row.text,
                    "data": {"reason": row.reason, "when": row.when},
                }
                for row in TABLE
            }
        },
    }


def _method(method: Method[Any]) -> dict[str, Any]:
    summary, _, description = method.doc.partition("\n")
    return {
        "name": method.name,
        "summary": summary.strip(),
        "description": description.strip(),
        "paramStructure": "either",
        "params": [_param(param) for param in method.params],
        "result": {"name": "result", "description": method.result, "schema": {}},
        "x-access": "write" if method.is_write else "read",
        "x-devnet-only": method.is_devnet_only,
        "x-transports": ["websocket"] if method.is_websocket_only else ["http", "websocket"],
    }


def _param(param: Param) -> dict[str, Any]:
    schema = {**param.kind.schema}
    if not param.is_required:
        schema["default"] = param.default
    about = param.about or param.kind.expected
    if param.alias:
        about += f"; may also be named {param.alias}"
    return {
        "name": param.name,
        "description": about,
        "required": param.is_required,
        "schema": schema,
    }

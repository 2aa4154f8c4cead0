"""The parts of docs/rpc.md that are made from the declared methods and errors, so that they cannot go stale.

`python -m rpc.reference docs/rpc.md` (`make docs`) writes them between the marks in the page; a test compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .errors import TABLE
from .limits import Limits
from .methods import ALL_METHODS
from .registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .errors import ErrorRow
    from .registry import Method, Param

_TITLES: Final = {
    "chain": "Chain",
    "account": "Accounts",
    "pool": "Pools",
    "tx": "Transactions",
    "proof": "Proofs",
    "dev": "Devnet only",
    "eth": "For Ethereum tools",
    "net": "For Ethereum tools",
    "web3": "For Ethereum tools",
    "rpc": "About this interface",
}


def refresh(page: str) -> str:
    """Return the page with the generated parts as they are now; what people wrote around them stays."""
    parts = {"limits": _limits(Limits()), "methods": _methods(), "errors": _errors()}
    for name, lines in parts.items():
        head, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, tail = rest.partition(f"<!-- end of {name} -->\n")
        if not begin or not end:
            raise ValueError(f"the page has no place for the {name}")
        page = "".join((head, begin, "\n", "\n".join(lines), "\n\n", end, tail))
    return page


def _methods() -> Iterator[str]:
    registry: Registry[Any] = Registry(ALL_METHODS, title="", version="", devnet=True)
    sections: dict[str, list[str]] = {}
    for method in registry.methods.values():
        sections.setdefault(_title(method), []).extend(_method(method))
    for number, (title, lines) in enumerate(sections.items()):
        yield from ["", f"## {title}"] if number else [f"## {title}"]
        yield from lines


def _title(method: Method[Any]) -> str:
    if method.is_websocket_only:
        return "Subscriptions"
    return _TITLES[method.name.partition("_")[0].partition(".")[0]]


def _limits(limits: Limits) -> Iterator[str]:
    yield "| limit | default | above it |"
    yield "| --- | --- | --- |"
    yield f"| maxBodyBytes | {limits.body_bytes_max:,} | HTTP 413 |"
    yield f"| maxBatch: calls in a batch | {limits.batch_max:,} | one INVALID_REQUEST |"
    yield f"| maxRaws: of tx_submitMany | {limits.raws_max:,} | LIMIT |"
    yield f"| maxPageSize: of pool_list | {limits.page_size_max:,} | LIMIT |"
    yield f"| mempoolTransactions | {limits.mempool_transactions:,} | the lowest fee goes: MEMPOOL_FULL |"
    yield f"| bytes of an answer | {limits.answer_bytes_max:,} | LIMIT |"


def _method(method: Method[Any]) -> Iterator[str]:
    yield ""
    yield f"### {method.name}({', '.join(map(_signature, method.params))})"
    yield ""
    yield method.doc
    yield ""
    yield f"Answer: {method.result}."
    if method.params:
        yield ""
        yield "| parameter | value | |"
        yield "| --- | --- | --- |"
        yield from map(_parameter, method.params)


def _signature(param: Param) -> str:
    return param.name if param.is_required else f"{param.name}={json.dumps(param.default)}"


def _parameter(param: Param) -> str:
    about = "; ".join(filter(None, [param.about, f"also named `{param.alias}`" if param.alias else ""]))
    return f"| {param.name} | {_cell(param.kind.expected)} | {_cell(about)} |"


def _errors() -> Iterator[str]:
    yield "| reason | code | message | when |"
    yield "| --- | --- | --- | --- |"
    yield from map(_error, TABLE)


def _error(row: ErrorRow) -> str:
    return f"| {row.reason} | {row.code} | {_cell(row.text)} | {_cell(row.when)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Refresh the page that is named on the command line."""
    page = Path(sys.argv[1])
    page.write_text(refresh(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()

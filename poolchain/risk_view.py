"""What a cacher's operator sees: what is at risk in each pool, and what becomes of it."""

from __future__ import annotations

from typing import Any, Final

from .chain_client import number
from .console import table
from .units import format_tokens

POOLS_MAX: Final = 20
"""Rows of the table: the pools with most at risk."""
_HEAD: Final = ("pool", "remaining", "delivered", "unsettled", "settled", "blocks left", "settlement")
Status = dict[str, Any]


def banner(status: Status) -> str:
    """Return what is sold, for how much, and where."""
    resources = (
        f"  {resource['resourceId']}  {resource['chunkCount']} chunks  {resource['name']}"
        for resource in status["resources"]
    )
    return "\n".join(
        (
            f"Selling as {status['target']} at {_tokens(status['pricePerChunk'])} tokens a chunk",
            *resources,
            f"Listening on {status['url']}\n",
        )
    )


def risk(status: Status) -> str:
    """Return the height, what is at risk in all, what is out of reach, and a row for each pool, the worst first."""
    lines = [f"Block {number(status['head']['height'])}, unsettled {_tokens(status['unsettled'])} tokens"]
    lines += [
        f"{name} AWAY: {status[key]}" for name, key in (("NODE", "nodeAway"), ("ORIGIN", "originAway")) if status[key]
    ]
    pools = sorted(status["pools"], key=lambda pool: number(pool["unsettled"]), reverse=True)
    if pools:
        lines.append(table(_HEAD, map(_row, pools[:POOLS_MAX])))
    if len(pools) > POOLS_MAX:
        lines.append(f"... and {len(pools) - POOLS_MAX} more pools with less at risk")
    return "\n".join(lines)


def _row(pool: dict[str, Any]) -> tuple[str, ...]:
    amounts = (_tokens(pool[name]) for name in ("remaining", "delivered", "unsettled", "paid"))
    return (pool["cptxHash"][:14], *amounts, str(number(pool["blocksLeft"])), _state(pool))


def _state(pool: dict[str, Any]) -> str:
    """Return what has become of a pool and of its latest settlement: why, and what happens next."""
    words = [] if pool["status"] == "open" else [pool["status"]]
    if pool["doubleSpend"]:
        words.append("DOUBLE SPEND")
    settlement = pool["settlement"]
    if settlement is not None:
        error = f": {settlement['error']}" if settlement["error"] else ""
        words.append(f"{settlement['stage']} {_tokens(settlement['amount'])} ({settlement['reason']}){error}")
    return " ".join(words)


def _tokens(quantity: str) -> str:
    return format_tokens(number(quantity))

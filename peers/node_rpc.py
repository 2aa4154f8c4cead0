"""Asynchronous JSON-RPC to a node over kept-alive connections (docs/rpc.md).

Two ways to fail, never mixed: NodeAway, when there is no answer, and NodeRefused, when the answer is an error.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NoReturn
from urllib.parse import urlsplit

import aiohttp

from crypto.nesting import nests_deeper

Json = dict[str, Any]
Call = tuple[str, Mapping[str, Any]]
CALL_SECONDS: Final = 10.0
COMMIT_SECONDS: Final = 40.0
"""Above the 30 seconds within which a node answers `wait: committed`."""
ANSWER_BYTES_MAX: Final = 32 << 20
"""Above the 25 MiB of a node's largest answer, a genesis file of many allocations say."""
WEBSOCKET_PATH: Final = "/ws"
_HEARTBEAT_SECONDS: Final = 10.0
_SENTENCE_MAX: Final = 200
NESTING_MAX: Final = 32


class NodeAway(Exception):
    """The node cannot be reached, or what answers is no node; the argument is one sentence."""


class NodeRefused(Exception):
    """The node answered with an error; `reason` is a row of its table of errors."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        """Take the `error` member of an answer, whatever a stranger has put there."""
        data = error.get("data")
        self.data: Mapping[str, Any] = data if isinstance(data, dict) else {}
        self.reason = str(self.data.get("reason") or "UNKNOWN")
        self.expected = str(self.data.get("expected") or "")
        self.given = str(self.data.get("given") or "")
        super().__init__(str(error.get("message") or self.reason)[:_SENTENCE_MAX])


class NodeRpc:
    """The calls of one client to one node. Made, used and closed inside one event loop."""

    def __init__(self, url: str) -> None:
        """Take an http or https URL; connects at the first call. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise ValueError(f"expected a node's address such as http://127.0.0.1:8545, given {url}")
        self.url = url
        self._websocket_url = f"ws{url.rstrip('/')[4:]}{WEBSOCKET_PATH}"
        self._numbers = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    async def call(
        self, method: str, parameters: Mapping[str, Any] | None = None, *, seconds: float = CALL_SECONDS
    ) -> Any:
        """Return the result of one call; raises NodeAway and NodeRefused."""
        request = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": dict(parameters or {})}
        answer = await self._exchange(request, seconds)
        return self._result(answer)

    async def call_many(self, calls: Sequence[Call], *, seconds: float = CALL_SECONDS) -> list[Any]:
        """Return the results of several calls, sent as one batch; raises as `call` for the first that failed."""
        requests = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": dict(parameters)}
            for index, (method, parameters) in enumerate(calls)
        ]
        answers = await self._exchange(requests, seconds)
        if isinstance(answers, dict):
            self._result(answers)
        if not isinstance(answers, list):
            self._no_node("no batch")
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        return [self._result(by_id.get(index)) for index in range(len(calls))]

    @asynccontextmanager
    async def events(self, kind: str, parameters: Mapping[str, Any]) -> AsyncIterator[AsyncIterator[Any]]:
        """Subscribe over a WebSocket: inside is an iterator of results, which ends when the connection does.

        Raises NodeAway when it cannot be opened.
        """
        try:
            async with self._open_session().ws_connect(
                self._websocket_url,
                heartbeat=_HEARTBEAT_SECONDS,
                max_msg_size=ANSWER_BYTES_MAX,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            ) as socket:
                request = {"jsonrpc": "2.0", "id": 0, "method": "chain_subscribe", "params": [kind, dict(parameters)]}
                await socket.send_json(request)
                yield _results(socket)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NodeAway(f"{self.url} does not take a WebSocket: {_words(error)}") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def _exchange(self, request: object, seconds: float) -> Any:
        """Send one request; a connection that the node closed meanwhile is the client library's to renew."""
        try:
            async with asyncio.timeout(seconds), self._open_session().post(self.url, json=request) as response:
                text = await _read_all(response)
        except TimeoutError as error:
            raise NodeAway(f"{self.url} gave no answer within {seconds:g} seconds") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NodeAway(f"{self.url} cannot be reached: {_words(error)}") from error
        try:
            return parse_answer(text)
        except ValueError:
            self._no_node(f"HTTP status {response.status}")

    def _result(self, answer: object) -> Any:
        if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
            raise NodeRefused(answer["error"])
        if not isinstance(answer, dict) or "result" not in answer:
            self._no_node("no JSON-RPC")
        return answer["result"]

    def _no_node(self, what: str) -> NoReturn:
        raise NodeAway(f"{self.url} answered with {what}: it is no Poolchain node")


def parse_answer(text: bytes) -> Any:
    """Return the value of a node's JSON; raises ValueError, also for more levels than any answer has."""
    if nests_deeper(text, NESTING_MAX):
        raise ValueError("too many levels")
    return json.loads(text)


async def _read_all(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_any():
        parts.append(part)
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise aiohttp.ClientPayloadError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    return b"".join(parts)


async def _results(socket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[Any]:
    """Yield the results of a connection's one subscription; raises NodeAway when the node refuses it."""
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            return
        try:
            found = parse_answer(message.data.encode())
        except ValueError:
            return
        if not isinstance(found, dict) or "error" in found:
            raise NodeAway("the node refused the subscription")
        parameters = found.get("params")
        if isinstance(parameters, dict):
            yield parameters.get("result")


def _words(error: BaseException) -> str:
    return str(error)[:_SENTENCE_MAX] or type(error).__name__

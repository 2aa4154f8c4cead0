"""JSON-RPC 2.0 from bytes to bytes: requests, batches, notifications, and nothing about HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from ledger.errors import Refusal
from storage.kv import StorageError

from .errors import RpcError, StorageFailed, refused, shorten
from .registry import DISCOVER
from .strict_json import NotJson, TooManyValues, decode, is_text

if TYPE_CHECKING:
    from .limits import Limits
    from .registry import Registry
    from .session import Session

C = TypeVar("C")
ID_CHARACTERS_MAX: Final = 64
ID_MAX: Final = 2**53
METHOD_CHARACTERS_MAX: Final = 64
_CALLS_BETWEEN_PAUSES: Final = 16
_NOTIFICATION: Final = object()
_log = logging.getLogger(__name__)
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Later:
    """What a method returns that has done its work in order, but whose answer has to be awaited.

    In a batch the next call begins at once: a hundred submissions that all wait for their block
    enter the mempool in the order of the calls and wait together. For a notification the
    awaitable is cancelled: nobody waits.
    """

    answer: Awaitable[Any]


class _InvalidRequest(Exception):
    """JSON that is not a request; `id` is what could be read of its id."""

    def __init__(self, request_id: object, expected: str, given: object) -> None:
        super().__init__(expected)
        self.id = request_id
        self.error = RpcError("INVALID_REQUEST", expected, shorten(given))


class Dispatcher(Generic[C]):
    """Answers messages with the methods of one registry, which all get the same context."""

    def __init__(self, registry: Registry[C], context: C, limits: Limits) -> None:
        """Keep what every call needs."""
        self.registry = registry
        self.limits = limits
        self._context = context

    async def answer(self, message: bytes | None, session: Session | None = None) -> bytes | None:
        """Return the answer to one request or batch, or None where silence is right.

        Never raises for anything a caller can send. `session` is the WebSocket it came on, None for `message` a binary
        one.
        """
        if message is None:
            return _failure(None, RpcError("PARSE_ERROR", "strict JSON in a text message", "a binary message"))
        try:
            value = decode(message, values_max=self.limits.values_max)
        except NotJson as error:
            return _failure(None, RpcError("PARSE_ERROR", "strict JSON", str(error)))
        except TooManyValues:
            return _failure(None, self._too_many_values(message))
        if type(value) is list:
            return await self._answer_batch(value, session)
        request_id, outcome = await self._begin(value, session)
        return await self._end(request_id, outcome)

    async def _answer_batch(self, calls: list[Any], session: Session | None) -> bytes | None:
        """Begin the calls one after the other; the answers stand in their order."""
        if not 0 < len(calls) <= self.limits.batch_max:
            expected = f"1 to {self.limits.batch_max} calls in a batch"
            return _failure(None, RpcError("INVALID_REQUEST", expected, str(len(calls))))
        answers: list[tuple[object, bytes | asyncio.Task[bytes | None] | None]] = []
        size = 0
        try:
            for number, call in enumerate(calls, 1):
                is_full = size > self.limits.answer_bytes_max
                request_id, outcome = self._skip(call) if is_full else await self._begin(call, session)
                if isinstance(outcome, Later):
                    task = asyncio.create_task(self._end(request_id, outcome))
                    answers.append((request_id, task))
                else:
                    answer = await self._end(request_id, outcome)
                    size += len(answer or b"")
                    answers.append((request_id, answer))
                if number % _CALLS_BETWEEN_PAUSES == 0:
                    await asyncio.sleep(0)  # others get their turn
            return await self._join(answers)
        finally:
            for _, unfinished in answers:
                if isinstance(unfinished, asyncio.Task):
                    unfinished.cancel()

    async def _join(self, answers: list[tuple[object, bytes | asyncio.Task[bytes | None] | None]]) -> bytes | None:
        texts = []
        size = 0
        for request_id, answer in answers:
            text = await answer if isinstance(answer, asyncio.Task) else answer
            if text is not None:
                size += len(text)
                if size > self.limits.answer_bytes_max:
                    text = _failure(request_id, self._too_large())
                texts.append(text)
        return b"[" + b",".join(texts) + b"]" if texts else None

    async def _begin(self, call: object, session: Session | None) -> tuple[object, Any]:
        """Run one call; return its id and its result, its RpcError or a Later."""
        request_id: object = None
        name = ""
        try:
            request_id, name, params = _parse_request(call)
            method = self.registry.find(name, has_session=session is not None)
            arguments = method.arguments(params)
            if method.is_websocket_only:
                result = method.handler(self._context, session, **arguments)
            else:
                result = method.handler(self._context, **arguments)
            return request_id, await result if type(result) is CoroutineType else result
        except _InvalidRequest as invalid:
            return invalid.id, invalid.error
        except Exception as error:  # noqa: BLE001 - whatever fails, the caller gets an answer
            return request_id, _as_rpc_error(error, name)

    def _skip(self, call: object) -> tuple[object, RpcError]:
        """Do not run a call whose answer would no longer fit."""
        try:
            return _parse_request(call)[0], self._too_large()
        except _InvalidRequest as invalid:
            return invalid.id, invalid.error

    async def _end(self, request_id: object, outcome: Any) -> bytes | None:
        """Return the text of an answer, or None for a notification."""
        if request_id is _NOTIFICATION:
            if isinstance(outcome, Later):
                _abandon(outcome.answer)
            return None
        try:
            if isinstance(outcome, Later):
                outcome = await outcome.answer
            if isinstance(outcome, RpcError):
                return _failure(request_id, outcome)
            text = _encode({"jsonrpc": "2.0", "id": request_id, "result": outcome})
        except Exception as error:  # noqa: BLE001 - likewise
            return _failure(request_id, _as_rpc_error(error, "an answer"))
        if len(text) > self.limits.answer_bytes_max:
            return _failure(request_id, self._too_large())
        return text

    def _too_large(self) -> RpcError:
        return RpcError("LIMIT", f"an answer of at most {self.limits.answer_bytes_max} bytes")

    def _too_many_values(self, message: bytes) -> RpcError:
        """Name the limit that a message with far too many commas and brackets is above."""
        limit = self.limits.values_max
        if message.lstrip()[:1] == b"[":
            expected = f"at most {self.limits.batch_max} calls of {limit} values in a batch"
            return RpcError("INVALID_REQUEST", expected, "more")
        return RpcError("LIMIT", f"at most {limit} values", "more")


def _parse_request(call: object) -> tuple[object, str, list[Any] | dict[str, Any]]:
    """Return id (or _NOTIFICATION), method and params; raises _InvalidRequest."""
    if type(call) is not dict:
        raise _InvalidRequest(None, "a request object", call)
    request_id = call.get("id", _NOTIFICATION)
    if request_id is not _NOTIFICATION and not _is_id(request_id):
        expected = f"id: null, an integer up to 2^53 or at most {ID_CHARACTERS_MAX} characters"
        raise _InvalidRequest(None, expected, request_id)
    readable_id = None if request_id is _NOTIFICATION else request_id
    if call.get("jsonrpc") != "2.0":
        raise _InvalidRequest(readable_id, 'jsonrpc: "2.0"', call.get("jsonrpc"))
    name = call.get("method")
    if type(name) is not str or not 0 < len(name) <= METHOD_CHARACTERS_MAX:
        expected = f"method: a string of 1 to {METHOD_CHARACTERS_MAX} characters"
        raise _InvalidRequest(readable_id, expected, name)
    if name.startswith("rpc.") and name != DISCOVER:
        raise _InvalidRequest(readable_id, f"no method that begins with rpc. but {DISCOVER}", name)
    params = call.get("params", [])
    if type(params) is not list and type(params) is not dict:
        raise _InvalidRequest(readable_id, "params: an array, an object or nothing", params)
    return request_id, name, params


def _is_id(value: object) -> bool:
    if type(value) is int:  # not bool, which is an int too
        return -ID_MAX <= value <= ID_MAX
    if type(value) is str:
        return len(value) <= ID_CHARACTERS_MAX and is_text(value)
    return value is None


def _failure(request_id: object, error: RpcError) -> bytes:
    return _encode({"jsonrpc": "2.0", "id": request_id, "error": error.as_json()})


def _as_rpc_error(error: Exception, name: str) -> RpcError:
    """Return what the caller may know of an exception; what nobody foresaw is logged."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, Refusal):
        return refused(error)
    if isinstance(error, StorageFailed | StorageError):
        _log.error("method=%s: %s", shorten(name), error)
        # The disk's own words have paths in them; the log has them.
        return RpcError("STORAGE_FAILED", "a node whose disk takes writes")
    _log.error("method=%s failed", shorten(name), exc_info=error)
    return RpcError("INTERNAL")


def _abandon(answer: Awaitable[Any]) -> None:
    if isinstance(answer, CoroutineType):
        answer.close()
    elif isinstance(answer, asyncio.Future):
        answer.cancel()

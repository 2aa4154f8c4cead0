"""JSON-RPC 2.0 to a node over one kept-alive HTTP connection (protocol section 8)."""

from __future__ import annotations

import json
import select
import socket
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .failure import EXIT_REFUSED, EXIT_UNAVAILABLE, BadArgument, Failure, Unavailable
from .units import amounts_as_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS: Final = 60
"""Above the 30 seconds within which a node answers `wait: committed`."""
ANSWER_BYTES_MAX: Final = 64 * 1024 * 1024
_HEADERS: Final[Mapping[str, str]] = MappingProxyType({"Content-Type": "application/json"})
_UNAVAILABLE: Final = frozenset({"STORAGE_FAILED", "NOT_READY", "INTERNAL"})


class RpcFailure(Failure):
    """The node answered with an error; `data` has all its members, such as hash."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        """Take the `error` member of an answer."""
        data = error.get("data")
        self.data: Mapping[str, Any] = data if isinstance(data, dict) else {}
        self.code = int(error["code"])
        reason = str(self.data.get("reason") or "UNKNOWN")
        super().__init__(
            amounts_as_tokens(str(error["message"]), reason),
            reason=reason,
            expected=self.data.get("expected"),
            given=self.data.get("given"),
        )
        self.exit_status = EXIT_UNAVAILABLE if reason in _UNAVAILABLE else EXIT_REFUSED

    def as_json(self) -> dict[str, Any]:
        """Return what the node said, its code too."""
        return {**self.data, **super().as_json(), "code": self.code}


class RpcClient:
    """One connection to one node; made anew when the node has closed it meanwhile."""

    def __init__(self, url: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Take an http or https URL; connects at the first call. Raises BadArgument."""
        self.url = url
        self._path, self._connection = _connection(url, timeout_seconds)
        self._calls = 0

    def call(self, method: str, *positional: Any, **named: Any) -> Any:
        """Return the result of a method, its parameters given by position or by name.

        Raises RpcFailure for an answer with an error, Unavailable when there is no JSON-RPC answer.
        """
        self._calls += 1
        request = {"jsonrpc": "2.0", "id": self._calls, "method": method, "params": named or [*positional]}
        answer = self._exchange(json.dumps(request).encode())
        if "error" in answer:
            raise RpcFailure(answer["error"])
        return answer["result"]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _exchange(self, body: bytes) -> dict[str, Any]:
        """Send one request; never again after a failure, because it may have been carried out."""
        try:
            if _is_stale(self._connection.sock):
                self._connection.close()
            self._connection.request("POST", self._path, body, dict(_HEADERS))
            response = self._connection.getresponse()
            text = response.read(ANSWER_BYTES_MAX)
        except ConnectionRefusedError as error:
            self._connection.close()
            raise Unavailable(
                f"nothing listens at {self.url}: start a node, for example with 'poolchain devnet', "
                "or name another one with --rpc URL or POOLCHAIN_RPC.",
                reason="UNREACHABLE",
            ) from error
        except (OSError, HTTPException) as error:
            self._connection.close()
            what = "no answer in time" if isinstance(error, TimeoutError) else (str(error) or type(error).__name__)
            raise Unavailable(f"the node at {self.url} cannot be reached: {what}.", reason="UNREACHABLE") from error
        return self._parse(response, text)

    def _parse(self, response: HTTPResponse, text: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(text)
        except (ValueError, RecursionError):
            answer = None
        if response.status == 200 and isinstance(answer, dict) and {"result", "error"} & answer.keys():
            return answer
        self._connection.close()
        said = text[:200].decode("utf-8", "replace").strip().split("\n")[0]
        raise Unavailable(
            f"{self.url} answered with HTTP status {response.status} and no JSON-RPC: is it a Poolchain node?"
            + (f" It said: {said}" if said and answer is None else ""),
            reason="UNREACHABLE",
        )


def _connection(url: str, timeout_seconds: float) -> tuple[str, HTTPConnection]:
    bad = BadArgument(f"--rpc takes an address such as http://127.0.0.1:8545, given {url}.", reason="USAGE", given=url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise bad from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise bad
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return parts.path or "/", kind(parts.hostname, port, timeout=timeout_seconds)


def _is_stale(sock: socket.socket | None) -> bool:
    """Tell whether an idle connection has been closed by the node: then there is something to read, its end."""
    return sock is not None and bool(select.select([sock], [], [], 0)[0])

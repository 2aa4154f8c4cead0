"""One bounded HTTP exchange with a stranger."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from crypto.nesting import nests_deeper

_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
_WORDS_MAX: Final = 200
_NESTING_MAX: Final = 32
_CONNECTIONS_PER_PEER: Final = 16


class NoAnswer(Exception):
    """Nothing came back, or not the whole answer, or far too much; the argument says what."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; `body` in bytes."""

    status: int
    body: bytes
    retry_after: float
    """Seconds, 0 where the answer asks for no pause."""

    @property
    def json(self) -> dict[str, Any]:
        """The object in the body, empty when there is none."""
        try:
            found = {} if nests_deeper(self.body, _NESTING_MAX) else json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def reason(self) -> str:
        """The reason of a refusal, shortened: a stranger's words."""
        return ascii(self.json.get("reason") or "no reason")[1:-1][:_WORDS_MAX]


def open_session() -> aiohttp.ClientSession:
    """Return a session for strangers: no cookies, no proxy of the environment, no unpacking of compressed answers."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=_CONNECTIONS_PER_PEER),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        read_bufsize=1 << 18,
    )


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    limit: int,
    body: bytes | None = None,
    headers: Mapping[str, str] = _NO_HEADERS,
    on_part: Callable[[], None] = lambda: None,
) -> Answer:
    """Return the answer to one request, of at most `limit` bytes; raises NoAnswer. Redirections are not followed.

    `on_part` is called whenever something of the body has come.
    """
    sent = {"Content-Type": "application/json", **headers} if body is not None else headers
    try:
        async with session.request(method, url, data=body, headers=sent, allow_redirects=False) as response:
            return Answer(response.status, await _read(response, limit, on_part), _retry_after(response))
    except aiohttp.InvalidURL as error:
        raise NoAnswer(f"{url[:_WORDS_MAX]} is no address") from error
    except aiohttp.ClientSSLError as error:
        raise NoAnswer(f"{_place(url)} cannot be trusted: {str(error)[:_WORDS_MAX]}") from error
    except aiohttp.ClientConnectorError as error:
        raise NoAnswer(f"nothing answers at {_place(url)}") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise NoAnswer(f"{_place(url)} broke off: {str(error)[:_WORDS_MAX] or 'no whole answer'}") from error


async def get_json(session: aiohttp.ClientSession, url: str, limit: int) -> dict[str, Any]:
    """Return the object at a url; raises NoAnswer for everything else."""
    answer = await ask(session, "GET", url, limit=limit)
    if answer.status != 200:
        raise NoAnswer(f"status {answer.status}: {answer.reason}")
    return answer.json


def _place(url: str) -> str:
    """Return host and port, or all of a text that has none: whoever answers a request is called by it."""
    try:
        return urlsplit(url).netloc or url[:_WORDS_MAX]
    except ValueError:
        return url[:_WORDS_MAX]


async def _read(response: aiohttp.ClientResponse, limit: int, on_part: Callable[[], None]) -> bytes:
    if (response.content_length or 0) > limit:
        raise NoAnswer(f"an answer of more than {limit} bytes")
    found = bytearray()
    async for part in response.content.iter_any():
        on_part()
        found += part
        if len(found) > limit:
            raise NoAnswer(f"an answer of more than {limit} bytes")
    return bytes(found)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0

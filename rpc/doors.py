"""Who may knock: the Host and Origin checks that keep web pages away from a local node.

A page of any site can make a browser send requests to 127.0.0.1, under the page's own name (DNS
rebinding) or as cross-origin requests. The Host list stops the first, the Origin list the second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

Headers = list[tuple[bytes, bytes]]

# Wallet extensions send their own origin with every request, which no web page can take on.
WALLET_ORIGINS: Final = ("chrome-extension://*", "moz-extension://*", "safari-web-extension://*")
ALWAYS_ALLOWED_HOSTS: Final = ("127.0.0.1", "localhost", "[::1]")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_WILDCARD: Final = re.compile(r"[a-z0-9-]{1,64}")
_INTERESTING: Final = frozenset(
    (b"host", b"origin", b"content-type", b"content-length", b"access-control-request-method")
)


class Facts(NamedTuple):
    """The headers that the edge looks at; None where absent."""

    host: bytes | None
    origin: bytes | None
    content_type: bytes | None
    content_length: bytes | None
    preflight: bytes | None


class Problem(NamedTuple):
    """An HTTP status of 400 or more, with a sentence for whoever sees it."""

    status: int
    text: str


def read_facts(headers: Headers) -> Facts:
    """Collect, in one pass, what the edge wants to know of a request's headers."""
    # A second Host or Content-Length never gets here: the server answers it with 400.
    found = {name: value for name, value in headers if name in _INTERESTING}
    return Facts(
        found.get(b"host"),
        found.get(b"origin"),
        found.get(b"content-type"),
        found.get(b"content-length"),
        found.get(b"access-control-request-method"),
    )


@dataclass(frozen=True, slots=True)
class Doors:
    """The two allow lists.

    `hosts` are names or addresses without a port, besides 127.0.0.1, localhost and [::1].
    `origins` are origins as browsers send them ("https://wallet.example"); the last label may be
    a star ("http://localhost:*", "chrome-extension://*"), and "*" alone lets every page in; without
    a list of one's own only the extensions of wallets come in.
    A page that the node serves itself has the origin of its Host and is always allowed.
    """

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = WALLET_ORIGINS
    _names: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Bring the names into the form in which they are compared."""
        configured = (f"[{h}]" if ":" in h and h[0] != "[" else h for h in self.hosts)
        names = frozenset(name.lower() for name in (*ALWAYS_ALLOWED_HOSTS, *configured))
        object.__setattr__(self, "_names", names)

    def problem(self, facts: Facts, http_version: str) -> Problem | None:
        """Return why this request may not come in, or None."""
        if facts.host is None:
            if http_version == "1.1":
                return Problem(400, "A request needs a Host header.")
        elif not self._is_allowed_host(facts.host):
            return Problem(403, "This Host is not among the node's allowed hosts.")
        if facts.origin is not None and not self._is_allowed_origin(facts):
            return Problem(403, "This Origin is not among the node's allowed origins.")
        return None

    def _is_allowed_host(self, host: bytes) -> bool:
        match = _HOST.fullmatch(host.decode("latin-1").lower())
        return match is not None and match[1] in self._names

    def _is_allowed_origin(self, facts: Facts) -> bool:
        return self._is_same_origin(facts) or self.is_listed(facts.origin or b"")

    @staticmethod
    def _is_same_origin(facts: Facts) -> bool:
        return facts.host is not None and facts.origin in (
            b"http://" + facts.host,
            b"https://" + facts.host,
        )

    def is_listed(self, origin: bytes) -> bool:
        """Tell whether pages of this origin may read answers (get CORS headers)."""
        text = origin.decode("latin-1")
        return any(_matches(entry, text) for entry in self.origins)


def _matches(entry: str, origin: str) -> bool:
    if entry.endswith((":*", "/*")):
        start = entry[:-1]
        rest = origin.removeprefix(start)
        return origin.startswith(start) and _WILDCARD.fullmatch(rest) is not None
    return entry in ("*", origin)

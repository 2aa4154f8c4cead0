"""Which Host and which Origin may come in."""

from __future__ import annotations

import pytest

from rpc.doors import Doors, Facts, read_facts

DOORS = Doors(
    hosts=("node.example", "10.0.0.5", "fd00::1"),
    origins=(
        "https://wallet.example",
        "http://localhost:*",
        "chrome-extension://*",
    ),
)


def status(host: bytes | None, origin: bytes | None = None, version: str = "1.1") -> int | None:
    problem = DOORS.problem(Facts(host, origin, None, None, None), version)
    return None if problem is None else problem.status


@pytest.mark.parametrize(
    "host",
    [
        b"127.0.0.1",
        b"127.0.0.1:8545",
        b"localhost",
        b"LOCALHOST:1",
        b"[::1]",
        b"[::1]:8545",
        b"node.example:443",
        b"Node.Example",
        b"10.0.0.5:8545",
        b"[fd00::1]:8545",
    ],
)
def test_listed_host_comes_in(host: bytes) -> None:
    assert status(host) is None


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b"evil.example",
        b"evil.example:8545",
        b"127.0.0.1.evil.example",
        b"evil.example#127.0.0.1",
        b"127.0.0.1:8545@evil.example",
        b"localhost.",
        b"localhost:",
        b"localhost:123456",
        b"localhost:8545:1",
        b"localhost:80a",
        b" localhost",
        b"localhost ",
        b"0.0.0.0",
        b"127.0.0.2",
        b"::1",
        b"[::1",
        b"[::]",
        b"\xe9.example",
        "\u0661\u0662\u0667.0.0.1".encode(),
        b"127.0.0.1, evil.example",
    ],
)
def test_foreign_host_stays_out(host: bytes) -> None:
    assert status(host) == 403


def test_absent_host_is_wrong_in_http_1_1_only() -> None:
    assert status(None) == 400
    assert status(None, version="1.0") is None


@pytest.mark.parametrize(
    "origin",
    [
        b"https://wallet.example",
        b"http://localhost:5173",
        b"chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn",
        b"http://127.0.0.1:8545",  # the node's own pages
        b"https://127.0.0.1:8545",
    ],
)
def test_listed_origin_comes_in(origin: bytes) -> None:
    assert status(b"127.0.0.1:8545", origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        b"",
        b"null",
        b"https://evil.example",
        b"http://wallet.example",
        b"https://wallet.example:444",
        b"https://wallet.example.evil.example",
        b"https://sub.wallet.example",
        b"http://localhost",
        b"http://localhost:",
        b"http://localhost:80.evil.example",
        b"http://localhost:80/evil",
        b"http://localhost.evil.example",
        b"http://127.0.0.1:9999",
        b"chrome-extension://a.evil.example",
        b"chrome-extension://",
        b"moz-extension://a",
        b"*",
        b"http://localhost:*",
    ],
)
def test_unlisted_origin_stays_out(origin: bytes) -> None:
    assert status(b"127.0.0.1:8545", origin) == 403


def test_without_a_list_only_wallets_come_in() -> None:
    for origin in (b"http://localhost:1", b"null", b"https://chrome-extension", b"chrome-extension://a.b"):
        problem = Doors().problem(Facts(b"localhost", origin, None, None, None), "1.1")
        assert problem is not None
        assert problem.status == 403
    for origin in (b"chrome-extension://nkbihfbeogaeaoehlefnkodbefgpgknn", b"moz-extension://a-b-c"):
        assert Doors().problem(Facts(b"localhost", origin, None, None, None), "1.1") is None


def test_star_lets_every_page_in_and_no_foreign_host() -> None:
    doors = Doors(origins=("*",))
    origin = b"https://any.example"
    assert doors.problem(Facts(b"localhost", origin, None, None, None), "1.1") is None
    assert doors.problem(Facts(b"any.example", origin, None, None, None), "1.1") is not None


def test_facts_are_the_headers() -> None:
    headers = [
        (b"accept", b"*/*"),
        (b"host", b"h"),
        (b"origin", b"o"),
        (b"content-type", b"t"),
        (b"content-length", b"1"),
    ]
    assert read_facts(headers) == Facts(b"h", b"o", b"t", b"1", None)
    assert read_facts([]) == Facts(None, None, None, None, None)

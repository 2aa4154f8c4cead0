"""What a publisher's server answers, request by request."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from crypto.address import checksum_address
from peers import origin_app
from peers.chunk_store import OriginFiles, cut_path
from peers.manifest_reader import read_manifest
from peers.origin_app import OriginApp

from .books import SELLER

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = bytes(range(250)) * 10
CHUNK_BYTES = 1000


class Shop:
    """One published file, asked without a network."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "film.bin"
        self.file.write_bytes(CONTENT)
        self.manifest = cut_path(self.file, chunk_bytes=CHUNK_BYTES, price_per_chunk=7)
        self.id = f"0x{self.manifest.resource_id.hex()}"
        self.app = OriginApp([OriginFiles(self.file, self.manifest)])

    def ask(self, method: str, path: str, *parts: bytes) -> tuple[int, bytes]:
        """Status and body; `parts` are the pieces in which a request's body comes."""
        incoming = [
            {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
            for number, part in enumerate(parts or (b"",))
        ]
        incoming.append({"type": "http.disconnect"})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app({"type": "http", "method": method, "path": path}, receive, send))
        start, *pieces = sent
        assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        body = b"".join(piece["body"] for piece in pieces)
        lengths = [value for name, value in start["headers"] if name == b"content-length"]
        assert lengths == ([] if start["status"] == 204 else [str(len(body)).encode()])
        self.pieces = len(pieces)
        return start["status"], body

    def refused(self, method: str, path: str, *parts: bytes) -> tuple[int, str]:
        """Status and reason of a refusal, whose members are those of the protocol."""
        status, body = self.ask(method, path, *parts)
        document = json.loads(body)
        assert document.keys() == {"reason", "expected", "given"}
        return status, document["reason"]

    def announcement(self, **changes: Any) -> bytes:
        """The body of an announcement."""
        target = checksum_address(SELLER.address)
        found = {"resourceId": self.id, "url": "http://127.0.0.1:8800", "target": target, "pricePerChunk": "0x7"}
        return json.dumps({**found, **changes}).encode()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_all_resources_are_listed(shop: Shop) -> None:
    status, body = shop.ask("GET", "/resources")
    row = {"resourceId": shop.id, "name": "film.bin", "size": len(CONTENT), "chunkCount": 3}
    assert (status, json.loads(body)) == (200, {"resources": [row]})


def test_the_manifest_is_the_one_that_was_published(shop: Shop) -> None:
    status, body = shop.ask("GET", f"/manifest/{shop.id}")
    assert (status, read_manifest(body, None)) == (200, shop.manifest)


def test_every_chunk_is_given_for_nothing(shop: Shop) -> None:
    found = [shop.ask("GET", f"/chunk/{shop.id}/{index}") for index in range(3)]
    assert [status for status, _ in found] == [200] * 3
    assert b"".join(body for _, body in found) == CONTENT


@pytest.mark.parametrize(("piece", "count"), [(1000, 1), (999, 2), (300, 4)])
def test_a_large_chunk_goes_out_in_pieces(shop: Shop, monkeypatch: pytest.MonkeyPatch, piece: int, count: int) -> None:
    monkeypatch.setattr(origin_app, "_PIECE_BYTES", piece)
    assert shop.ask("GET", f"/chunk/{shop.id}/1") == (200, CONTENT[1000:2000])
    assert shop.pieces == count


@pytest.mark.parametrize("index", ["3", "-1", "1.0", "", "x", "٣", "1" * 11, "0x1"])
def test_a_chunk_that_is_not_there_is_refused(shop: Shop, index: str) -> None:
    assert shop.refused("GET", f"/chunk/{shop.id}/{index}") == (404, "UNKNOWN_CHUNK")


def test_a_file_that_was_changed_is_not_given_out(shop: Shop) -> None:
    shop.file.write_bytes(CONTENT[:1500] + b"?" + CONTENT[1501:])
    assert shop.ask("GET", f"/chunk/{shop.id}/0")[0] == 200
    assert shop.refused("GET", f"/chunk/{shop.id}/1") == (404, "UNKNOWN_CHUNK")


@pytest.mark.parametrize("what", ["manifest/{}", "chunk/{}/0", "peers/{}"])
@pytest.mark.parametrize("name", [f"0x{bytes(32).hex()}", "0x12", "", "film.bin"])
def test_another_resource_is_unknown(shop: Shop, what: str, name: str) -> None:
    assert shop.refused("GET", "/" + what.format(name)) == (404, "UNKNOWN_RESOURCE")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/"), ("GET", "/other"), ("POST", "/resources"), ("PUT", "/announce")]
)
def test_other_paths_and_methods_are_not_found(shop: Shop, method: str, path: str) -> None:
    assert shop.refused(method, path) == (404, "NOT_FOUND")


def test_who_announces_itself_is_listed(shop: Shop) -> None:
    body = shop.announcement()
    assert shop.ask("GET", f"/peers/{shop.id}") == (200, b'{"peers": []}')
    assert shop.ask("POST", "/announce", body[:10], body[10:]) == (204, b"")
    status, found = shop.ask("GET", f"/peers/{shop.id}")
    announced = json.loads(body)
    del announced["resourceId"]
    assert (status, json.loads(found)) == (200, {"peers": [announced]})


def test_what_is_no_announcement_is_refused_and_not_listed(shop: Shop) -> None:
    for body in (b"", b"{", b"[]", b"[" * 2000, shop.announcement(pricePerChunk=7), shop.announcement(more=1)):
        assert shop.refused("POST", "/announce", body) == (400, "BAD_REQUEST")
    unknown = shop.announcement(resourceId=f"0x{bytes(32).hex()}")
    assert shop.refused("POST", "/announce", unknown) == (404, "UNKNOWN_RESOURCE")
    assert shop.refused("POST", "/announce", b" " * 4096, b" ") == (413, "TOO_LARGE")
    assert shop.ask("GET", f"/peers/{shop.id}") == (200, b'{"peers": []}')


def test_a_crowd_is_bounded(shop: Shop) -> None:
    found = [
        shop.ask("POST", "/announce", shop.announcement(url=f"http://127.0.0.1:{port}"))[0] for port in range(1, 260)
    ]
    assert found == [204] * 256 + [503] * 3


def test_a_request_that_was_broken_off_is_not_answered(shop: Shop) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(shop.app({"type": "http", "method": "POST", "path": "/announce"}, receive, send))
    assert sent == []


def test_a_newer_state_takes_the_place_of_the_older_one(shop: Shop) -> None:
    dearer = cut_path(shop.file, chunk_bytes=CHUNK_BYTES, price_per_chunk=9)
    shop.app.publish(OriginFiles(shop.file, dearer))
    assert read_manifest(shop.ask("GET", f"/manifest/{shop.id}")[1], None) == dearer
    assert len(json.loads(shop.ask("GET", "/resources")[1])["resources"]) == 1

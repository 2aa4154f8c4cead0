"""An origin as viewers and cachers ask it: everything that comes back is checked before it is believed."""

from __future__ import annotations

import asyncio
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from crypto.address import checksum_address
from peers.manifest import BadManifest, make_fixed
from peers.origin_client import OriginClient
from peers.seller import Offer
from peers.transfer import NoAnswer, open_session

from .books import SELLER, STRANGER
from .manifests import DOMAIN, live, single
from .serving import run, serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CONTENT = b"0123456789abcdefghijklmno"
MANIFEST = single(CONTENT)
NAME = f"0x{MANIFEST.resource_id.hex()}"


def origin(paths: dict[str, Any], status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """An origin that has these things; bytes are sent as they are, the rest as JSON."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path not in paths:
            return web.json_response({"reason": "UNKNOWN_RESOURCE"}, status=404)
        found = paths[request.path]
        if found is None:
            await asyncio.sleep(3600)
        return web.Response(body=found if isinstance(found, bytes) else json.dumps(found).encode(), status=status)

    return handle


def ask(paths: dict[str, Any], work: Callable[[OriginClient], Awaitable[Any]], status: int = 200) -> Any:
    found: list[Any] = []

    async def asking() -> None:
        async with serving(origin(paths, status)) as url, open_session() as session:
            found.append(await work(OriginClient(session, f"{url}/", 0.3)))

    run(asking())
    return found[0]


# Manifests


def test_a_manifest_is_the_one_of_the_id_that_was_asked_for() -> None:
    path = f"/manifest/{NAME}"
    found = ask({path: MANIFEST.to_json()}, lambda client: client.manifest(MANIFEST.resource_id, None))
    assert found == MANIFEST
    other = single(b"other").to_json()
    with pytest.raises(BadManifest, match="of another resource"):
        ask({path: other}, lambda client: client.manifest(MANIFEST.resource_id, None))
    with pytest.raises(BadManifest, match="not JSON"):
        ask({path: b"<html>"}, lambda client: client.manifest(MANIFEST.resource_id, None))


def test_a_live_manifest_is_checked_against_the_chain() -> None:
    made = live()
    paths = {f"/manifest/0x{made.resource_id.hex()}": made.to_json()}
    assert ask(paths, lambda client: client.manifest(made.resource_id, DOMAIN)) == made
    with pytest.raises(BadManifest, match="against a chain"):
        ask(paths, lambda client: client.manifest(made.resource_id, None))


def test_an_origin_that_does_not_have_it_says_so() -> None:
    with pytest.raises(NoAnswer, match="status 404, UNKNOWN_RESOURCE"):
        ask({}, lambda client: client.manifest(MANIFEST.resource_id, None))
    with pytest.raises(NoAnswer, match="status 404, UNKNOWN_RESOURCE"):
        ask({}, lambda client: client.chunk(MANIFEST, 0))


# Chunks


def chunk_of(data: Any, index: int = 1, status: int = 200) -> Any:
    return ask({f"/chunk/{NAME}/{index}": data}, lambda client: client.chunk(MANIFEST, index), status)


def test_a_chunk_verifies() -> None:
    assert chunk_of(b"abcdefghij") == b"abcdefghij"
    assert chunk_of(b"klmno", 2) == b"klmno"


@pytest.mark.parametrize("data", [b"", b"abcdefghi", b"0123456789", b"abcdefghij!", b"x" * 5000])
def test_other_bytes_are_no_answer(data: bytes) -> None:
    with pytest.raises(NoAnswer, match=r"chunk 1|more than 4096 bytes"):
        chunk_of(data)


def test_a_manifest_that_is_wrong_about_a_length_gets_no_chunk() -> None:
    """The id commits to the chunks, not to chunkBytes: the origin gave what it was asked for."""
    cut = make_fixed([("a", io.BytesIO(CONTENT))], chunk_bytes=10, price_per_chunk=1, single=True)
    wrong = single(CONTENT, 11)
    lying = type(cut)(cut.resource_id, 11, cut.chunks, wrong.files, 1)
    with pytest.raises(NoAnswer, match="the manifest says 11"):
        ask({f"/chunk/{NAME}/0": b"0123456789"}, lambda client: client.chunk(lying, 0))


def test_a_silent_origin_is_not_waited_for() -> None:
    with pytest.raises(NoAnswer, match=r"no answer within 0\.3 seconds"):
        chunk_of(None)
    with pytest.raises(NoAnswer, match="gave no answer in time"):
        ask({f"/peers/{NAME}": None}, lambda client: client.offers(MANIFEST.resource_id))


# Who sells


def entry(**changes: Any) -> dict[str, Any]:
    address = checksum_address(SELLER.address)
    return {"url": "http://127.0.0.1:8800", "target": address, "pricePerChunk": "0x7", **changes}


def offers(peers: Any) -> list[Offer]:
    found: list[Offer] = ask({f"/peers/{NAME}": peers}, lambda client: client.offers(MANIFEST.resource_id))
    return found


def test_what_the_tracker_says_is_read_entry_by_entry() -> None:
    stranger = entry(url="http://127.0.0.1:8801/", target=checksum_address(STRANGER.address), more=1)
    assert offers({"peers": [entry(), stranger]}) == [
        Offer("http://127.0.0.1:8800", SELLER.address, 7),
        Offer("http://127.0.0.1:8801", STRANGER.address, 7),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        {},
        entry(url=7),
        entry(url="http://127.0.0.1\x1b[2J:8800"),
        entry(url="file:///etc/passwd"),
        entry(url="http://127.0.0.1:8800/path?query"),
        entry(target="0x12"),
        entry(target=None),
        entry(pricePerChunk=7),
        entry(pricePerChunk="-0x7"),
    ],
)
def test_an_entry_that_is_none_hides_no_other(bad: Any) -> None:
    assert offers({"peers": [bad, entry()]}) == [Offer("http://127.0.0.1:8800", SELLER.address, 7)]


@pytest.mark.parametrize("peers", [{}, {"peers": None}, {"peers": {}}, []])
def test_a_list_that_is_none_is_empty(peers: Any) -> None:
    assert offers(peers) == []


def test_so_many_entries_are_read_and_no_more() -> None:
    crowd = [entry(url=f"http://127.0.0.1:{port}") for port in range(1, 400)]
    assert len(offers({"peers": crowd})) == 256

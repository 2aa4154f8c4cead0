"""What a cacher has to sell: a real origin over HTTP, real stores on disk, and each way in which either can fail."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from peers import shelf as module
from peers.chunk_store import ChunkStore
from peers.manifest import BadManifest, Manifest
from peers.refused import Refused
from peers.shelf import Shelf
from peers.transfer import NoAnswer, open_session

from .manifests import DOMAIN, live, single
from .serving import run, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CONTENT = b"0123456789abcdefghijklmno"
MANIFEST = single(CONTENT)
ID = MANIFEST.resource_id


class Origin:
    """A publisher that counts what it is asked, and may be broken."""

    def __init__(self, *manifests: Manifest) -> None:
        self.manifests = {f"0x{manifest.resource_id.hex()}": manifest for manifest in manifests}
        self.asked: list[str] = []
        self.announced: list[dict[str, Any]] = []
        self.status = 200
        self.garbage = False
        self.listing: Any = None
        self.gate: asyncio.Event | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if self.gate is not None:
            await self.gate.wait()
        if self.status != 200:
            return web.json_response({"reason": "BROKEN"}, status=self.status)
        _, kind, *rest = request.path.split("/")
        if kind == "announce":
            self.announced.append(json.loads(await request.read()))
            return web.Response(status=204)
        if kind == "resources":
            rows = [{"resourceId": name} for name in self.manifests]
            return web.json_response({"resources": rows} if self.listing is None else self.listing)
        if rest[0] not in self.manifests:
            return web.json_response({"reason": "UNKNOWN_RESOURCE"}, status=404)
        if kind == "manifest":
            return web.json_response(self.manifests[rest[0]].to_json())
        index = int(rest[1])
        return web.Response(body=b"garbage" if self.garbage else CONTENT[index * 10 : index * 10 + 10])


@asynccontextmanager
async def shelves(folder: Path, origin: Origin | None) -> AsyncIterator[Shelf]:
    async with open_session() as session:
        if origin is None:
            shelf = Shelf(folder, session, None, DOMAIN)
            yield shelf
            shelf.close()
            return
        async with serving(origin.handle) as url:
            shelf = Shelf(folder, session, url, DOMAIN)
            yield shelf
            shelf.close()


def test_a_resource_comes_from_the_origin_and_after_a_restart_from_the_disk(tmp_path: Path) -> None:
    async def work() -> None:
        origin = Origin(MANIFEST)
        async with shelves(tmp_path, origin) as shelf:
            assert await shelf.listed() == [ID]
            assert await shelf.add(ID) == MANIFEST
            assert (shelf.find(ID), shelf.resources, shelf.stored()) == (MANIFEST, [MANIFEST], [ID])
            assert await shelf.chunk(ID, 1) == CONTENT[10:20]
        async with shelves(tmp_path, None) as shelf:
            assert shelf.stored() == [ID]
            assert shelf.find(ID) is None, "it is sold when it was added"
            await shelf.add(ID)
            assert await shelf.chunk(ID, 1) == CONTENT[10:20]
            with pytest.raises(Refused) as caught:
                await shelf.chunk(ID, 0)
            assert (caught.value.reason, "no origin is named" in caught.value.given) == ("CHUNK_UNAVAILABLE", True)

    run(work())


def test_what_is_neither_here_nor_there_cannot_be_sold(tmp_path: Path) -> None:
    async def work() -> None:
        async with shelves(tmp_path, None) as shelf:
            with pytest.raises(NoAnswer, match="no origin is named"):
                await shelf.add(ID)
            assert await shelf.listed() == []
        async with shelves(tmp_path, Origin()) as shelf:
            with pytest.raises(NoAnswer, match="status 404"):
                await shelf.add(ID)

    run(work())
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_holds_another_resource_is_not_sold_as_this_one(tmp_path: Path) -> None:
    with ChunkStore(tmp_path / ID.hex(), single(b"another")):
        pass

    async def work() -> None:
        async with shelves(tmp_path, Origin(MANIFEST)) as shelf:
            with pytest.raises(BadManifest, match="holds another resource"):
                await shelf.add(ID)

    run(work())


@pytest.mark.parametrize(
    "listing", [{}, {"resources": None}, {"resources": [7, {"resourceId": 7}, {"resourceId": "0x12"}]}]
)
def test_a_list_of_nothing_is_nothing(tmp_path: Path, listing: Any) -> None:
    async def work() -> None:
        origin = Origin(MANIFEST)
        origin.listing = listing
        async with shelves(tmp_path, origin) as shelf:
            assert await shelf.listed() == []
            origin.listing = {"resources": [{"resourceId": "0x" + "zz" * 32}]}
            with pytest.raises(NoAnswer, match="is not one"):
                await shelf.listed()

    run(work())


# Chunks


def test_a_chunk_is_fetched_once_however_many_ask_for_it(tmp_path: Path) -> None:
    async def work() -> None:
        origin = Origin(MANIFEST)
        async with shelves(tmp_path, origin) as shelf:
            await shelf.add(ID)
            assert not shelf.has(ID, 0)
            origin.asked.clear()
            origin.gate = asyncio.Event()
            asking = [asyncio.create_task(shelf.chunk(ID, 0)) for _ in range(20)]
            gone = asyncio.create_task(shelf.chunk(ID, 0))
            await asyncio.sleep(0.02)
            gone.cancel()  # whoever goes away takes nothing from the others
            origin.gate.set()
            assert set(await asyncio.gather(*asking)) == {CONTENT[:10]}
            assert origin.asked == [f"/chunk/0x{ID.hex()}/0"]
            assert shelf.has(ID, 0)
            assert await shelf.chunk(ID, 0) == CONTENT[:10]
            assert len(origin.asked) == 1

    run(work())


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_chunk_that_the_disk_has_no_room_for_is_sold_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        origin = Origin(MANIFEST)
        async with shelves(tmp_path, origin) as shelf:
            await shelf.add(ID)
            monkeypatch.setattr(ChunkStore, "put", full)
            for _ in range(2):
                assert await shelf.chunk(ID, 0) == CONTENT[:10]
            assert origin.asked.count(f"/chunk/0x{ID.hex()}/0") == 2

    run(work())


def test_what_does_not_verify_is_not_put_on_the_shelf(tmp_path: Path) -> None:
    async def work() -> None:
        origin = Origin(MANIFEST)
        async with shelves(tmp_path, origin) as shelf:
            await shelf.add(ID)
            origin.garbage = True
            with pytest.raises(Refused) as caught:
                await shelf.chunk(ID, 0)
            assert (caught.value.reason, caught.value.status) == ("CHUNK_UNAVAILABLE", 503)
            assert not shelf.has(ID, 0)
            assert shelf.origin_away is not None
            assert "are not chunk 0" in shelf.origin_away
            origin.garbage = False
            assert await shelf.chunk(ID, 0) == CONTENT[:10], "the next who asks makes it try again"
            assert shelf.origin_away is None

    run(work())


def test_a_chunk_that_the_disk_has_damaged_is_fetched_again(tmp_path: Path) -> None:
    async def work() -> None:
        origin = Origin(MANIFEST)
        async with shelves(tmp_path, origin) as shelf:
            await shelf.add(ID)
            await shelf.chunk(ID, 0)
        (data,) = [path for path in (tmp_path / ID.hex()).iterdir() if path.read_bytes().startswith(CONTENT[:10])]
        data.write_bytes(b"X" + data.read_bytes()[1:])
        async with shelves(tmp_path, origin) as shelf:
            await shelf.add(ID)
            assert await shelf.chunk(ID, 0) == CONTENT[:10]

    run(work())


# Manifests


def test_the_manifest_is_served_as_it_is(tmp_path: Path) -> None:
    async def work() -> None:
        async with shelves(tmp_path, Origin(MANIFEST)) as shelf:
            with pytest.raises(Refused) as caught:
                shelf.manifest_json(ID)
            assert caught.value.reason == "UNKNOWN_RESOURCE"
            await shelf.add(ID)
            assert json.loads(shelf.manifest_json(ID)) == MANIFEST.to_json()

    run(work())


def test_a_live_resource_is_followed_and_only_forwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIVE_SECONDS", 0.001)
    older, newer, stranger = live(2, CONTENT[:8]), live(3, CONTENT[:12]), live(4, b"another beginning")
    name = f"0x{older.resource_id.hex()}"

    async def work() -> None:
        origin = Origin(older)
        async with shelves(tmp_path, origin) as shelf:
            await shelf.add(older.resource_id)
            assert json.loads(shelf.manifest_json(older.resource_id))["sequence"] == 2

            async def look() -> Manifest | None:
                """What is sold after the origin was asked; it is not asked again before that was looked at."""
                following = asyncio.create_task(shelf.follow_live())
                asked = len(origin.asked)
                while len(origin.asked) < asked + 2:  # noqa: ASYNC110  # another task's
                    await asyncio.sleep(0.001)
                following.cancel()
                return shelf.find(older.resource_id)

            for offered, expected in ((stranger, older), (newer, newer), (older, newer), (live(9, CONTENT[:8]), newer)):
                origin.manifests[name] = offered
                assert await look() == expected
            assert json.loads(shelf.manifest_json(older.resource_id))["sequence"] == 3
            origin.status = 500
            assert await look() == newer
            assert shelf.origin_away is not None
            origin.status, newest = 200, live(10, CONTENT[:16])
            monkeypatch.setattr(ChunkStore, "_write_manifest", full)
            origin.manifests[name] = newest
            assert await look() == newest, "a full disk does not end it"
            assert not shelf.has(older.resource_id, newest.chunk_count - 1)

    run(work())


# The tracker


def away(shelf: Shelf) -> str | None:
    return shelf.origin_away


def test_every_resource_is_announced_and_a_tracker_that_is_away_is_noted(tmp_path: Path) -> None:
    offer = {"url": "http://127.0.0.1:8800", "target": "0x12", "pricePerChunk": "0x7"}
    other = single(b"other")

    async def work() -> None:
        origin = Origin(MANIFEST, other)
        async with shelves(tmp_path, origin) as shelf:
            for resource_id in (ID, other.resource_id):
                await shelf.add(resource_id)
            await shelf.announce_once(offer, [ID, other.resource_id])
            assert origin.announced == [
                {**offer, "resourceId": f"0x{resource_id.hex()}"} for resource_id in (ID, other.resource_id)
            ]
            assert away(shelf) is None
            origin.status = 503
            await shelf.announce_once(offer, [ID])
            assert away(shelf) == "announcement refused: 503"
            origin.status = 200
            await shelf.announce_once(offer, [ID])
            assert away(shelf) is None
        async with open_session() as session:
            lonely = Shelf(tmp_path / "lonely", session, "http://127.0.0.1:1", DOMAIN)
            await lonely.announce_once(offer, [ID])
            assert lonely.origin_away is not None, "nobody listens"
        async with shelves(tmp_path, None) as alone:
            await alone.announce_once(offer, [ID])
            assert alone.origin_away is None

    run(work())

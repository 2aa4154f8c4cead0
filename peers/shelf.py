"""What a cacher has to sell: manifests and chunks, fetched from the origin when they are first asked for.

A chunk is verified before it is put on the shelf, and fetched once however many ask for it meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import aiohttp

from crypto.eip712 import Domain

from .chunk_store import MANIFEST_FILE, ChunkMissing, ChunkStore
from .manifest import BadManifest, Manifest
from .origin_client import OriginClient
from .refused import Json, Refused
from .transfer import NoAnswer, ask

ANNOUNCE_SECONDS: Final = 20.0
"""A tracker keeps an announcement for 60 seconds."""
LIVE_SECONDS: Final = 1.0
_LIST_BYTES_MAX: Final = 4 << 20
_WORDS_BYTES_MAX: Final = 4096
_log = logging.getLogger(__name__)


class Shelf:
    """The resources of one cacher. One event loop uses it."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, origin_url: str | None, domain: Domain) -> None:
        """Keep chunks below `folder`; without an origin only what is there is sold."""
        self.origin_away: str | None = None
        """Why the origin could not be asked the last time; None when it could."""
        self._folder = folder
        self._session = session
        self._origin = None if origin_url is None else OriginClient(session, origin_url)
        self._domain = domain
        self._stores: dict[bytes, ChunkStore] = {}
        self._manifests: dict[bytes, bytes] = {}
        self._fetching: dict[tuple[bytes, int], asyncio.Task[bytes]] = {}

    @property
    def resources(self) -> list[Manifest]:
        """The manifests of what is sold."""
        return [store.manifest for store in self._stores.values()]

    def find(self, resource_id: bytes) -> Manifest | None:
        """Return the manifest of a resource that is sold here."""
        store = self._stores.get(resource_id)
        return None if store is None else store.manifest

    def manifest_json(self, resource_id: bytes) -> bytes:
        """Return a manifest as it is served; raises Refused UNKNOWN_RESOURCE."""
        manifest = self.find(resource_id)
        if manifest is None:
            raise Refused("UNKNOWN_RESOURCE", "a resource that is served here", f"0x{resource_id.hex()}")
        if resource_id not in self._manifests:
            self._manifests[resource_id] = json.dumps(manifest.to_json()).encode()
        return self._manifests[resource_id]

    async def add(self, resource_id: bytes) -> Manifest:
        """Begin to sell a resource; raises NoAnswer and BadManifest where its manifest is neither here nor there."""
        folder = self._folder / resource_id.hex()
        if (folder / MANIFEST_FILE).exists():
            store = await asyncio.to_thread(ChunkStore.open, folder, self._domain)
            if store.manifest.resource_id != resource_id:
                raise BadManifest(f"{folder} holds another resource")
        elif self._origin is None:
            raise NoAnswer("the manifest is not here, and no origin is named")
        else:
            manifest = await self._origin.manifest(resource_id, self._domain)
            store = await asyncio.to_thread(ChunkStore, folder, manifest)
        self._stores[resource_id] = store
        return store.manifest

    async def listed(self) -> list[bytes]:
        """Return the ids of all resources that the origin has; raises NoAnswer."""
        if self._origin is None:
            return []
        found = (await self._origin.json("/resources", _LIST_BYTES_MAX)).get("resources")
        names = [entry.get("resourceId") for entry in found or [] if isinstance(entry, dict)]
        with contextlib.suppress(ValueError):
            return [bytes.fromhex(name[2:]) for name in names if isinstance(name, str) and len(name) == 66]
        raise NoAnswer("the origin's list of resources is not one")

    def stored(self) -> list[bytes]:
        """Return the ids of the resources of which something is on disk."""
        found = sorted(self._folder.glob(f"*/{MANIFEST_FILE}")) if self._folder.is_dir() else []
        return [bytes.fromhex(path.parent.name) for path in found]

    def has(self, resource_id: bytes, index: int) -> bool:
        """Tell whether a chunk is here, so that nothing has to be fetched for it."""
        return self._stores[resource_id].has(index)

    async def chunk(self, resource_id: bytes, index: int) -> bytes:
        """Return a chunk that verifies; raises Refused CHUNK_UNAVAILABLE where it is not here and not to be had."""
        store = self._stores[resource_id]
        with contextlib.suppress(ChunkMissing):
            return store.read(index)
        name = (resource_id, index)
        if name not in self._fetching:
            task = self._fetching[name] = asyncio.create_task(self._fetch(store, index))
            task.add_done_callback(lambda _: self._fetching.pop(name, None))
        try:
            return await asyncio.shield(self._fetching[name])
        except NoAnswer as error:
            raise Refused("CHUNK_UNAVAILABLE", "an origin that gives this chunk", error) from error

    async def _fetch(self, store: ChunkStore, index: int) -> bytes:
        if self._origin is None:
            raise NoAnswer("it is not here, and no origin is named")
        try:
            data = await self._origin.chunk(store.manifest, index)
        except NoAnswer as error:
            self.origin_away = str(error)
            raise
        self.origin_away = None
        try:
            await asyncio.to_thread(store.put, index, data)
        except OSError as error:  # a full disk, say: what was paid for is sold all the same
            _log.warning("chunk %d of 0x%s is not kept: %s", index, store.manifest.resource_id.hex(), error)
        return data

    async def follow_live(self) -> None:
        """Take newer manifests of live resources from the origin, until cancelled."""
        while True:
            for store in [*self._stores.values()]:
                live = store.manifest.live
                if live is not None and not live.ended and self._origin is not None:
                    await self._renew(store, self._origin)
            await asyncio.sleep(LIVE_SECONDS)

    async def _renew(self, store: ChunkStore, origin: OriginClient) -> None:
        try:
            newer = await origin.manifest(store.manifest.resource_id, self._domain)
            if newer.follows(store.manifest):
                store.follow(newer)
                self._manifests.pop(newer.resource_id, None)
        except (NoAnswer, BadManifest, OSError) as error:
            self.origin_away = str(error)
            _log.info("no newer manifest: %s", error)

    async def announce(self, offer: Json) -> None:
        """Tell the origin's tracker about every resource, again and again, until cancelled."""
        while True:
            await self.announce_once(offer, self._stores)
            await asyncio.sleep(ANNOUNCE_SECONDS)

    async def announce_once(self, offer: Json, resource_ids: Iterable[bytes]) -> None:
        """Tell the tracker; an origin that is away is told the next time."""
        if self._origin is None:
            return
        for resource_id in [*resource_ids]:
            body = json.dumps({**offer, "resourceId": f"0x{resource_id.hex()}"}).encode()
            try:
                async with asyncio.timeout(ANNOUNCE_SECONDS):
                    answer = await ask(
                        self._session, "POST", f"{self._origin.url}/announce", limit=_WORDS_BYTES_MAX, body=body
                    )
                self.origin_away = None if answer.status == 204 else f"announcement refused: {answer.status}"
            except (NoAnswer, TimeoutError) as error:
                self.origin_away = str(error) or "no answer in time"

    def close(self) -> None:
        """Close the files."""
        for store in self._stores.values():
            store.close()

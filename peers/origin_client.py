"""A publisher's origin and tracker as a viewer or cacher asks it (docs/peers.md, section 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from crypto.eip712 import Domain

from .manifest import BadManifest, ChunkData, Manifest, WrongChunk
from .manifest_reader import MANIFEST_BYTES_MAX, read_manifest
from .seller import Offer, offer_of
from .tracker import read_url
from .transfer import Answer, NoAnswer, ask, get_json

_LIST_BYTES_MAX = 1 << 20
_OFFERS_MAX = 256


class OriginClient:
    """One origin."""

    def __init__(self, session: aiohttp.ClientSession, url: str, seconds: float = 20.0) -> None:
        """Take its url; an answer may take so many seconds."""
        self.url = url.rstrip("/")
        self._session = session
        self._seconds = seconds

    async def manifest(self, resource_id: bytes, domain: Domain | None) -> Manifest:
        """Return the manifest, checked; raises NoAnswer and BadManifest."""
        url = f"{self.url}/manifest/0x{resource_id.hex()}"
        answer = await self._ask(url, MANIFEST_BYTES_MAX)
        if answer.status != 200:
            raise NoAnswer(f"{url}: status {answer.status}, {answer.reason}")
        manifest = await asyncio.to_thread(read_manifest, answer.body, domain)
        if manifest.resource_id != resource_id:
            raise BadManifest("the manifest is of another resource")
        return manifest

    async def chunk(self, manifest: Manifest, index: int) -> ChunkData:
        """Return a chunk that verifies; raises NoAnswer."""
        url = f"{self.url}/chunk/0x{manifest.resource_id.hex()}/{index}"
        answer = await self._ask(url, max(manifest.chunk_size(index), 4096))
        if answer.status != 200:
            raise NoAnswer(f"{url}: status {answer.status}, {answer.reason}")
        try:
            return manifest.verify_chunk(index, answer.body)
        except (WrongChunk, BadManifest) as error:
            raise NoAnswer(f"{url}: {error}") from error

    async def offers(self, resource_id: bytes) -> list[Offer]:
        """Return what the tracker says of cachers, entries that are none left out; raises NoAnswer."""
        found = await self.json(f"/peers/0x{resource_id.hex()}", _LIST_BYTES_MAX)
        peers = found.get("peers")
        listed = peers[:_OFFERS_MAX] if isinstance(peers, list) else []
        return [offer for offer in map(offer_of, listed) if offer is not None and _is_url(offer.url)]

    async def json(self, path: str, limit: int) -> dict[str, Any]:
        """Return the object at a path, of at most `limit` bytes; raises NoAnswer."""
        try:
            async with asyncio.timeout(self._seconds):
                return await get_json(self._session, f"{self.url}{path}", limit)
        except TimeoutError as error:
            raise NoAnswer(f"{self.url} gave no answer in time") from error

    async def _ask(self, url: str, limit: int) -> Answer:
        try:
            async with asyncio.timeout(self._seconds):
                return await ask(self._session, "GET", url, limit=limit)
        except TimeoutError as error:
            raise NoAnswer(f"{url}: no answer within {self._seconds:g} seconds") from error


def _is_url(text: str) -> bool:
    try:
        read_url(text)
    except ValueError:
        return False
    return True

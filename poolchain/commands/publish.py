"""The command `publish`: be the origin and the tracker of files and folders."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import click

from peers.chunk_store import OriginFiles, cut_path
from peers.live_folder import LiveFolder
from peers.manifest import CHUNK_BYTES_DEFAULT, CHUNK_BYTES_MAX, BadManifest, Manifest
from peers.origin_app import OriginApp
from poolchain import event_loop
from poolchain.chain_client import ChainClient
from poolchain.console import examples, is_json, json_option, log_to_stderr, note
from poolchain.failure import BadArgument, Unavailable
from poolchain.http_server import CannotListen, HttpLimits, serve
from poolchain.units import format_tokens

from .arguments import rpc_option, tokens_value
from .password import password_option
from .signer import Signer

DEFAULT_PORT: Final = 8700
LOOK_SECONDS: Final = 0.5
PRICE_DEFAULT: Final = 10**13
"""A hint of 0.00001 tokens for a chunk."""


@click.command(
    "publish",
    epilog=examples(
        "poolchain publish film.mp4",
        "poolchain publish hls-folder --price 0.001 --chunk-bytes 65536",
        "poolchain publish encoder-folder --live --name concert --from devnet:4",
    ),
)
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option(
    "--chunk-bytes",
    type=click.IntRange(1, CHUNK_BYTES_MAX),
    default=CHUNK_BYTES_DEFAULT,
    show_default=True,
    help="How long a chunk is.",
)
@click.option(
    "--price",
    type=tokens_value,
    metavar="TOKENS",
    default=format_tokens(PRICE_DEFAULT),
    show_default=True,
    help="Hint, for one chunk.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--live", is_flag=True, help="PATH is a folder that grows: sign what it consists of again and again.")
@click.option("--name", metavar="NAME", help="Of the live resource, whose Keccak-256 is its id.")
@click.option(
    "--from", "account", metavar="ACCOUNT", help="With --live, who signs: an address in the keystore, or devnet:N."
)
@click.option(
    "--key-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="With --live, the signing key."
)
@password_option
@rpc_option
@json_option
def publish_command(
    *, path: Path, chunk_bytes: int, price: int, host: str, port: int, live: bool, client: ChainClient, **signing: Any
) -> None:
    """Serve the file or folder PATH for nothing, and tell viewers who sells it.

    Cachers fetch it from here, viewers fall back on it. Its id is the root over its chunks: whoever knows the id needs
    to trust nobody. With --live the folder may grow, as an encoder of HLS makes it; that needs a name and a key.
    """
    log_to_stderr("WARNING")
    if live:
        folder = _live_folder(path, chunk_bytes, price, client, signing)
        app = OriginApp([folder])
        serve_origin(app, folder.manifest, host, port, _growing(app, folder))
        return
    try:
        manifest = cut_path(path, chunk_bytes=chunk_bytes, price_per_chunk=price)
    except BadManifest as error:
        raise BadArgument(f"{path}: {error}.", reason="BAD_FILE", given=str(path)) from error
    if not manifest.files:
        raise BadArgument(f"{path}: there is no file to publish in this folder.", reason="BAD_FILE", given=str(path))
    serve_origin(OriginApp([OriginFiles(path, manifest)]), manifest, host, port)


def _live_folder(path: Path, chunk_bytes: int, price: int, client: ChainClient, signing: dict[str, Any]) -> LiveFolder:
    if not path.is_dir() or not signing["name"] or (signing["account"] is None) == (signing["key_file"] is None):
        raise click.UsageError("--live needs a folder, --name, and --from or --key-file.")
    facts = client.facts()
    key = Signer(signing["account"], signing["key_file"], signing["password_file"]).key(facts)
    return LiveFolder(path, signing["name"], key, facts.domain, chunk_bytes=chunk_bytes, price_per_chunk=price)


@asynccontextmanager
async def _growing(app: OriginApp, folder: LiveFolder) -> AsyncIterator[None]:
    """Look for new files twice a second while inside."""

    async def look() -> None:
        while True:
            try:
                if await asyncio.to_thread(folder.scan, time.time()):
                    app.publish(folder)
            except (OSError, BadManifest) as error:
                note(f"A file could not be published: {error}")
            await asyncio.sleep(LOOK_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()


def serve_origin(app: OriginApp, manifest: Manifest, host: str, port: int, lifespan: Any = None) -> None:
    """Serve until a signal; prints the resource and the address once it listens."""

    def started(host: str, port: int) -> None:
        _announce(manifest, f"http://{f'[{host}]' if ':' in host else host}:{port}")

    try:
        event_loop.run(serve(app, host, port, started, limits=HttpLimits(connections_max=1_000), lifespan=lifespan))
    except CannotListen as error:
        raise Unavailable(str(error), reason="CANNOT_LISTEN") from error


def _announce(manifest: Manifest, url: str) -> None:
    found = {
        "url": url,
        "resourceId": f"0x{manifest.resource_id.hex()}",
        "name": manifest.name,
        "size": manifest.size,
        "chunkCount": manifest.chunk_count,
        "chunkBytes": manifest.chunk_bytes,
    }
    if is_json():
        click.echo(json.dumps(found))
        return
    click.echo(f"Publishing {manifest.name}: {manifest.size} bytes, {manifest.chunk_count} chunks")
    click.echo(f"Resource  {found['resourceId']}")
    click.echo(f"Origin    {url}\n")
    click.echo(f"Buy it:   poolchain fetch {found['resourceId']} --origin {url} --out FILE --from ACCOUNT")

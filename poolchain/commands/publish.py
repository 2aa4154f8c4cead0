"""The command `publish`: be the origin and the tracker of files and folders."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any, Final

import click

from peers.chunk_store import OriginFiles, cut_path
from peers.manifest import CHUNK_BYTES_DEFAULT, CHUNK_BYTES_MAX, BadManifest, Manifest
from peers.origin_app import OriginApp
from poolchain.console import examples, is_json, json_option
from poolchain.failure import BadArgument, Unavailable
from poolchain.http_server import CannotListen, HttpLimits, serve
from poolchain.units import format_tokens

from .arguments import tokens_value

DEFAULT_PORT: Final = 8700
PRICE_DEFAULT: Final = 10**13
"""A hint of 0.00001 tokens for a chunk."""


@click.command(
    "publish",
    epilog=examples("poolchain publish film.mp4", "poolchain publish hls-folder --price 0.001 --chunk-bytes 65536"),
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
    "--price", type=tokens_value, default=format_tokens(PRICE_DEFAULT), show_default=True, help="Hint, for one chunk."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one."
)
@json_option
def publish_command(*, path: Path, chunk_bytes: int, price: int, host: str, port: int) -> None:
    """Serve the file or folder PATH for nothing, and tell viewers who sells it.

    Cachers fetch it from here, viewers fall back on it. Its id is the root over its chunks: whoever knows the id needs
    to trust nobody.
    """
    logging.basicConfig(level=os.environ.get("POOLCHAIN_LOG", "WARNING").upper())
    try:
        manifest = cut_path(path, chunk_bytes=chunk_bytes, price_per_chunk=price)
    except BadManifest as error:
        raise BadArgument(f"{path}: {error}.", reason="BAD_FILE", given=str(path)) from error
    serve_origin(OriginApp([OriginFiles(path, manifest)]), manifest, host, port)


def serve_origin(app: OriginApp, manifest: Manifest, host: str, port: int, lifespan: Any = None) -> None:
    """Serve until a signal; prints the resource and the address once it listens."""

    def started(host: str, port: int) -> None:
        _announce(manifest, f"http://{f'[{host}]' if ':' in host else host}:{port}")

    try:
        asyncio.run(serve(app, host, port, started, limits=HttpLimits(connections_max=1_000), lifespan=lifespan))
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

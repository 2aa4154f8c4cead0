"""The command `play`: a local server for a player, which buys behind it what the player asks for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Final

import click

from peers.gateway import Gateway, main_playlist
from peers.progress import Progress
from peers.viewer import Purchase
from poolchain.console import examples, is_json, json_option, note
from poolchain.http_server import HttpLimits, serve
from poolchain.progress_view import describe

from .page_origin import PageOrigin
from .viewing import Wish, run_purchase, viewing_options

DEFAULT_PORT: Final = 8900
STALL_SECONDS: Final = 3600.0
"""A player that is paused takes nothing of an answer for as long as somebody is away."""
_NOTE_SECONDS: Final = 10.0


@click.command(
    "play",
    epilog=examples(
        "poolchain play 0x… --origin http://127.0.0.1:8700 --from devnet:0",
        "ffplay http://127.0.0.1:8900/index.m3u8    in a second shell",
        "poolchain play 0x… --origin http://127.0.0.1:8700 --from devnet:0 --page http://localhost:3000",
    ),
)
@viewing_options
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--page",
    type=PageOrigin(),
    help="Web pages that may play it, such as http://localhost:3000.  [none]",
)
@json_option
def play_command(*, wish: Wish, port: int, page: str | None) -> None:
    """Serve RESOURCE to players on this machine, and buy segment by segment what they play.

    Made for HLS folders; a single file is served in ranges. Only this machine can reach it, and of the web pages in
    its browsers only those of --page, where hls.js may run: what they ask for is paid.
    """

    async def play(purchase: Purchase) -> None:
        gateway = Gateway(page)

        def started(host: str, port: int) -> None:
            _announce(purchase, f"http://{host}:{port}")

        async with purchase.buying() as buying:
            gateway.buying = buying
            telling = asyncio.create_task(_tell(purchase, buying.progress))
            try:
                await serve(gateway, "127.0.0.1", port, started, limits=HttpLimits(stall_seconds=STALL_SECONDS))
            finally:
                telling.cancel()

    run_purchase(wish, play)


async def _tell(purchase: Purchase, progress: Callable[[], Progress]) -> None:
    """Say now and then how it goes, when it goes."""
    before = purchase.store.count()
    while True:
        await asyncio.sleep(_NOTE_SECONDS)
        if purchase.store.count() != before and not is_json():
            before = purchase.store.count()
            note(describe(progress()))


def _announce(purchase: Purchase, url: str) -> None:
    playlist = main_playlist(purchase.manifest)
    found = f"{url}/{playlist}" if playlist else url
    if is_json():
        click.echo(json.dumps({"url": url, "playlist": found}))
        return
    click.echo(f"Play: {found}")

"""Write a resource to standard output while it is bought, chunk after chunk, for a program that reads from a pipe.

    POOLCHAIN_KEY=0x… python -m examples.stream 0xRESOURCE http://127.0.0.1:8700 FOLDER --authority 0x… --genesis 0x…

From the root of the repository, with .venv/bin/python.

What is asked for with `chunk` is bought before all else, and what follows is bought ahead of it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from peers.chain_link import ChainLink
from peers.viewer import Viewer

from .options import key_of_environment, parser, trust_of

AHEAD = 16


async def stream(link: ChainLink, viewer: Viewer, resource_id: bytes, origin: str) -> None:
    """Buy in playing order, with up to AHEAD chunks on the way or waiting."""
    async with link.running(), viewer:
        purchase = await viewer.open(resource_id, origin=origin)
        await purchase.fund()
        async with purchase.buying() as buying:
            file = purchase.manifest.files[0]
            stop = file.first_chunk + file.chunk_count
            for index in range(file.first_chunk, stop):
                buying.queue.want(purchase.store.missing(index, min(index + AHEAD, stop)))
                sys.stdout.buffer.write(await buying.chunk(index))


async def main() -> None:
    """Take the first file of the resource."""
    arguments = parser(__doc__)
    for name in ("resource", "origin", "folder"):
        arguments.add_argument(name)
    options = arguments.parse_args()
    folder = Path(options.folder)
    link = ChainLink(options.node, trust_of(options), folder / "head.json")
    await link.connect()
    viewer = Viewer(link, key_of_environment(), folder)
    await stream(link, viewer, bytes.fromhex(options.resource.removeprefix("0x")), options.origin)


if __name__ == "__main__":
    asyncio.run(main())

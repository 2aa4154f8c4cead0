"""Buy a resource from everybody who sells it, and write it to a file.

    POOLCHAIN_KEY=0x… python -m examples.buy 0xRESOURCE http://127.0.0.1:8700 film.mp4 --authority 0x… --genesis 0x…

From the root of the repository, with .venv/bin/python. Interrupted, the same command goes on where it ended: nothing is
bought twice.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from crypto.signature import SigningKey
from light.verify import Trust
from peers.chain_link import ChainLink
from peers.progress import Progress
from peers.viewer import Viewer

from .options import key_of_environment, parser, trust_of


async def buy(resource_id: bytes, origin: str, out: Path, *, node: str, trust: Trust, key: SigningKey) -> Progress:
    """Pay for every chunk from a pool of the key's own; return what each peer has delivered."""
    folder = out.with_name(out.name + ".purchase")
    link = ChainLink(node, trust, folder / "head.json")
    await link.connect()
    async with link.running(), Viewer(link, key, folder) as viewer:
        purchase = await viewer.open(resource_id, origin=origin)
        await purchase.fund(duration=3600)
        return await purchase.save(out, print)


if __name__ == "__main__":
    arguments = parser(__doc__)
    for name in ("resource", "origin", "out"):
        arguments.add_argument(name)
    options = arguments.parse_args()
    bought = asyncio.run(
        buy(
            bytes.fromhex(options.resource.removeprefix("0x")),
            options.origin,
            Path(options.out),
            node=options.node,
            trust=trust_of(options),
            key=key_of_environment(),
        )
    )
    for peer in bought.peers:
        print(f"{peer.chunks} chunks from {peer.url} for {peer.spent} base units")

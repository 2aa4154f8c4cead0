"""Sell everything that an origin publishes; end it with Ctrl-C, and it settles what it was promised.

POOLCHAIN_KEY=0x… python -m examples.sell http://127.0.0.1:8700 FOLDER --port 8802 --authority 0x… --genesis 0x…

From the root of the repository, with .venv/bin/python.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from crypto.signature import SigningKey
from light.verify import Trust
from peers.cacher import Cacher
from peers.cacher_app import CacherApp
from peers.price_list import CacherSettings
from poolchain.http_server import serve

from .options import key_of_environment, parser, trust_of


async def sell(settings: CacherSettings, folder: Path, port: int, *, node: str, trust: Trust, key: SigningKey) -> None:
    """Sell until a signal comes, then settle what is worth its fee."""
    app = CacherApp()

    @asynccontextmanager
    async def selling() -> AsyncIterator[None]:
        async with Cacher.open(settings, node, trust, key=key, folder=folder) as cacher:
            app.cacher = cacher
            yield
        print(json.dumps({"isSettled": cacher.is_settled, "unsettled": cacher.status()["unsettled"]}), flush=True)

    def listening(host: str, port: int) -> None:
        if app.cacher is not None:
            app.cacher.listen_at(f"http://{host}:{port}")
            print(json.dumps(app.cacher.status()), flush=True)

    await serve(app, "127.0.0.1", port, listening, lifespan=selling())


if __name__ == "__main__":
    arguments = parser(__doc__)
    for name in ("origin", "folder"):
        arguments.add_argument(name)
    arguments.add_argument("--price", type=int, default=10**13, help="Of a chunk, in base units.")
    arguments.add_argument("--port", type=int, default=8800, help="Port; 0 takes a free one.")
    options = arguments.parse_args()
    asyncio.run(
        sell(
            CacherSettings(price_per_chunk=options.price, origin_url=options.origin),
            Path(options.folder),
            options.port,
            node=options.node,
            trust=trust_of(options),
            key=key_of_environment(),
        )
    )

"""An honest and impatient viewer: `main([node, secret, resourceId, origin, folder, out, price, deposit, *urls])`.

It is the library's three calls, as `poolchain fetch` makes them; prints what every peer was paid for how many chunks.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from crypto.signature import SigningKey
from light.verify import Trust
from peers.chain_link import ChainLink
from peers.node_rpc import NodeRpc
from peers.progress import Settings
from peers.viewer import Viewer

QUICK = Settings(peers_max=32, lost_share=(1, 1), reply_seconds=0.5, patience_seconds=5.0, tracker_seconds=0.3)


async def buy(arguments: list[str], settings: Settings) -> dict[str, object]:
    node, secret, resource_id, origin, folder, out, price, deposit, *peers = arguments
    rpc = NodeRpc(node)
    status = await rpc.call("chain_status")
    await rpc.close()
    trust = Trust(bytes.fromhex(status["authority"][2:]), bytes.fromhex(status["genesisHash"][2:]))
    await asyncio.to_thread(Path(folder).mkdir, parents=True, exist_ok=True)
    link = ChainLink(node, trust, Path(folder) / "head.json")
    await link.connect()
    async with link.running(), Viewer(link, SigningKey(bytes.fromhex(secret)), Path(folder), settings) as viewer:
        purchase = await viewer.open(bytes.fromhex(resource_id[2:]), origin=origin or None, peers=peers)
        wanted = int(deposit) or None
        pool = await purchase.fund(deposit=wanted, duration=500, price_max=int(price))
        report = await purchase.save(Path(out))
        assert purchase.purse is not None
        shares = {peer.url: [peer.chunks, peer.spent, peer.state] for peer in report.peers}
        return {
            "pool": f"0x{pool.hex()}",
            "deposit": purchase.purse.deposit,
            "promised": purchase.purse.ledger.promised,
            "fromOrigin": report.from_origin,
            "peers": shares,
        }


def main(arguments: list[str]) -> int:
    print(json.dumps(asyncio.run(buy(arguments, QUICK))), flush=True)
    return 0

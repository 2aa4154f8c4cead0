"""The command `fetch`: buy a resource chunk by chunk from many cachers at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from peers.progress import Progress
from peers.viewer import Purchase
from poolchain.console import aligned, emit, examples, json_option
from poolchain.failure import BadArgument
from poolchain.progress_view import shown
from poolchain.units import tokens_text

from .viewing import Wish, run_purchase, viewing_options


@click.command(
    "fetch",
    epilog=examples(
        "poolchain fetch 0x… --out film.mp4 --origin http://127.0.0.1:8700 --from devnet:0",
        "poolchain fetch 0x… --out film.mp4 --peer http://127.0.0.1:8800 --from devnet:0 --deposit 2",
    ),
)
@viewing_options
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File, or folder for a folder.")
@json_option
def fetch_command(*, wish: Wish, out: Path) -> None:
    """Buy RESOURCE (its id, or the name of a live one) and write it to a file.

    Makes a pool, or goes on with one of yours, and pays every cacher for every chunk. Interrupted, the same command
    goes on where it ended: nothing that is here is paid for again, nor a file that is complete.
    """
    if not out.absolute().parent.is_dir():
        raise BadArgument(f"{out.absolute().parent} is not a folder.", reason="USAGE", given=str(out))
    found: dict[str, Any] = {}
    was_there = False

    async def is_here(purchase: Purchase) -> bool:
        nonlocal was_there
        was_there = await purchase.is_at(out)
        return was_there

    async def save(purchase: Purchase) -> Progress:
        if was_there:
            count = purchase.manifest.chunk_count
            report = Progress(count, count, 0, 0.0, 0, ())
        else:
            with shown() as show:
                report = await purchase.save(out, show)
        purse = purchase.purse
        if purse is not None:
            purse.ledger.release()
        found.update(
            resourceId=f"0x{purchase.manifest.resource_id.hex()}",
            size=purchase.manifest.size,
            cptxHash=None if purse is None else f"0x{purse.cptx_hash.hex()}",
            promised=hex(0 if purse is None else purse.ledger.promised),
        )
        purchase.store.remove()
        return report

    report = run_purchase(wish, save, is_here)
    text = f"{out} has all of it already: nothing was bought." if was_there else _text(report, out)
    emit({**found, "out": str(out), **_document(report)}, text)


def _document(report: Progress) -> dict[str, Any]:
    peers = [
        {"url": peer.url, "target": peer.target, "chunks": peer.chunks, "spent": hex(peer.spent), "state": peer.state}
        for peer in report.peers
    ]
    return {
        "chunkCount": report.chunk_count,
        "fetchedBytes": report.bytes_fetched,
        "seconds": round(report.seconds, 3),
        "bytesPerSecond": int(report.bytes_per_second),
        "fromOrigin": report.from_origin,
        "spent": hex(report.spent),
        "peers": peers,
    }


def _text(report: Progress, out: Path) -> str:
    rows = [
        ("Saved", str(out)),
        ("Fetched", f"{report.bytes_fetched} bytes in {report.seconds:.1f} s"),
        ("Spent", tokens_text(report.spent)),
        *((f"  {peer.url}", f"{peer.chunks} chunks, {tokens_text(peer.spent)}, {peer.state}") for peer in report.peers),
        ("From the origin", f"{report.from_origin} chunks"),
    ]
    return aligned(rows)

"""What `fetch` and `play` share: a viewer for one resource, from options to an open purchase."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import click

from light.errors import ProofRefused
from light.verify import Trust
from peers.chain_link import ChainLink, NotTrusted, connect_patiently
from peers.chunk_store import ChunkMissing
from peers.manifest import BadManifest, live_id
from peers.node_rpc import NodeAway, NodeRefused
from peers.payer_ledger import LedgerRefused
from peers.transfer import NoAnswer
from peers.viewer import FetchFailed, Purchase, Viewer
from poolchain import event_loop
from poolchain.chain_client import ChainClient, ChainFacts
from poolchain.console import log_to_stderr, note
from poolchain.failure import Failure, Unavailable
from poolchain.http_server import CannotListen
from poolchain.promises import viewer_folder
from poolchain.units import BadUnits, amounts_as_tokens, parse_duration, tokens_text

from .arguments import address_value, hash_value, rpc_option, tokens_value
from .signer import Signer, signer_options

T = TypeVar("T")
NODE_PATIENCE_SECONDS: Final = 5.0
_EXPECTED: Final = (
    FetchFailed,
    LedgerRefused,
    NoAnswer,
    BadManifest,
    NodeAway,
    NodeRefused,
    NotTrusted,
    ProofRefused,
    ChunkMissing,
    CannotListen,
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be bought, from whom and with what money. Amounts in base units, None for the default."""

    resource_id: bytes
    origin: str | None
    peers: tuple[str, ...]
    publisher: bytes | None
    deposit: int | None
    duration: str
    price_max: int | None
    trust: tuple[bytes | None, bytes | None]
    signer: Signer
    client: ChainClient


def resource_value(text: str) -> bytes:
    """Read a resourceId, or the name of a live resource."""
    return hash_value(text) if text.startswith("0x") else live_id(text)


def viewing_options(command: Any) -> Any:
    """Add RESOURCE and the options of a purchase, which become the parameter `wish`."""

    @click.argument("resource_id", metavar="RESOURCE", type=resource_value)
    @click.option("--origin", metavar="URL", help="The publisher: manifest, tracker, and chunks that nobody sells.")
    @click.option("--peer", "peers", metavar="URL", multiple=True, help="A cacher to buy from; more than once.")
    @click.option("--publisher", type=address_value, metavar="ADDRESS", help="Who must have signed a live manifest.")
    @signer_options
    @click.option("--deposit", type=tokens_value, metavar="TOKENS", help="Of a new pool.  [the whole resource's price]")
    @click.option("--duration", default="1h", show_default=True, metavar="TIME", help="How long it can be settled.")
    @click.option("--max-price", "price_max", type=tokens_value, metavar="TOKENS", help="For a chunk.  [the origin's]")
    @click.option("--authority", type=address_value, metavar="ADDRESS", help="Trusted authority.  [the node's]")
    @click.option("--genesis", type=hash_value, metavar="HASH", help="Trusted genesis.  [the node's]")
    @rpc_option
    @functools.wraps(command)
    def with_wish(*, authority: bytes | None, genesis: bytes | None, **options: Any) -> Any:
        names = ("resource_id", "origin", "publisher", "deposit", "duration", "price_max", "signer", "client")
        chosen = {name: options.pop(name) for name in names}
        wish = Wish(peers=tuple(options.pop("peers")), trust=(authority, genesis), **chosen)
        if wish.origin is None and not wish.peers:
            raise click.UsageError("Say where it is: --origin URL, or --peer URL.")
        return command(wish=wish, **options)

    return with_wish


def run_purchase(
    wish: Wish, work: Callable[[Purchase], Awaitable[T]], is_here: Callable[[Purchase], Awaitable[bool]] | None = None
) -> T:
    """Open what is wished for, fund it unless it `is_here`, and do `work` with it; raises Failure."""
    log_to_stderr("ERROR")
    facts = wish.client.facts()

    async def run() -> T:
        async with _open(wish, facts, is_here) as purchase:
            return await work(purchase)

    with _endings():
        return event_loop.run(run(), asyncio.new_event_loop)


@asynccontextmanager
async def _open(
    wish: Wish, facts: ChainFacts, is_here: Callable[[Purchase], Awaitable[bool]] | None
) -> AsyncIterator[Purchase]:
    try:
        blocks = parse_duration(wish.duration, facts.block_interval)
    except BadUnits as error:
        raise click.BadParameter(f"{error}.", param_hint="--duration") from error
    key = wish.signer.key(facts)
    trust = Trust(wish.trust[0] or facts.authority, wish.trust[1] or facts.domain.genesis_hash)
    folder = viewer_folder()
    heads = folder / "heads" / f"0x{trust.genesis_hash.hex()}"
    heads.mkdir(mode=0o700, parents=True, exist_ok=True)
    link = ChainLink(wish.client.rpc.url, trust, heads / f"0x{wish.resource_id.hex()}.json")
    await connect_patiently(link, lambda why: note(f"Waiting for the node: {why}"), patience=NODE_PATIENCE_SECONDS)
    async with link.running(), Viewer(link, key, folder) as viewer:
        purchase = await viewer.open(wish.resource_id, origin=wish.origin, peers=wish.peers, publisher=wish.publisher)
        count, here = purchase.manifest.chunk_count, purchase.store.count()
        is_wanting = here < count or purchase.manifest.live is not None
        is_whole = is_here is not None and await is_here(purchase)
        if is_wanting and not is_whole:
            cptx_hash = await purchase.fund(deposit=wish.deposit, duration=blocks, price_max=wish.price_max)
            purse = purchase.purse
            left = 0 if purse is None else purse.ledger.left
            note(f"Paying from pool 0x{cptx_hash.hex()}, {tokens_text(left)} left; {here} of {count} chunks are here")
        yield purchase


@contextmanager
def _endings() -> Iterator[None]:
    """Turn everything that ends a purchase into one sentence and an exit status."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise _failure(error) from group
    except _EXPECTED as error:
        raise _failure(error) from error


def _failure(error: BaseException) -> BaseException:
    if isinstance(error, NodeRefused):
        return Failure(
            amounts_as_tokens(f"{error}", error.reason), reason=error.reason, expected=error.expected, given=error.given
        )
    for kinds, ending, reason in _REASONS:
        if isinstance(error, kinds):
            return ending(f"{error}".rstrip(".") + ".", reason=reason)
    return error


_REASONS: Final[tuple[tuple[tuple[type[BaseException], ...], type[Failure], str], ...]] = (
    ((NodeAway, NoAnswer), Unavailable, "UNREACHABLE"),
    ((CannotListen,), Unavailable, "CANNOT_LISTEN"),
    ((NotTrusted, ProofRefused), Failure, "NOT_TRUSTED"),
    ((LedgerRefused,), Failure, "LEDGER"),
    ((BadManifest,), Failure, "BAD_MANIFEST"),
    ((FetchFailed, ChunkMissing), Failure, "FETCH_FAILED"),
)

"""The command `serve`: sell chunks of resources to viewers, settle what they have promised."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import click

from crypto.signature import SigningKey
from light.errors import ProofRefused
from light.verify import Trust
from peers.cacher import Cacher
from peers.cacher_app import CacherApp
from peers.chain_link import NotTrusted
from peers.manifest import BadManifest
from peers.payment_store import StoreFailed
from peers.price_list import CacherSettings
from peers.transfer import NoAnswer
from poolchain import event_loop
from poolchain.chain_client import ChainClient, ChainFacts
from poolchain.console import examples, is_json, json_option, log_to_stderr, note
from poolchain.failure import Failure, Unavailable
from poolchain.home import home
from poolchain.http_server import CannotListen, HttpLimits, serve
from poolchain.payment_signers import PaymentSigners
from poolchain.risk_view import banner, risk
from storage.kv import StorageError

from .arguments import address_value, fee_option, hash_value, rpc_option, tokens_value
from .signer import Signer, signer_options

SHOW_SECONDS: Final = 1.0
SHOW_SHARE: Final = 50
"""Showing takes at most one part in so many of the time."""
CONNECTIONS_MAX: Final = 1_000
_WAIT_SECONDS: Final = 1.0


@click.command(
    "serve",
    epilog=examples(
        "poolchain serve --price 0.001 --origin http://127.0.0.1:8700 --from devnet:1",
        "poolchain serve --price 0.001 --origin http://127.0.0.1:8700 --from devnet:1 --port 0 --json",
    ),
)
@signer_options
@click.option("--price", type=tokens_value, metavar="TOKENS", required=True, help="Of one chunk.")
@click.option("--origin", metavar="URL", help="The publisher: where chunks come from and viewers find this seller.")
@click.option("--resource", "resources", type=hash_value, multiple=True, metavar="HASH", help="What to sell.  [all]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8800, show_default=True, help="Port; 0 takes a free one."
)
@click.option("--public-url", metavar="URL", help="Where viewers reach it, if that is another address.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Where payments and chunks are kept."
)
@click.option("--first-amount", type=tokens_value, metavar="TOKENS", help="Least first payment.  [two settlement fees]")
@click.option("--cap", type=tokens_value, metavar="TOKENS", help="Most unsettled in one pool.  [half of its deposit]")
@click.option("--margin", type=click.IntRange(1), default=50, show_default=True, help="Settle so many blocks before.")
@click.option("--quiet", type=click.FloatRange(0), default=30.0, show_default=True, help="Settle after such a pause.")
@click.option("--worth", type=click.IntRange(1), default=20, show_default=True, help="... if worth so many fees.")
@click.option("--authority", type=address_value, metavar="ADDRESS", help="Trusted authority.  [the node's]")
@click.option("--genesis", type=hash_value, metavar="HASH", help="Trusted genesis.  [the node's]")
@fee_option
@rpc_option
@json_option
def serve_command(*, signer: Signer, client: ChainClient, data_dir: Path | None, **options: Any) -> None:
    """Sell chunks of resources to viewers, each paid by a promise; settle by itself, also before it stops.

    Prints what is at risk in every pool whenever that changes.
    """
    log_to_stderr("WARNING")
    facts = _patient_facts(client)
    key = signer.key(facts)
    trust = Trust(options["authority"] or facts.authority, options["genesis"] or facts.domain.genesis_hash)
    settings = CacherSettings(
        price_per_chunk=options["price"],
        origin_url=options["origin"],
        resource_ids=options["resources"],
        fee=options["fee"],
        first_amount=options["first_amount"],
        unsettled_max=options["cap"],
        worth_factor=options["worth"],
        quiet_seconds=options["quiet"],
        margin_blocks=options["margin"],
    )
    if settings.price_per_chunk < 1:
        raise click.UsageError("--price must be above 0.")
    folder = data_dir or home() / "serve" / f"0x{trust.genesis_hash.hex()[:16]}-0x{key.address.hex()}"
    seller = _Seller(settings, trust, client.rpc.url, key=key, folder=folder)
    with _endings():
        event_loop.run(seller.run(options["host"], options["port"], options["public_url"]))


class _Seller:
    """The cacher, its server and what is printed."""

    def __init__(self, settings: CacherSettings, trust: Trust, node_url: str, *, key: SigningKey, folder: Path) -> None:
        self._settings = settings
        self._trust = trust
        self._node_url = node_url
        self._key = key
        self._folder = folder
        self._app = CacherApp()
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()

    async def run(self, host: str, port: int, public_url: str | None) -> None:
        """Serve until a signal; then settle."""

        def started(host: str, port: int) -> None:
            cacher = self._app.cacher
            if cacher is not None:
                cacher.listen_at(public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}")
                status = cacher.status()
                _show("started", status, banner(status))

        limits = HttpLimits(connections_max=CONNECTIONS_MAX)
        await serve(self._app, host, port, started, lifespan=self._selling(), limits=limits, stop=self._stop)

    @asynccontextmanager
    async def _selling(self) -> AsyncIterator[None]:
        async with Cacher.open(
            self._settings,
            self._node_url,
            self._trust,
            key=self._key,
            folder=self._folder,
            signers_of=PaymentSigners,
            on_change=self._changed.set,
            on_away=self._wait_for_node,
        ) as cacher:
            self._app.cacher = cacher
            showing = asyncio.create_task(self._show(cacher))
            yield
            note("Stopping: settling what is worth its fee.")
        showing.cancel()
        self._print(cacher)
        if not cacher.is_settled:
            raise Failure(
                "not all settlements are in a block yet: start it again and it goes on with them.", reason="UNSETTLED"
            )

    def _wait_for_node(self, why: str) -> None:
        if self._stop.is_set():
            raise Unavailable(f"stopped while waiting for the node: {why}.", reason="UNREACHABLE")
        note(f"Waiting for the node: {why}")

    async def _show(self, cacher: Cacher) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            started = time.perf_counter()
            self._print(cacher)
            # With very many pools a look at all of them takes long, and nothing is sold meanwhile.
            await asyncio.sleep(max(SHOW_SECONDS, SHOW_SHARE * (time.perf_counter() - started)))

    def _print(self, cacher: Cacher) -> None:
        status = cacher.status()
        _show("status", status, risk(status))


def _patient_facts(client: ChainClient) -> ChainFacts:
    """Return what chain the node has, as soon as it is there."""
    said = ""
    while True:
        try:
            return client.facts()
        except Unavailable as away:
            if away.message != said:
                note(f"Waiting for the node: {away.message}")
            said = away.message
        time.sleep(_WAIT_SECONDS)


@contextmanager
def _endings() -> Iterator[None]:
    """Turn everything that ends a cacher into one sentence and an exit status."""
    try:
        yield
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise _failure(error) from group
    except (StorageError, CannotListen, NotTrusted, ProofRefused, BadManifest, NoAnswer, StoreFailed) as error:
        raise _failure(error) from error


def _failure(error: BaseException) -> BaseException:
    match error:
        case NotTrusted() | ProofRefused():
            return Failure(f"{error}.", reason="NOT_TRUSTED")
        case StorageError() | StoreFailed():
            return Unavailable(f"{error}.", reason="STORAGE_FAILED")
        case BadManifest() | NoAnswer():
            return Unavailable(f"there is nothing to sell: {error}.", reason="UNREACHABLE")
        case CannotListen():
            return Unavailable(str(error), reason="CANNOT_LISTEN")
        case _:
            return error


def _show(event: str, status: dict[str, Any], text: str) -> None:
    click.echo(json.dumps({"event": event, **status}) if is_json() else text)

"""The command `demo`."""

from __future__ import annotations

import click

from poolchain.chain_client import ChainClient
from poolchain.console import emit, examples, is_json, json_option

from .arguments import rpc_option


@click.command(
    "demo",
    epilog=examples(
        "poolchain demo", "poolchain demo --rpc http://127.0.0.1:8546", "poolchain demo --json | jq .supply"
    ),
)
@rpc_option
@json_option
def demo_command(*, client: ChainClient) -> None:
    """Play the life of a pool on a devnet, and check every figure.

    Alice pays Bob and Carol for chunks out of one pool, over-signs towards Dave and is slashed; a second pool expires
    and pays back. All keys are fresh, so it can be played again and again, in every sealing mode. Exit status 0 only
    when every balance, receipt and count is what the protocol's rules say.
    """
    from poolchain.demo.actors import Actors  # noqa: PLC0415  # --help needs none of it
    from poolchain.demo.stage import Stage  # noqa: PLC0415
    from poolchain.demo.story import Story  # noqa: PLC0415
    from poolchain.demo.teller import Teller  # noqa: PLC0415

    def show(text: str) -> None:
        if not is_json():
            click.echo(text)

    document = Story(Actors(Stage(client), Teller(show))).play()
    emit(document, f"\nAll {document['figures']} figures are what the protocol says.")

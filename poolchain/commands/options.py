"""Options and endings that the commands on a data directory share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click

from consensus.recovery import RecordConflict
from ledger.errors import InvalidGenesis
from poolchain.authority_key import BadKeyFile
from poolchain.block_maker import MANUAL, ON_TRANSACTION
from poolchain.chain_file import BadChainFile
from poolchain.home import home
from poolchain.http_server import CannotListen
from poolchain.integrity import NotOneChain
from poolchain.running import NodeFailed
from rpc.ports import Sealing
from storage.kv import StorageError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8545


class NodeProblem(click.ClickException):
    """The node's data or disk is in the way: one sentence, exit status 3."""

    exit_code = 3


@contextmanager
def problems() -> Iterator[None]:
    """Turn what can go wrong with a data directory into one sentence and an exit status."""
    try:
        yield
    except (StorageError, NotOneChain, RecordConflict, NodeFailed, CannotListen, OSError) as error:
        raise NodeProblem(str(error)) from error
    except (BadKeyFile, BadChainFile, InvalidGenesis) as error:
        raise click.UsageError(str(error)) from error


class SealMode(click.ParamType[Sealing]):
    """`on-transaction`, `manual`, or a number of seconds."""

    name = "on-transaction|manual|SECONDS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sealing:
        """Return the mode as the node takes it."""
        if value in {ON_TRANSACTION, MANUAL}:
            return str(value)
        if str(value).isascii() and str(value).isdigit() and int(value) > 0:
            return int(value)
        return self.fail("expected on-transaction, manual, or a whole number of seconds above 0", param, ctx)


def directory_option(name: str) -> Callable[[Any], Any]:
    """Add --data-dir with a default below `home`."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=lambda: home() / name,
        show_default=f"~/.poolchain/{name}",
        help="Where the chain is kept.",
    )


def json_option(function: Any) -> Any:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(function)


def listen_options(function: Any) -> Any:
    """Add --host and --port."""
    port = click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        help="Port; 0 takes a free one.",
    )
    host = click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
    return host(port(function))

"""Options and endings that the commands on a data directory share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from consensus.recovery import RecordConflict
from poolchain.authority_key import BadKeyFile
from poolchain.block_maker import MANUAL, ON_TRANSACTION
from poolchain.chain_file import BadChainFile
from poolchain.data_directory import DataDirectory
from poolchain.failure import BadArgument, Failure, Unavailable
from poolchain.home import home
from poolchain.http_server import CannotListen
from poolchain.integrity import NotOneChain
from poolchain.memory import MEMORY_MIB, MEMORY_MIB_MIN
from poolchain.running import NodeFailed
from rpc.ports import Sealing
from storage.kv import StorageError, StorageRefused

from .page_origin import PageOrigin

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8545


@contextmanager
def problems() -> Iterator[None]:
    """Turn what can go wrong with a data directory into one sentence and an exit status."""
    try:
        yield
    except NotOneChain as error:
        raise Unavailable(str(error), reason="DAMAGED_CHAIN") from error
    except RecordConflict as error:
        raise Unavailable(str(error), reason="SIGNING_RECORD") from error
    except CannotListen as error:
        raise Unavailable(str(error), reason="CANNOT_LISTEN") from error
    except (StorageError, NodeFailed, OSError) as error:
        raise Unavailable(str(error), reason="STORAGE") from error
    except (BadKeyFile, BadChainFile) as error:
        raise Failure(str(error), reason="BAD_FILE") from error


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


DEVNET_DIRECTORY: Final = "devnet"
NODE_DIRECTORY: Final = "node"
"""Below `home`: where `devnet`, and where `init` and `start` keep their chains."""


def directory_option(name: str | None) -> Callable[[Any], Any]:
    """Add --data-dir with a default below `home`; for None the command finds out by itself."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        default=None if name is None else lambda: home() / name,
        show_default=f"~/.poolchain/{name or 'devnet or node, whichever it is'}",
        help="Where the chain is kept.",
    )


def only_chain() -> Path:
    """Return the data directory that is meant where none was named; raises StorageRefused, and BadArgument for two."""
    places = [home() / DEVNET_DIRECTORY, home() / NODE_DIRECTORY]
    found = [place for place in places if DataDirectory(place).exists()]
    if len(found) > 1:
        raise BadArgument(f"there are chains in {found[0]} and {found[1]}: say which with --data-dir.", reason="USAGE")
    if not found:
        raise StorageRefused(f"there is no chain in {places[0]} or {places[1]}: say where it is with --data-dir")
    return found[0]


def json_option(function: Any) -> Any:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")(function)


def memory_option(function: Any) -> Any:
    """Add --memory."""
    return click.option(
        "--memory",
        "memory_mib",
        type=click.IntRange(MEMORY_MIB_MIN),
        default=MEMORY_MIB,
        show_default=True,
        help="MiB for caches and write buffers, whatever the size of the state.",
    )(function)


class Listen(NamedTuple):
    """Where a node listens, and which web pages besides a wallet's may call it."""

    host: str
    port: int
    pages: tuple[str, ...]
    """Their origins."""


def listen_options(function: Any) -> Any:
    """Add --host, --port and --page as `listen`."""

    @wraps(function)
    def with_listen(*, host: str, port: int, pages: tuple[str, ...], **others: Any) -> Any:
        return function(listen=Listen(host, port, pages), **others)

    page_option = click.option(
        "--page",
        "pages",
        type=PageOrigin(),
        multiple=True,
        help="Web pages that may call the node, such as http://localhost:3000; again for others.  [none]",
    )
    port_option = click.option(
        "--port",
        type=click.IntRange(0, 65535),
        default=DEFAULT_PORT,
        show_default=True,
        help="Port; 0 takes a free one.",
    )
    host_option = click.option("--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on.")
    return host_option(port_option(page_option(with_listen)))

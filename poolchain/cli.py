"""The command `poolchain`: a group whose commands are imported when they are called.

So `poolchain --help` is quick, a node does not load what only clients need, and a client does not load a node.
Every outcome leaves through `run`: exit status 0 success, 1 refused or a check failed, 2 usage, 3 unreachable node or
failed storage; with --json an error is one JSON object on standard output like everything else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click
from click.exceptions import NoSuchCommand

from .console import examples, is_json, json_option
from .failure import EXIT_UNAVAILABLE, EXIT_USAGE, Failure
from .version import shown_version

if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT_INTERRUPTED: Final = 130
EXIT_STATUS: Final = """

\b
Exit status: 0 success; 1 refused by the chain, or a check failed;
             2 wrong usage; 3 node unreachable, or a file or disk failed.
POOLCHAIN_LOG=info says on standard error what happens: each block, each sale.
"""


class Row(NamedTuple):
    """One command: the module and attribute that it is, and its line in the list of commands."""

    module: str
    attribute: str
    line: str


_CLIENT: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "status": Row("status", "status_command", "what chain a node has and how it is"),
        "account": Row("account", "account_group", "make, list, import and look at accounts"),
        "transfer": Row("transfer", "transfer_command", "send tokens to an address"),
        "pool": Row("pool", "pool_group", "create a micropayment pool, look at pools"),
        "payment": Row("payment", "payment_group", "sign and check payments off-chain"),
        "settle": Row("settle", "settle_command", "publish a payment that you received"),
        "publish": Row("publish", "publish_command", "be the origin of a file or folder"),
        "fetch": Row("fetch", "fetch_command", "buy a file chunk by chunk from many cachers"),
        "play": Row("play", "play_command", "buy a stream segment by segment for a local player"),
        "serve": Row("serve", "serve_command", "sell chunks of resources, paid off-chain"),
        "block": Row("look", "block_command", "look at a block"),
        "tx": Row("look", "tx_command", "look at a transaction"),
        "proof": Row("proof", "proof_group", "get proofs from a node, check them without one"),
        "demo": Row("demo", "demo_command", "play the life of a pool and check every figure"),
    }
)
_NODE: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "devnet": Row("devnet", "devnet_command", "run a local chain with funded accounts"),
        "init": Row("node", "init_command", "make the data directory of a chain"),
        "start": Row("node", "start_command", "run the authority of a chain"),
        "export": Row("chain_data", "export_command", "write a whole chain to a file"),
        "import": Row("chain_data", "import_command", "execute the blocks of a file"),
        "verify": Row("chain_data", "verify_command", "execute a stored chain again and compare"),
    }
)
COMMANDS: Final[Mapping[str, Row]] = MappingProxyType({**_CLIENT, **_NODE})
"""Name -> where the command is, in the order of the list in the help."""


class LazyGroup(click.Group):
    """Finds commands in `COMMANDS`; click has no other way to import them late."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names in the order of the table."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one command."""
        row = COMMANDS.get(cmd_name)
        if row is None:
            return None
        command: click.Command = getattr(import_module(f"poolchain.commands.{row.module}"), row.attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with, or suggest one."""
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand:
            raise NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        for title, rows in (("Using a chain", _CLIENT), ("Running a chain", _NODE)):
            with formatter.section(title):
                formatter.write_dl([(name, row.line) for name, row in rows.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "poolchain devnet                a local chain; leave it running",
        "poolchain demo                  in a second shell: the life of a pool",
        "poolchain pool create --help    options and examples of one command",
    )
    + EXIT_STATUS,
)
@click.version_option(shown_version(), prog_name="poolchain", message="%(prog)s %(version)s")
@json_option
@click.pass_context
def cli(context: click.Context) -> None:
    """Poolchain: a proof-of-authority chain for off-chain micropayment pools."""
    if is_json():
        # The commands that run a node take --json as an ordinary parameter.
        context.default_map = {name: {"as_json": True} for name in _NODE}


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out a command line and return its exit status."""
    try:
        status = cli.main([*arguments], prog_name="poolchain", standalone_mode=False)
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return EXIT_INTERRUPTED
    except (Failure, click.ClickException, OSError) as error:
        return _report(error, as_json="--json" in arguments)
    return status if isinstance(status, int) else 0


def _report(error: Failure | click.ClickException | OSError, *, as_json: bool) -> int:
    """Print why a command ended, and return its exit status."""
    status, document = _describe(error)
    if as_json:
        click.echo(json.dumps({"error": document}))
    elif isinstance(error, click.UsageError):
        error.show()
    else:
        click.echo(f"Error: {document['message']}", err=True)
    return status


def _describe(error: Failure | click.ClickException | OSError) -> tuple[int, dict[str, Any]]:
    if isinstance(error, Failure):
        return error.exit_status, error.as_json()
    if isinstance(error, click.ClickException):
        reason = "USAGE" if error.exit_code == EXIT_USAGE else "FAILED"
        status, message = error.exit_code, error.format_message()
    else:
        reason, status = "STORAGE_FAILED", EXIT_UNAVAILABLE
        message = f"{error.filename or 'a file'}: {error.strerror or error}"
    return status, {"reason": reason, "message": message, "expected": None, "given": None}

"""A node, a publisher and three cachers in real processes: what a viewer needs to buy something."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple

from .cacher_process import CacherProcess
from .command_line import CommandLine
from .node_process import NodeProcess
from .peer_commands import PeerCommand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PRICE = 10**13
CHUNK_BYTES = 64 * 1024


class Town(NamedTuple):
    """A node, a publisher and three cachers."""

    node: NodeProcess
    origin: PeerCommand
    cachers: list[CacherProcess]
    line: CommandLine

    @property
    def resource(self) -> str:
        return str(self.origin.banner["resourceId"])

    def buying(self) -> list[str]:
        """Arguments that name the resource, everybody who has it, and who pays."""
        peers = [argument for cacher in self.cachers for argument in ("--peer", cacher.url)]
        return [self.resource, "--origin", self.origin.url, *peers, "--from", "devnet:0"]


@contextmanager
def town(folder: Path, content: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        node = stack.enter_context(NodeProcess(folder))
        published = ("publish", str(content), "--price", "0.00001", "--chunk-bytes", str(CHUNK_BYTES))
        origin = stack.enter_context(PeerCommand(folder, "origin", *published))
        cachers = [
            stack.enter_context(
                CacherProcess(folder, node.url, "--origin", origin.url, price=PRICE, account=f"devnet:{number}")
            )
            for number in (1, 2, 3)
        ]
        yield Town(node, origin, cachers, CommandLine(folder / "home", node.url))

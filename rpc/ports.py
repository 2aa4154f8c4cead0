"""What the RPC methods need of a node: reads of one moment, submissions, and on a devnet its levers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from consensus.pending import Dropped
from crypto.eip712 import Domain
from ledger.errors import Refusal
from ledger.executed import ExecutedBlock
from ledger.genesis import Genesis
from ledger.receipt import Receipt
from ledger.transaction import AnyTransaction
from storage.chain_view import ChainView

from .limits import Limits

if TYPE_CHECKING:
    from .recent_blocks import RecentBlocks
    from .subscriptions import Subscriptions

Sealing = str | int
"""`on-transaction`, `manual`, or an interval in seconds."""


class BlockListener(Protocol):
    """Who wants to know of every block."""

    def __call__(self, blocks: Sequence[ExecutedBlock]) -> None:
        """Take a group of sealed blocks that are committed and that the mempool has followed; must not wait."""
        ...


class NodePort(Protocol):
    """A running node. All of it is called on the event loop's thread."""

    @property
    def genesis(self) -> Genesis:
        """The parameters of the chain."""
        ...

    @property
    def domain(self) -> Domain:
        """The signing domain of the chain, with its genesis hash."""
        ...

    @property
    def limits(self) -> Limits:
        """The bounds of this node."""
        ...

    @property
    def recent_blocks(self) -> RecentBlocks:
        """The blocks that were read last, decoded."""
        ...

    @property
    def client_version(self) -> str:
        """Name and version, as `poolchain/0.1.0`."""
        ...

    @property
    def sealing(self) -> Sealing:
        """How blocks come."""
        ...

    @property
    def subscriptions(self) -> Subscriptions:
        """Who is told of new blocks over a WebSocket."""
        ...

    def listen(self, listener: BlockListener) -> None:
        """Have `listener` called on the event loop's thread after every commit, in the order of the blocks."""
        ...

    def view(self) -> ChainView:
        """Return everything at the present head; one request reads from one view."""
        ...

    def pending_count(self) -> int:
        """Return the number of transactions that wait for a block."""
        ...

    def pending(self, transaction_hash: bytes) -> AnyTransaction | None:
        """Return a transaction that waits for a block."""
        ...

    def dropped(self, transaction_hash: bytes) -> Dropped | None:
        """Return how a transaction left the mempool without a block, for the last 10,000 that did."""
        ...

    def next_nonce(self, address: bytes) -> int:
        """Return an account's nonce behind all of its pending transactions."""
        ...

    def decode(self, raw: bytes) -> AnyTransaction:
        """Return the checked transaction; raises Refusal MALFORMED or BAD_SIGNATURE."""
        ...

    async def simulate(self, transaction: AnyTransaction) -> Receipt:
        """Return what it would do in the next block; raises Refusal."""
        ...

    async def submit(self, raw: bytes) -> bytes:
        """Put a transaction into the mempool and return its hash; raises Refusal or StorageFailed."""
        ...

    async def submit_many(self, raws: Sequence[bytes]) -> Sequence[bytes | Refusal]:
        """Submit in order; return the hash or the refusal of each."""
        ...

    async def wait_until_settled(self, transaction_hash: bytes, timeout_seconds: float) -> Dropped | None:
        """Return when a pending transaction is committed (None) or dropped; raises TimeoutError."""
        ...

    async def mine(self, count: int) -> int:
        """Make `count` blocks now; return the new height. Devnet only."""
        ...

    def set_sealing(self, mode: Sealing) -> None:
        """Change how blocks come. Devnet only."""
        ...

    async def increase_time(self, seconds: int) -> int:
        """Move the clock ahead; return the offset to the real one in seconds. Devnet only."""
        ...

    async def faucet(self, address: bytes, amount: int) -> bytes:
        """Submit a Transfer from account 9 and return its hash. Devnet only."""
        ...

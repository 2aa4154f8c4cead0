"""The levers of a devnet: blocks on demand, a clock that moves ahead, tokens for nothing."""

# Functions and parameters have the names that callers use.
# ruff: noqa: N802

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from rpc.registry import Param, method
from rpc.shapes import sealing_json
from rpc.values import ADDRESS, UINT128_MAX, BadValue, Kind, bytes_text, quantity, quantity_text

if TYPE_CHECKING:
    from rpc.ports import NodePort, Sealing

BLOCKS_MAX: Final = 1_000_000
"""As long as a pool of the devnet's genesis can live."""
SECONDS_MAX: Final = 2**32 - 1
_MODES: Final = ("on-transaction", "manual")
_INTERVAL: Final = quantity(1, SECONDS_MAX)


def _read_sealing(value: object) -> Sealing:
    if isinstance(value, str) and value in _MODES:
        return value
    try:
        return _INTERVAL.read(value)
    except BadValue:
        raise BadValue(SEALING.expected, value) from None


SEALING: Final[Kind[Sealing]] = Kind(
    '"on-transaction", "manual" or a quantity of seconds from 0x1',
    MappingProxyType({"oneOf": [{"type": "string", "enum": [*_MODES]}, dict(_INTERVAL.schema)]}),
    _read_sealing,
)


@method(
    "dev_mine",
    Param("count", quantity(1, BLOCKS_MAX), default="0x1"),
    result="the new height",
    write=True,
    devnet_only=True,
)
async def dev_mine(node: NodePort, *, count: int) -> str:
    """Make blocks now, the first with what is pending; every block is a tick of the time-locks."""
    return quantity_text(await node.mine(count))


@method("dev_setSealing", Param("mode", SEALING), result="the mode", write=True, devnet_only=True)
def dev_setSealing(node: NodePort, *, mode: Sealing) -> str:
    """Change how blocks come: when a transaction arrives, by dev_mine only, or every so many seconds."""
    node.set_sealing(mode)
    return sealing_json(node.sealing)


@method(
    "dev_increaseTime",
    Param("seconds", quantity(0, SECONDS_MAX)),
    result="the new offset to the real clock, in seconds",
    write=True,
    devnet_only=True,
)
async def dev_increaseTime(node: NodePort, *, seconds: int) -> str:
    """Move the node's clock ahead, for the timestamps of later blocks; it stays so after a restart.

    Time-locks count blocks, not seconds: use dev_mine to let a pool expire.
    """
    return quantity_text(await node.increase_time(seconds))


@method(
    "dev_faucet",
    Param("address", ADDRESS),
    Param("amount", quantity(1, UINT128_MAX), about="base units; one token is 10^18"),
    result="the hash of the Transfer",
    write=True,
    devnet_only=True,
)
async def dev_faucet(node: NodePort, *, address: bytes, amount: int) -> str:
    """Submit an ordinary Transfer of `amount` from account 9; refused as any other would be."""
    return bytes_text(await node.faucet(address, amount))


DEV_METHODS: Final = (dev_mine, dev_setSealing, dev_increaseTime, dev_faucet)
